"""One running model for each key: rows in, checkpoints into a store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, CheckpointStore, StreamingPCA
from streampca.checkpoint import keeps_moments
from streampca.moments import LEAST_WEIGHT

__all__ = ["KeyModel", "Models", "Point", "grouped"]

Key = str | int | None
Point = tuple[Key, int | None, int]
"""Key, window end and sequence: which checkpoint of a store."""


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
    """

    def __init__(
        self, options: Mapping[str, Any], names: tuple[str, ...], half_life: float | None
    ) -> None:
        self.pca = StreamingPCA(**options)
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
        self.pca = StreamingPCA.from_checkpoint(found)
        self.last = found.without_moments()
        self._start, self._end = found.window_start, found.window_end
        self._sequence = found.sequence + 1

    def learn(self, X: NDArray[Any], times: NDArray[np.int64] | None) -> None:
        """Learn from rows; with times, the model moves on to the latest of them."""
        self.changed = True
        if times is None:
            self.pca.partial_fit(X)
            return
        latest = int(times.max())
        self._start = min(int(times.min()), latest if self._start is None else self._start)
        before, self._end = self._end, max(latest, latest if self._end is None else self._end)
        if self._half_life is None:
            self.pca.partial_fit(X)
            return
        if before is not None and self._end > before:
            self.pca.decay(max(0.5 ** ((self._end - before) / self._half_life), LEAST_WEIGHT))
        remembered = 0.5 ** ((self._end - times) / self._half_life)
        self.pca.partial_fit(X, sample_weight=np.maximum(remembered, LEAST_WEIGHT))

    def checkpoint(self, key: Key) -> Checkpoint:
        """The model as it stands, as the key's next checkpoint."""
        made = self.pca.checkpoint(
            key=key, window_start=self._start, window_end=self._end, sequence=self._sequence
        )
        made = dataclasses.replace(made, feature_names=self._names).with_drift(self.last)
        self.last = made.without_moments()
        self._sequence += 1
        self.changed = False
        return made


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
        for key, rows in grouped(keys, len(X)):
            if key not in self.by_key:
                self.by_key[key] = self._new()
            self.by_key[key].learn(X[rows], None if times is None else times[rows])

    def write(self) -> list[Checkpoint]:
        """A checkpoint of each key that has learned since its last one, written if there is where.

        Returns
        -------
        list of Checkpoint
            Without moments.
        """
        made = []
        for key, model in self.by_key.items():
            if model.changed:
                before = model.last
                checkpoint = model.checkpoint(key)
                if self._store is not None:
                    none = self._moments == "none"
                    self._store.write(checkpoint.without_moments() if none else checkpoint)
                    if before is not None and not self._keeps(before.sequence):
                        self._past.append(before)
                made.append(checkpoint.without_moments())
        return made

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

    @property
    def n_samples_seen(self) -> int:
        """Rows that the models' checkpoints hold."""
        return sum(m.last.n_samples_seen for m in self.by_key.values() if m.last is not None)


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
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(key, len(numbers)) for key in keys], int)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(numbers)))
    yield from zip(numbers, np.split(order, ends[:-1]), strict=True)


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")
