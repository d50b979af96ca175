"""Parts of a stream, as a mixin: what was learned of some rows, taken, and added to another.

Moments alone: nothing here solves.
"""

from __future__ import annotations

from typing import Any, Self

from streampca.arrays import device_name
from streampca.checkpoint import Part, Side
from streampca.estimators.shared import Fitted, L
from streampca.moments import Moments

_KINDS = {False: "components", True: "a StreamingReducedRankRegression"}


class Parts(Fitted[L]):
    """Takes parts and adds them; estimators say what learner goes with one."""

    solver: str
    _of_targets = False
    _target_names: tuple[str, ...] | None = None

    def part(self) -> bytes:
        """What was learned so far, as bytes for `streampca.merge_all`: moments alone.

        No solution is computed, so this costs a copy of the moments; `checkpoint` solves first.
        Nothing changes here. Without any row yet it holds the parameters, so that a worker without
        rows has an answer like the others.

        Raises
        ------
        ValueError
            With ``solver="first_order"``, whose solution lies in its steps, not in the moments.

        Examples
        --------
        >>> import numpy as np
        >>> from streampca import StreamingPCA, merge_all
        >>> X = np.random.default_rng(0).normal(size=(90, 4))
        >>> parts = [StreamingPCA(2).partial_fit(rows).part() for rows in np.split(X, 3)]
        >>> merge_all(parts).n_samples_seen_
        90
        """
        if self.solver == "first_order":
            raise ValueError(
                "solver='first_order' has its solution in its steps, and a part has moments "
                "alone: take checkpoint(), or use solver='exact'"
            )
        return self._part().to_bytes()

    def _part(self) -> Part:
        learner = self._learner
        if learner is None:
            return Part(None, settings=self._settings(), of_targets=self._of_targets)
        moments, unseen = learner.taken()
        return Part(
            moments,
            self._feature_names,
            self._settings(),
            self._of_targets,
            self._side(),
            unseen,
        )

    def _side(self) -> Side | None:
        """What is known of targets; None where there are none."""
        return None

    def _learner_like(self, part: Part, device: str | None) -> L:
        """A learner without rows, for moments of the kind and shape of a part."""
        raise NotImplementedError

    def _add(self, other: Any, *, or_moments: bool = False) -> Self:
        """Add what another estimator has learned, or moments where these are taken."""
        kind = self._estimator()
        if isinstance(other, kind):
            return self._add_part(other._part())  # type: ignore[attr-defined]
        if or_moments and isinstance(other, Moments):
            return self._add_part(Part(other))
        raise TypeError(
            f"merge takes a {kind.__name__}, not {type(other).__name__}: "
            "streampca.merge_all([model, ...]) takes bytes and checkpoints too"
        )

    def _add_part(self, part: Part) -> Self:
        """Add moments; if they do not fit, nothing has changed."""
        if part.moments is None:
            return self
        if part.of_targets != self._of_targets:
            raise TypeError(
                f"this is a part of {_KINDS[part.of_targets]}, not of {_KINDS[self._of_targets]}"
            )
        part = part.placed(self._feature_names, self._target_names)
        assert part.moments is not None
        learner = self._learner
        if learner is None:
            device = self.device if self.device is not None else part.moments.device
            learner = self._learner_like(part, device_name(device))
        learner.merge(part.moments, part.unseen)
        self._learner = learner
        self._feature_names = self._feature_names or part.names
        return self
