"""The contract of all moments: rows in, forgetting, merging, state; kinds add Sigma.

This file does not know how Sigma is stored, and no moments know who solves them.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, cast, dtype_name, to_device, to_numpy
from streampca.moments.centre import CentredRows, centred
from streampca.moments.pairs import Pairs, heaviest, joint, with_pairs
from streampca.moments.stream import Stream
from streampca.moments.tally import Tally
from streampca.rows import Minibatch

LEAST_WEIGHT = 1e-100
"""What forgetting leaves at least: beside a row of weight 1 it is nothing, and far enough from the
smallest float, 1e-308, for sums of squares of small numbers."""


class Moments(Stream):
    """Weighted, exponentially forgotten moments of the rows of a stream.

    An accumulator: `update`, `decay` and `merge` change it in place, because a new n x n array
    for every minibatch costs more than the sum itself. Each computes all that can fail first and
    commits last, so an exception leaves it as it was.
    """

    kind: ClassVar[str]
    of_all_rows: ClassVar[bool] = True
    """Whether the second moment is that of the rows whose total variance is kept."""
    _second_names: ClassVar[tuple[str, ...]]
    """Attributes (without the underscore) that hold the second moment."""

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

    def operations(self, m: int) -> float:
        """Operations of the products with m rows that an update takes, about."""
        return 0.0

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

    def rescaled(self, scale: NDArray[np.float64]) -> Moments:
        """These moments of rows whose features are divided by `scale` (n,)."""
        raise ValueError(
            f"{self.kind} memory cannot give features other units: the directions that it has "
            "dropped may be the leading ones then"
        )

    @property
    def discarded_variance(self) -> float:
        """A bound on the spectral norm of (true Sigma - remembered Sigma); 0 where exact."""
        return 0.0

    # --- verbs -----------------------------------------------------------------------------

    def update(self, batch: Minibatch) -> None:
        """Add the rows of a minibatch, which have been checked."""
        if batch.n_rows == 0:
            return
        alone = heaviest(batch.weights, batch.decay)
        if alone is not None:  # it would bury the others' part of the sums in its rounding
            self._update(batch.chosen(np.delete(np.arange(batch.n_rows), alone)))
            self._update(batch.chosen(np.array([alone])))
        else:
            self._update(batch)

    def _update(self, batch: Minibatch) -> None:
        rows = centred(batch, self)
        if rows.weight > 0:
            squares = rows.total_squares if self.device is None else 0.0
            self._check_sum(self.weight + rows.weight, squares)
            self._absorb(rows)
            self._join(rows.mean - self._mean if self.center else None, rows.weight, rows.pairs)
        self.n_samples += batch.n_rows
        self.n_copies += batch.n_copies

    def tally(self, n_parts: int, spare: Tally | None = None) -> Tally | None:
        """Sums of so many parts at once, for `add_tally`; None where rows are needed themselves.

        In the memory of a spare tally of as many, if there is one.
        """
        return None

    def add_tally(self, tally: Tally) -> None:
        """Add the rows of a tally that was begun since the last change."""
        raise NotImplementedError

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
            between = step * joint(self.weight, other.weight) ** 0.5
            added = 0.0
            if self.device is None:
                added = float((to_device(other._scatter_diagonal, None) + between**2).sum())
            self._check_sum(total, added)
            self._merge_second(other, between)
            self._join(step, other.weight, other.pairs)
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

    def __matmul__(self, V: Array) -> Array:
        """Sigma @ V for a thin V (n, k), without forming Sigma where it is not stored."""
        return self._product(V) * (1.0 / self.denominator)

    def copy(self) -> Self:
        """Return an independent copy."""
        self._scratch = None
        return copy.deepcopy(self)

    # --- state -------------------------------------------------------------------------------

    @property
    def _stored_names(self) -> tuple[str, ...]:
        """Attributes that hold the second moment now, for kinds that hold it in several ways."""
        return self._second_names

    @classmethod
    def _names_in(cls, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Attributes that hold the second moment in this state."""
        return cls._second_names

    def _widened_with(
        self, places: NDArray[np.int64], mean: NDArray[np.float64], **second: np.ndarray[Any, Any]
    ) -> Self:
        """A copy among more features with this second moment."""
        mean = np.array(mean, dtype="float64")
        mean[places] = self.mean
        return type(self).from_state(self.state() | second | {"mean": mean}, device=self.device)

    def settle(self, change: AbstractContextManager[None]) -> None:
        """Make, inside this, the changes in place that reading would have to make first."""

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything remembered, as numpy arrays; `moments_from_state` is the way back."""
        values: dict[str, Any] = {
            "n_samples": np.int64(self.n_samples),
            "weight": np.float64(self.weight),
            "n_copies": np.float64(self.n_copies),
            "pairs": np.array(self.pairs),
            "center": np.bool_(self.center),
            "single_precision": np.bool_(self.dtype == "float32"),
            "mean": self._mean,
        }
        values |= {name: getattr(self, "_" + name) for name in self._stored_names}
        return {name: np.array(to_numpy(value)) for name, value in values.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, device: str | None) -> Self:
        """Rebuild from `state()`."""
        state = with_pairs(state)
        names = ("n_samples", "weight", "n_copies", "pairs", "center", "single_precision", "mean")
        second = cls._names_in(state)
        missing = [name for name in (*names, *second) if name not in state]
        if missing:
            raise ValueError(f"the state of {cls.kind} moments lacks {', '.join(missing)}")
        self = cls._empty_like(state, device)
        self.n_samples = int(state["n_samples"])
        self.weight = float(state["weight"])
        self.n_copies = float(state["n_copies"])
        self.pairs = Pairs(*np.asarray(state["pairs"], "float64").reshape(2).tolist())
        for name in ("mean", *second):
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

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        dtype = "float32" if bool(state["single_precision"]) else "float64"
        n_features = int(np.asarray(state["mean"]).shape[0])
        return cls(n_features, center=bool(state["center"]), dtype=dtype, device=device)
