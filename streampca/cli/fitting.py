"""The loop of `fit`: rows of files into models, and every so often what has been learned for good.

Nothing here depends on the clock but what is asked to: where minibatches are cut is decided by
numbers of rows, so that a run that was killed and went on ends with the same bits as one that was
not.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from streampca import CheckpointStore
from streampca.cli.chunk import BEGIN, Place
from streampca.cli.ledger import Ledger, Reading, fingerprint
from streampca.cli.models import Models
from streampca.cli.reading import BadRows, Columns, Rows, read
from streampca.cli.source import Source

__all__ = ["Fit", "Interval"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """How much may be lost: a checkpoint is due after so many rows, or so many seconds."""

    rows: int
    seconds: float | None


class Fit:
    """A fit, from where its ledger says.

    Parameters
    ----------
    sources : sequence of Source
        In the order in which they are read.
    columns : Columns
    models : Models
        As the ledger's checkpoints left them.
    ledger : Ledger
    bad_rows : BadRows
    store : CheckpointStore, optional
    interval : Interval
    watch : callable
        Called with the rows read so far and the bytes behind them.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        columns: Columns,
        models: Models,
        ledger: Ledger,
        bad_rows: BadRows,
        store: CheckpointStore | None,
        interval: Interval,
        watch: Callable[[int, int], None],
    ) -> None:
        self._sources = sources
        self._columns = columns
        self._models = models
        self.ledger = ledger
        self._bad_rows = bad_rows
        self._bad_before = ledger.n_bad
        self._store = store
        self._interval = interval
        self._watch = watch
        self._since = 0  # rows since the last checkpoint
        self._when = time.monotonic()
        self.n_rows = 0  # of this run

    def run(self) -> None:
        """Read all sources to their ends.

        Raises
        ------
        ValueError
            If a file or a row cannot be used; it names both.
        """
        behind = 0  # bytes of the sources before
        for source in self._sources:
            self._read(source, behind)
            behind += source.size or 0
        self._commit()

    @property
    def n_lost(self) -> int:
        """Rows read that no checkpoint holds."""
        return self._since

    def _read(self, source: Source, behind: int) -> None:
        known = self.ledger.readings.get(source.place)
        start = BEGIN if known is None else known.start(source)
        if start is None:
            self._watch(self.n_rows, behind + (source.size or 0))
            return
        if known is None or (source.is_pipe and start == BEGIN):
            known = Reading(start, False, None, *fingerprint(source))
            self.ledger.readings[source.place] = known
        known.done = False
        skip = start.skip
        for rows in read(source, self._columns, start):
            n_records = rows.chunk.n_records
            if skip < n_records:
                self._learn_chunk(rows, skip, known)
            skip = max(skip - n_records, 0)
            self._watch(self.n_rows, behind + rows.done)
        known.done, known.size = True, source.size

    def _learn_chunk(self, rows: Rows, begin: int, reading: Reading) -> None:
        """Learn the records of a chunk from one on, cut where a checkpoint is due."""
        n_records = rows.chunk.n_records
        while begin < n_records:
            end = min(n_records, begin + self._interval.rows - self._since)
            self._learn(rows, begin, end)
            self._since += end - begin
            self.n_rows += end - begin
            self.ledger.n_rows += end - begin
            reading.place = _after(rows.chunk.start, end)
            begin = end
            if self._since == self._interval.rows or self._is_late():
                self._commit()

    def _learn(self, rows: Rows, begin: int, end: int) -> None:
        self._bad_rows.take([bad for bad in rows.bad if begin <= bad.record < end])
        first, last = np.searchsorted(rows.record, [begin, end])
        if first == last:
            return
        keys = None if rows.keys is None else rows.keys[first:last]
        times = None if rows.times is None else rows.times[first:last]
        self._models.learn(rows.values[first:last], keys, times)

    def _is_late(self) -> bool:
        seconds = self._interval.seconds
        return seconds is not None and time.monotonic() - self._when >= seconds

    def _commit(self) -> None:
        """Checkpoints first, then the ledger, which makes them count."""
        self._models.write()
        self._since, self._when = 0, time.monotonic()
        self.ledger.points = self._models.points()
        self.ledger.n_bad = self._bad_before + self._bad_rows.count
        self.ledger.bad_rows_size = self._bad_rows.size()
        if self._store is not None:
            self.ledger.write(self._store)


def _after(start: Place, skip: int) -> Place:
    return start._replace(skip=skip)


def settle(given: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The settings of a run: what is given, which must be what it was before.

    Raises
    ------
    ValueError
        Naming the first option that differs.

    Examples
    --------
    >>> settle({"n_components": None, "memory": "dense"}, {"n_components": 4, "memory": "dense"})
    {'n_components': 4, 'memory': 'dense'}
    """
    if before is None:
        return given
    for name, value in given.items():
        if value is not None and value != before.get(name):
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option} {value} is not what the store was fitted with "
                f"({before.get(name)}); leave the option out, or fit into a new folder"
            )
    return before
