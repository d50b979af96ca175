"""The contract of all moments: counts, mean and per-feature variance; kinds add Sigma.

This file does not know how Sigma is stored, and no moments know who solves them.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, cast, dtype_name, empty, to_device, to_numpy, writeable, zeros
from streampca.moments import device as on_device
from streampca.moments.pairs import Pairs, heaviest, with_pairs
from streampca.moments.rows import CentredRows, centre
from streampca.moments.sparse import centre_sparse

LEAST_WEIGHT = 1e-100
"""What forgetting leaves at least: beside a row of weight 1 it is nothing, and far enough from the
smallest float, 1e-308, for sums of squares of small numbers."""


class Moments(ABC):
    """Weighted, exponentially forgotten moments of the rows of a stream.

    An accumulator: `update`, `decay` and `merge` change it in place, because a new n x n array
    for every minibatch costs more than the sum itself. Each computes all that can fail first and
    commits last, so an exception leaves it as it was.

    Attributes
    ----------
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

    kind: ClassVar[str]
    of_all_rows: ClassVar[bool] = True
    """Whether the second moment is that of the rows whose total variance is kept."""
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

    # --- what kinds implement -------------------------------------------------------------

    @abstractmethod
    def _absorb(self, rows: CentredRows) -> None:
        """Add Z' Z of the rows to the second moment."""

    @abstractmethod
    def _merge_second(self, other: Self, between: Array) -> None:
        """Add the other's second moment and the outer product of `between` (n,)."""

    @abstractmethod
    def _scale_second(self, factor: float) -> None:
        """Multiply the second moment by a factor."""

    @abstractmethod
    def _product(self, V: Array) -> Array:
        """The scatter matrix (weight times Sigma, up to the denominator) times V (n, k)."""

    @abstractmethod
    def leading(self, k: int) -> tuple[Array, Array]:
        """The k leading eigenpairs of Sigma as remembered, solved directly: (n, k) and (k,)."""

    def solves_directly(self, k: int) -> bool:
        """Whether `leading(k)` costs no more than a few products with Sigma."""
        return True

    @property
    def norm(self) -> float | None:
        """Frobenius norm of Sigma, where it is cheap to have."""
        return None

    def misses(self, A: Array, eigenvalues: Array, tolerance: float) -> bool:
        """Whether a direction outside span(A) has more variance than the last eigenvalue.

        An iterative solver that sits on eigenvectors cannot see a larger one that is orthogonal
        to all that it holds: its residuals are zero. Kinds that do not solve directly prove here
        that there is none.
        """
        return False

    @abstractmethod
    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> Moments:
        """These moments among more features: feature i becomes feature places[i].

        In the rows so far the new features count as having stood at `mean` (n,), without variance;
        its other entries are not used.
        """

    @property
    @abstractmethod
    def _scatter_diagonal(self) -> Array:
        """Per-feature sum of squares about the mean, (n,) float64."""

    @property
    def discarded_variance(self) -> float:
        """A bound on the spectral norm of (true Sigma - remembered Sigma); 0 where exact."""
        return 0.0

    # --- verbs -----------------------------------------------------------------------------

    def update(
        self,
        X: Array,
        weights: Array | None = None,
        decay: Array | None = None,
        seen: on_device.Look | None = None,
        squares: NDArray[np.float64] | None = None,
    ) -> None:
        """Add validated rows.

        Parameters
        ----------
        X : ndarray, tensor or csr array of shape (m, n_features)
            Rows, finite, float32 or float64; never changed.
        weights : ndarray of shape (m,), optional
            How many copies each row stands for, >= 0.
        decay : ndarray of shape (m,), optional
            How much of each row is still remembered at the end of the minibatch, in [0, 1].
        seen : Look, optional
            What a look at rows on a device has found.
        squares : ndarray of shape (n_features,) or (), optional
            Sums of squares of each feature; or at least the sum of all, infinite if that is not
            known.
        """
        if X.shape[0] == 0:
            return
        alone = heaviest(weights, decay)
        if alone is not None:  # it would bury the others' part of the sums in its rounding
            others = np.delete(np.arange(X.shape[0]), alone)
            for rows_of in (others, np.array([alone])):
                w, g = (None if v is None else v[rows_of] for v in (weights, decay))
                self._update(X[rows_of], w, g, seen, None)
        else:
            self._update(X, weights, decay, seen, squares)

    def _update(
        self,
        X: Array,
        weights: Array | None,
        decay: Array | None,
        seen: on_device.Look | None,
        squares: NDArray[np.float64] | None,
    ) -> None:
        if hasattr(X, "tocsr"):
            rows = centre_sparse(X.tocsr(), weights, decay, self)
        elif seen is not None:
            rows = on_device.centred(X, weights, decay, self, seen)
        else:
            X = to_device(X, self.device)
            rows = centre(X, weights, decay, self, squares)
        if rows.weight > 0:
            total = self.weight + rows.weight
            self._check_sum(total, rows.total_squares if self.device is None else 0.0)
            self._absorb(rows)
            if self.center:
                self._mean = self._mean + (rows.mean - self._mean) * (rows.weight / total)
            self.pairs = self.pairs.joined(self.weight, rows.pairs, rows.weight)
            self.weight = total
        self.n_samples += X.shape[0]
        self.n_copies += X.shape[0] if weights is None else float(np.maximum(weights, 1.0).sum())

    def decay(self, factor: float) -> None:
        """Forget: multiply all weights by a factor in [0, 1].

        But to no less than 1e-100 (0 forgets everything): components, mean and variances, which no
        factor changes, outlive any silence, and a row that comes then has all the say.
        """
        if factor > 0.0 and self.weight * factor < LEAST_WEIGHT < 2.0 * self.weight:
            factor = min(1.0, LEAST_WEIGHT / self.weight)
        if factor == 1.0:
            return
        self._scale_second(factor)
        self.weight *= factor
        self.pairs = self.pairs.scaled(factor)

    def merge(self, other: Moments) -> None:
        """Add the moments of other rows, as if they had been seen here (order does not matter).

        Raises
        ------
        ValueError
            If the two differ in kind, in the number of features or directions, or in centring.
        """
        if type(other) is not type(self):
            raise ValueError(
                f"cannot merge {other.kind} moments into {self.kind} moments: "
                "build both with the same memory kind"
            )
        if other.n_features != self.n_features:
            raise ValueError(
                f"cannot merge moments of {other.n_features} features into moments of "
                f"{self.n_features} features"
            )
        if other.center != self.center:
            raise ValueError("cannot merge centred moments with moments that are not centred")
        if other.weight > 0:
            total = self.weight + other.weight
            step = to_device(other._mean, self.device) - self._mean
            between = step * (self.weight * other.weight / total) ** 0.5
            added = 0.0
            if self.device is None:
                added = float((to_device(other._scatter_diagonal, None) + between**2).sum())
            self._check_sum(total, added)
            self._merge_second(other, between)
            self._mean = self._mean + step * (other.weight / total)
            self.pairs = self.pairs.joined(self.weight, other.pairs, other.weight)
            self.weight = total
        self.n_samples += other.n_samples
        self.n_copies += other.n_copies

    def _check_sum(self, weight: float, squares: float) -> None:
        """Raise if the weight or the sum of squares would leave float64.

        On devices the weight alone: to ask for the squares would be to wait.
        """
        if not np.isfinite(weight):
            raise ValueError("the weights add up to more than a float holds: divide them all")
        if self.device is not None:
            return
        if not np.isfinite(float(self._scatter_diagonal.sum()) + squares):
            raise ValueError(
                "the weighted sum of squares of the rows would be too large for a float: nothing "
                "was added; scale the rows or the weights down"
            )

    def move_mean(self, step: Array) -> None:
        """Add `step` (n,) to the mean: to features that have had one value in all rows so far."""
        self._mean = self._mean + to_device(step, self.device)

    def __matmul__(self, V: Array) -> Array:
        """Sigma @ V for a thin V (n, k), without forming Sigma where it is not stored."""
        return self._product(V) * (1.0 / self.denominator)

    def copy(self) -> Self:
        """Return an independent copy."""
        self._scratch = None
        return copy.deepcopy(self)

    # --- readings ---------------------------------------------------------------------------

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
        rest = self.weight - self.pairs.denominator(self.weight)
        # one row, or so many that the difference is lost
        return self.weight / rest if rest > 0 else max(1.0, float(self.n_samples))

    @property
    def mean(self) -> np.ndarray[Any, Any]:
        """Weighted mean of the rows, (n,) float64 on the host; a copy."""
        return np.array(to_numpy(self._mean))

    @property
    def variance(self) -> np.ndarray[Any, Any]:
        """Per-feature variance, (n,) float64 on the host."""
        return np.array(to_numpy(self._scatter_diagonal)) / self.denominator

    @property
    def total_variance(self) -> float:
        """Trace of the covariance of the rows, exact for every kind."""
        return float(self._scatter_diagonal.sum()) / self.denominator

    # --- state -------------------------------------------------------------------------------

    def _widened_with(
        self, places: NDArray[np.int64], mean: NDArray[np.float64], **second: np.ndarray[Any, Any]
    ) -> Self:
        """A copy among more features with this second moment."""
        mean = np.array(mean, dtype="float64")
        mean[places] = self.mean
        return type(self).from_state(self.state() | second | {"mean": mean}, device=self.device)

    _second_names: ClassVar[tuple[str, ...]]
    """Attributes (without the underscore) that hold the second moment."""

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything remembered, as numpy arrays; `moments_from_state` is the way back."""
        values: dict[str, Any] = {
            "n_samples": np.int64(self.n_samples),
            "weight": np.float64(self.weight),
            "squared_weight": np.float64(self.pairs.squared_weight(self.weight)),
            "n_copies": np.float64(self.n_copies),
            "pairs": np.array(self.pairs),
            "center": np.bool_(self.center),
            "single_precision": np.bool_(self.dtype == "float32"),
            "mean": self._mean,
        }
        values |= {name: getattr(self, "_" + name) for name in self._second_names}
        return {name: np.array(to_numpy(value)) for name, value in values.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, device: str | None) -> Self:
        """Rebuild from `state()`."""
        state = with_pairs(state)
        names = ("n_samples", "weight", "n_copies", "pairs", "center", "single_precision", "mean")
        missing = [name for name in (*names, *cls._second_names) if name not in state]
        if missing:
            raise ValueError(f"the state of {cls.kind} moments lacks {', '.join(missing)}")
        self = cls._empty_like(state, device)
        self.n_samples = int(state["n_samples"])
        self.weight = float(state["weight"])
        self.n_copies = float(state["n_copies"])
        self.pairs = Pairs(*np.asarray(state["pairs"], "float64").reshape(2).tolist())
        for name in ("mean", *cls._second_names):
            own = getattr(self, "_" + name)
            value = np.array(state[name])
            if value.shape != tuple(own.shape):
                raise ValueError(
                    f"the state of {cls.kind} moments has {name} of shape {value.shape}, "
                    f"expected {tuple(own.shape)}"
                )
            if not np.isfinite(value).all():
                raise ValueError(
                    f"the state of {cls.kind} moments has values in {name} that are not finite"
                )
            setattr(self, "_" + name, to_device(cast(value, dtype_name(own)), device))
        return self

    def _take_counts(self, other: Moments) -> None:
        """Have seen the rows that other moments have seen."""
        self.n_samples, self.n_copies = other.n_samples, other.n_copies
        self.weight, self.pairs = other.weight, other.pairs

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        dtype = "float32" if bool(state["single_precision"]) else "float64"
        n_features = int(np.asarray(state["mean"]).shape[0])
        return cls(n_features, center=bool(state["center"]), dtype=dtype, device=device)

    def scratch(self, n_rows: int, dtype: str) -> Array:
        """Memory for the centred rows, kept between minibatches: fresh pages cost a third pass."""
        held = self._scratch
        if held is None or held.shape[0] < n_rows or dtype_name(held) != dtype:
            held = empty((n_rows, self.n_features), dtype, self.device)
            self._scratch = held
        return held[:n_rows]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {name: writeable(value) for name, value in state.items()}
