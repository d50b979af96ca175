"""Shared by both estimators: the learner, its counts, the names of the features."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, device_name, namespace
from streampca.estimators.parameters import Parameters
from streampca.exceptions import NotFittedError
from streampca.moments import Moments
from streampca.rows import LARGEST

Value = TypeVar("Value")

_MOST_SINGLE = float(np.finfo("float32").max)


class Learns(Protocol):
    """The part of a learner that estimators use here."""

    n_features: int
    moments: Moments

    def flush(self) -> None: ...
    def model(self) -> Any: ...
    def taken(self) -> tuple[Moments, NDArray[np.bool_]]: ...
    def merge(self, moments: Moments, unseen: NDArray[np.bool_] | None = None) -> None: ...


L = TypeVar("L", bound=Learns)


class Fitted(Parameters, Generic[L]):
    """Reads what is counted off the learner; knows nothing of learning.

    Arrays are copies: they may be written to, and the model stays as it is.
    """

    dtype: str | None
    device: Any
    partial_fit: Any

    _learner: L | None = None
    _feature_names: tuple[str, ...] | None = None

    # --- learning -------------------------------------------------------------------------

    def flush(self) -> Self:
        """Fold in what is buffered."""
        if self._learner is not None:
            self._learner.flush()
        return self

    def _learned_anew(self, *rows: Any, sample_weight: Any) -> Self:
        """Forget everything and learn from rows; if they cannot be used, nothing has changed."""
        fresh = self._blank()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        fresh.partial_fit(*rows, **weights)
        if fresh._learner is None:  # no rows change nothing, and nothing can be learned of them
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
        self.__dict__ |= fresh.__dict__
        return self

    def _largest(self) -> float:
        """The largest entry that squares can be summed of, in the type that rows will have."""
        dtype = self.dtype if self._learner is None else self._learner.moments.dtype
        return _MOST_SINGLE if dtype == "float32" else LARGEST

    def _place(self, X: Array) -> str | None:
        """The device to learn on: the one of the option, else that of the first rows."""
        place = self.device
        if place is None and namespace(X) is not np:
            place = X.device
        return device_name(place)

    def _settings(self) -> dict[str, Any]:
        """Constructor parameters as JSON, without `copy`; an optimizer is code and stays behind."""
        skipped = ("optimizer", "copy")
        settings = {name: value for name, value in self._given().items() if name not in skipped}
        return settings | {"device": None if self.device is None else str(self.device)}

    # --- fitted -----------------------------------------------------------------------------

    @property
    def _started_learner(self) -> L:
        if self._learner is None:
            raise NotFittedError.of(self)
        return self._learner

    @property
    def _moments(self) -> Moments:
        """Moments of all rows so far: folded in, not solved."""
        return self._of_moments(lambda moments: moments)

    def _of_moments(self, read: Callable[[Moments], Value]) -> Value:
        """What is read off the moments of all rows so far, while no other thread changes them."""
        learner = self._started_learner
        with getattr(learner, "lock", nullcontext()):
            learner.flush()
            return read(learner.moments)

    @property
    def loss_(self) -> float:
        """The nested loss L(A, B) per unit of weight (Lemma 1)."""
        loss: float = self._started_learner.model().loss
        return loss

    @property
    def n_samples_seen_(self) -> int:
        """Rows seen."""
        return self._of_moments(lambda moments: moments.n_samples)

    @property
    def weight_(self) -> float:
        """Weight of the rows seen, after forgetting."""
        return self._of_moments(lambda moments: moments.weight)

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._started_learner.n_features

    def _known(self, names: tuple[str, ...] | None, none: str) -> NDArray[Any]:
        """Names as scikit-learn has them; AttributeError where there are none."""
        _ = self._started_learner
        if names is None:
            raise AttributeError(none)
        return np.asarray(names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return self._learner is not None


def refuse_other_names(
    what: str, here: tuple[str, ...] | None, there: tuple[str, ...] | None
) -> None:
    """Raise if both sides of a merge have names, and not the same ones in the same order."""
    if None not in (here, there) and here != there:
        raise ValueError(
            f"cannot merge: the {what} names differ or stand in another order: "
            f"{here} here, {there} there"
        )
