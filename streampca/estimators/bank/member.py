"""One model of a bank as a `StreamingPCA`: it reads and learns where the bank keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from streampca.checkpoint import Checkpoint, Key
from streampca.estimators.bank.state import Models, Same
from streampca.estimators.pca import StreamingPCA
from streampca.learning import ComponentLearner

if TYPE_CHECKING:
    from streampca.estimators.joining import Joining
    from streampca.moments import Moments


class Member(StreamingPCA):
    """What `bank[key]` returns: a view.

    It has the fitted attributes and methods of `StreamingPCA`; what it learns the bank has learned,
    and the other way round. A copy, a pickle or `from_checkpoint(view.checkpoint())` is a
    `StreamingPCA` of its own.
    """

    def __init__(self, bank: Models, key: Key) -> None:
        self.__dict__.update(bank._single)
        self._keyed, self._key = bank, key

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Those of a `StreamingPCA` that would learn the same."""
        return dict(self._keyed._single)

    def set_params(self, **parameters: Any) -> Self:
        """Refused: parameters are the bank's."""
        raise ValueError("parameters of a model of a bank are the bank's: set them there")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Forget what this key has learned, and learn from X."""
        self._keyed._relearn(self._key, X, sample_weight)
        return self

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, check_input: bool = True
    ) -> Self:
        """Learn from more rows of this key."""
        self._keyed._learn(self._keyed._rows(X, Same(self._key), sample_weight))
        return self

    def decay(self, factor: float) -> Self:
        """Multiply the weight of this key's rows so far by a factor between 0 and 1."""
        self._keyed._decay(factor, [self._key])
        return self

    def merge(self, other: Joining | Moments) -> Self:
        """Add what another estimator (or moments) has learned, as if its rows had come here."""
        alone = StreamingPCA.from_checkpoint(self.checkpoint()).merge(other)
        self._keyed._replace(self._key, *alone._started_learner.taken())
        return self

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _learner(self) -> ComponentLearner:  # type: ignore[override]
        return self._keyed._learner_of(self._key)

    @property
    def _feature_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        return self._keyed._feature_names

    def _blank(self) -> Any:
        return StreamingPCA(**self.get_params())

    def __repr__(self) -> str:
        return f"{self._keyed!r}[{self._key!r}]"

    def __reduce__(self) -> Any:
        checkpoint: Checkpoint = self.checkpoint(key=self._key)
        return StreamingPCA.from_checkpoint, (checkpoint,)

    def __sklearn_clone__(self) -> StreamingPCA:
        return StreamingPCA(**self.get_params())
