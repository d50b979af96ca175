"""Forgetting and merging what StreamingPCA has learned, as a mixin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from streampca.fitted.components import Results
from streampca.fitted.shared import refuse_other_names

if TYPE_CHECKING:
    from streampca.moments import Moments


class Joining(Results):
    """Changes what is remembered without any row; knows nothing of rows."""

    _start: Any

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

        Raises
        ------
        ValueError
            If the two do not have the same features or kind of memory; nothing is changed.
        """
        if isinstance(other, Joining):
            theirs = other._learner
            if theirs is None:
                return self
            names = other._feature_names
            with theirs.lock:  # never two at once: they might merge each other
                theirs.flush()
                moments = theirs.moments.copy()
            refuse_other_names("feature", self._feature_names, names)
        else:
            moments, names = other, None
        if self._learner is None:
            self._start(moments.n_features, moments.dtype, moments.device, names, moments.kind)
        assert self._learner is not None
        self._learner.merge(moments)
        return self
