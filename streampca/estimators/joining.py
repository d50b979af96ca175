"""Forgetting and merging what StreamingPCA has learned, as a mixin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from streampca.checkpoint import Part
from streampca.estimators.components import Results
from streampca.estimators.parts import Parts
from streampca.learning import ComponentLearner

if TYPE_CHECKING:
    from streampca.moments import Moments


class Joining(Parts[ComponentLearner], Results):
    """Changes what is remembered without any row; knows nothing of rows."""

    _made: Any

    def decay(self, factor: float) -> Self:
        """Multiply the weight of all rows so far by a factor between 0 and 1.

        Forgetting by time: ``decay(2 ** (-elapsed / half_life))`` before rows of a later time.
        """
        if not 0 <= factor <= 1:
            raise ValueError(f"factor={factor!r} is not accepted: it must lie between 0 and 1")
        if self._learner is not None:
            self._learner.decay(factor)
        return self

    def merge(self, other: Joining | Moments) -> Self:
        """Add what another estimator (or moments) has learned, as if its rows had come here.

        The other does not change. Features with names are matched by them, in any order. For
        bytes, checkpoints, and many at once there is `streampca.merge_all`.

        Raises
        ------
        TypeError
            If it is anything else.
        ValueError
            If the two do not have the same features or kind of memory; nothing is changed.
        """
        return self._add(other, or_moments=True)

    def _learner_like(self, part: Part, device: str | None) -> ComponentLearner:
        moments = part.moments
        assert moments is not None
        learner: ComponentLearner = self._made(
            moments.n_features, moments.dtype, device, moments.kind
        )
        return learner
