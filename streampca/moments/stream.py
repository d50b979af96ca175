"""What is known of a stream apart from its second moment: counts, mean, variance of each feature.

This file does not know how rows are centred, and nothing of Sigma but its diagonal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, dtype_name, empty, to_device, to_numpy, writeable, zeros
from streampca.moments.pairs import Pairs, joint

_LEAST_SPREAD = 1e-146
"""Squares of smaller numbers have lost digits: they are next to the smallest of float64."""


class Stream(ABC):
    """Counts, weight and mean of the rows so far.

    Attributes
    ----------
    n_features : int
        Features of a row.
    center : bool
        Whether second moments are taken about the mean (else about zero).
    dtype : str
        Type in which products with rows are formed.
    device : str or None
        Where arrays lie; None for numpy on the host.
    n_samples : int
        Rows seen, never forgotten.
    weight : float
        Sum w of the rows' weights, after forgetting.
    n_copies : float
        Rows seen, a row of weight 3 three times; never forgotten.
    pairs : Pairs
        What the scatter is divided by.
    mean : ndarray of shape (n_features,)
        Weighted mean, float64.
    """

    keeps_squares: ClassVar[bool] = True
    """Whether sums of squares of each feature are kept beside the second moment."""

    def __init__(
        self, n_features: int, *, center: bool = True, dtype: str = "float32", device: str | None
    ) -> None:
        self.n_features = n_features
        self.center = center
        self.dtype = dtype
        self.device = device
        self.n_samples = 0
        self.weight = 0.0
        self.n_copies = 0.0
        self.pairs = Pairs()
        self._mean = zeros((n_features,), "float64", device)
        self._scratch: Array | None = None

    @property
    @abstractmethod
    def _scatter_diagonal(self) -> Array:
        """Per-feature sum of squares about the mean, (n,) float64."""

    # --- counts and mean ---------------------------------------------------------------------

    def _join(self, step: Array | None, weight: float, pairs: Pairs) -> None:
        """Take in others of this weight whose mean is a step away from here (None: no means)."""
        total = self.weight + weight
        if step is not None:
            self._mean = self._mean + step * (weight / total)
        self.pairs = self.pairs.joined(self.weight, pairs, weight)
        self.weight = total

    def _take_counts(self, other: Stream) -> None:
        """Have seen the rows that other moments have seen."""
        self.n_samples, self.n_copies = other.n_samples, other.n_copies
        self.weight, self.pairs = other.weight, other.pairs

    def move_mean(self, step: Array) -> None:
        """Add `step` (n,) to the mean: to features that have had one value in all rows so far."""
        self._mean = self._mean + to_device(step, self.device)

    def between(self, mean: Array, weight: float) -> Array | None:
        """sqrt(w1 w2 / (w1 + w2)) (mean2 - mean1), (n,): the row that joins others to these.

        None where there is nothing to be joined to, or rows are not centred.
        """
        if not (self.center and self.weight > 0 and weight > 0):
            return None
        return (mean - self._mean) * joint(self.weight, weight) ** 0.5

    # --- readings ----------------------------------------------------------------------------

    @property
    def denominator(self) -> float:
        """What the scatter is divided by to give the covariance Sigma.

        With rows of weight w_i of which g_i is remembered, and W the sum of w_i g_i, it is the
        larger of W - sum(w_i g_i**2) / W (weights as counts: W - 1 where nothing is forgotten)
        and W - sum((w_i g_i)**2) / W (weights as shares); W without centring. See `Pairs`.
        """
        if not self.center:
            return self.weight or 1.0
        return self.pairs.denominator(self.weight)

    @property
    def effective_rows(self) -> float:
        """How many equal rows say as much: the number of rows, if all are equal."""
        return self.pairs.effective_rows(self.weight, self.n_samples)

    @property
    def mean(self) -> np.ndarray[Any, Any]:
        """Weighted mean of the rows, (n,) float64 on the host; a copy."""
        return np.array(to_numpy(self._mean))

    @property
    def variance(self) -> np.ndarray[Any, Any]:
        """Per-feature variance, (n,) float64 on the host."""
        return np.array(to_numpy(self._scatter_diagonal)) / self.denominator

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Features (n,) that do not vary by more than the rounding of their numbers."""
        return is_constant(np.sqrt(self.variance), self.mean, self.dtype)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviation of each feature, (n,); 1 of those that are constant."""
        return np.where(self.constant, 1.0, np.sqrt(self.variance))

    @property
    def total_variance(self) -> float:
        """Trace of the covariance of the rows, exact for every kind."""
        return float(self._scatter_diagonal.sum()) / self.denominator

    # --- memory to work in -------------------------------------------------------------------

    def scratch(self, n_rows: int, dtype: str) -> Array:
        """Memory for the centred rows, kept between minibatches: fresh pages cost a third pass."""
        kept = self._scratch
        if kept is None or kept.shape[0] < n_rows or dtype_name(kept) != dtype:
            kept = empty((n_rows, self.n_features), dtype, self.device)
            self._scratch = kept
        return kept[:n_rows]

    def give_scratch(self, memory: Array) -> None:
        """Work in this memory from now on, if its rows are as wide; it must lie on the device."""
        if memory.shape[1] == self.n_features:
            self._scratch = memory

    def take_scratch(self) -> Array | None:
        """Hand over the memory worked in, for others that are not updated at the same time."""
        memory, self._scratch = self._scratch, None
        return memory

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {name: writeable(value) for name, value in state.items()}


def is_constant(
    spread: NDArray[np.float64], mean: NDArray[np.float64], dtype: str
) -> NDArray[np.bool_]:
    """Whether features with these standard deviations vary by no more than rounding."""
    rounding = float(np.finfo(dtype).eps) * np.abs(mean)
    return np.asarray(spread <= np.maximum(rounding, _LEAST_SPREAD))
