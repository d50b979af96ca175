"""The running models of all keys: rows in, checkpoints into a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, CheckpointStore
from streampca.checkpoint import Key, keeps_moments
from streampca.cli.key_model import KeyModel
from streampca.cli.together import Together, codes_of, learns_together

Point = tuple[Key, int | None, int]
"""Key, window end and sequence: which checkpoint of a store."""


class Models:
    """The models of all keys, and the store that their checkpoints go to.

    Parameters
    ----------
    options, names, half_life
        As for `KeyModel`.
    store : CheckpointStore, optional
        None keeps everything in memory.
    moments : str or int, default="all"
        Which checkpoints hold what is only for going on: "all", "last", "none", or the last and
        every so many.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        names: tuple[str, ...],
        half_life: float | None,
        store: CheckpointStore | None,
        moments: str | int = "all",
    ) -> None:
        self._options, self._names, self._half_life = options, names, half_life
        self._moments = moments
        self._past: list[Checkpoint] = []  # written with moments that nobody will need
        self.by_key: dict[Key, KeyModel] = {}
        self._store = store
        by_rows = half_life is None or options.get("missing", "error") == "error"
        together = by_rows and learns_together(options, len(names))
        self._together = Together(options, len(names), half_life) if together else None

    def _new(self) -> KeyModel:
        return KeyModel(self._options, self._names, self._half_life)

    def resume(self, point: Point) -> None:
        """Go on from a checkpoint of the store.

        Raises
        ------
        ValueError
            If it has gone, cannot be read, or does not fit.
        """
        assert self._store is not None
        key, end, sequence = point
        found = self._store.read(key, end, sequence)
        if found is None:
            raise ValueError(
                f"{self._store.uri}: the checkpoint of key {key!r} with sequence {sequence} has "
                "gone or cannot be read; fit into a new folder"
            )
        self.by_key[key] = model = self._new()
        model.resume(found)
        if self._together is None or not self._together.resume(found):
            self._alone()
        self._lighten_before(point)

    def _lighten_before(self, point: Point) -> None:
        """A run that was killed may not have come to what it had to do after its last commit."""
        assert self._store is not None
        key, name = point[0], point[1:]
        written = self._store.written(key)
        before = [each for each in written[: written.index(name)] if not self._keeps(each[1])]
        if before:
            found = self._store.read(key, *before[-1])
            if found is not None and found.moments:
                self._past.append(found.without_moments())

    def learn(
        self, X: NDArray[Any], keys: list[Any] | None, times: NDArray[np.int64] | None
    ) -> None:
        """Learn from rows, each by the model of its key."""
        if self._together is not None:
            if keys is not None:
                self._learn_together(X, keys, times, self._together)
                return
            self._alone()
        for key, rows in grouped(keys, len(X)):
            if key not in self.by_key:
                self.by_key[key] = self._new()
            self.by_key[key].learn(X[rows], None if times is None else times[rows])

    def _alone(self) -> None:
        """From now on each model learns by itself; before any row has come."""
        self._together = None
        for model in self.by_key.values():
            _ = model.pca

    def _learn_together(
        self, X: NDArray[Any], keys: list[Any], times: NDArray[np.int64] | None, together: Together
    ) -> None:
        codes, distinct = codes_of(keys)
        for key in distinct:
            if key not in self.by_key:
                self.by_key[key] = self._new()
            self.by_key[key].changed = True
        if times is not None:
            limits = np.iinfo("int64")
            first, last = (np.full(len(distinct), end) for end in (limits.max, limits.min))
            np.minimum.at(first, codes, times)
            np.maximum.at(last, codes, times)
            for key, *ends in zip(distinct, first.tolist(), last.tolist(), strict=True):
                self.by_key[key].move(*ends)
        together.learn(X, keys, times)

    def _taken(self) -> Iterator[tuple[KeyModel, Checkpoint, Mapping[str, Any]]]:
        """The models that have learned since their last checkpoints, what was taken, settings."""
        changed = {key: model for key, model in self.by_key.items() if model.changed}
        if self._together is None:
            for key, model in changed.items():
                taken = model.pca.checkpoint(key=key)
                yield model, taken, taken.settings
            return
        for model, taken in zip(
            changed.values(), self._together.checkpoints(list(changed)), strict=True
        ):
            yield model, taken, self._together.settings_of(taken)

    def write(self) -> None:
        """Make a checkpoint of each key that has learned since; put it into the store, if any."""
        for model, taken, settings in self._taken():
            before = model.last
            checkpoint = model.checkpoint(taken, settings)
            if self._store is not None:
                none = self._moments == "none"
                self._store.write(checkpoint.without_moments() if none else checkpoint)
                if before is not None and not self._keeps(before.sequence):
                    self._past.append(before)

    def _keeps(self, sequence: int) -> bool:
        """Whether a checkpoint stays as it is when the next one of its key has been written."""
        return self._moments == "none" or keeps_moments(self._moments, sequence, last=False)

    def lighten(self) -> None:
        """Write checkpoints again without the moments that they were to have while they were last.

        For when those that came after them count.
        """
        for checkpoint in self._past:
            assert self._store is not None
            self._store.write(checkpoint)
        self._past.clear()

    def points(self) -> list[Point]:
        """The newest checkpoint of each key."""
        latest = [(key, model.last) for key, model in self.by_key.items()]
        return [(key, c.window_end, c.sequence) for key, c in latest if c is not None]


def grouped(keys: list[Any] | None, n_rows: int) -> Iterator[tuple[Key, Any]]:
    """Each key with its rows in their order; the keys by their first row.

    Examples
    --------
    >>> [(key, rows.tolist()) for key, rows in grouped(["b", "a", "b"], 3)]
    [('b', [0, 2]), ('a', [1])]
    """
    if keys is None:
        yield None, slice(0, n_rows)
        return
    codes, distinct = codes_of(keys)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(distinct)))
    yield from zip(distinct, np.split(order, ends[:-1]), strict=True)
