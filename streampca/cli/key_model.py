"""One running model: rows in, and what its next checkpoint has to say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, StreamingPCA
from streampca.learning import remembered


class KeyModel:
    """The model of one key, and what its next checkpoint has to say.

    Parameters
    ----------
    options : mapping
        Parameters of `StreamingPCA`.
    names : tuple of str
        Of the features.
    half_life : float, optional
        In microseconds of event time, where forgetting goes by time.

    Attributes
    ----------
    pca : StreamingPCA
        Which learns the rows, unless they are learned together with those of other keys.
    """

    def __init__(
        self, options: Mapping[str, Any], names: tuple[str, ...], half_life: float | None
    ) -> None:
        self._options = options
        self._found: Checkpoint | None = None  # to go on from, with moments
        self.last: Checkpoint | None = None  # without moments
        self.changed = False
        self._names = names
        self._half_life = half_life
        self._start: int | None = None
        self._end: int | None = None
        self._sequence = 0

    def resume(self, found: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        ValueError
            If it holds other features, or no moments.
        """
        if not found.moments:
            raise ValueError(
                f"cannot go on from {found!r}: it was stored without moments, which only "
                "transforming can do without"
            )
        if found.feature_names is not None and found.feature_names != self._names:
            raise ValueError(
                f"cannot go on from {found!r}: its features are {_shown(found.feature_names)}, "
                f"those of the files are {_shown(self._names)}; choose with --columns"
            )
        self._found = found
        self.last = found.without_moments()
        self._start, self._end = found.window_start, found.window_end
        self._sequence = found.sequence + 1

    @cached_property
    def pca(self) -> StreamingPCA:
        """As the rows so far have left it."""
        found, self._found = self._found, None
        if found is None:
            return StreamingPCA(**self._options)
        return StreamingPCA.from_checkpoint(found)

    def move(self, first: int, latest: int) -> None:
        """Rows from one time to another are learned."""
        self._start = first if self._start is None else min(first, self._start)
        self._end = latest if self._end is None else max(latest, self._end)

    def learn(self, X: NDArray[Any], times: NDArray[np.int64] | None) -> None:
        """Learn from rows; with times, the model moves on to the latest of them."""
        self.changed = True
        before = self._end
        if times is not None:
            self.move(int(times.min()), int(times.max()))
        if times is None or self._half_life is None:
            self.pca.partial_fit(X)
            return
        assert self._end is not None
        if before is not None and self._end > before:
            self.pca.decay(remembered(self._end - before, self._half_life))
        self.pca.partial_fit(X, sample_weight=remembered(self._end - times, self._half_life))

    def checkpoint(self, taken: Checkpoint, settings: Mapping[str, Any]) -> Checkpoint:
        """What was taken of the model as it stands, as the key's next checkpoint."""
        made = dataclasses.replace(
            taken,
            window_start=self._start,
            window_end=self._end,
            sequence=self._sequence,
            feature_names=self._names,
            settings=settings,
        )
        if self.last is not None:
            made = made.with_drift(self.last)
        self.last = made.without_moments()
        self._sequence += 1
        self.changed = False
        return made


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")
