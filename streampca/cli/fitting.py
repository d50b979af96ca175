"""The loop of `fit`: rows of files into models, and every so often what has been learned for good.

Only --checkpoint-seconds depends on the clock: where minibatches are cut is decided by
numbers of rows, so that a run that was killed and went on ends with the same bits as one that was
not.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from streampca import CheckpointStore
from streampca.cli.ledger import Ledger, Reading, fingerprint, go_on
from streampca.cli.models import Models
from streampca.files import BEGIN, BadRows, Columns, Order, Rows, Source, Topic, read_source


class Stopped(Exception):
    """Somebody asked to stop; what was learned has been kept."""

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(signal)


@dataclasses.dataclass(frozen=True)
class Interval:
    """How much may be lost: a checkpoint is due after so many rows, or so many seconds."""

    rows: int
    seconds: float | None


@dataclasses.dataclass(eq=False)
class Fit:
    """A fit, from where its ledger says.

    Parameters
    ----------
    sources : sequence of Source
        In the order in which they are read.
    asked : mapping
        Options of reading.
    columns : Columns
    models : Models
        As the ledger's checkpoints left them.
    ledger : Ledger
    bad_rows : BadRows
    store : CheckpointStore, optional
    interval : Interval
    watch : callable
        Called with the rows read so far and the bytes behind them.
    say : callable
        Takes notes on how a file is read, for people.
    """

    sources: Sequence[Source]
    asked: Mapping[str, Any]
    columns: Columns
    models: Models
    ledger: Ledger
    bad_rows: BadRows
    store: CheckpointStore | None
    interval: Interval
    watch: Callable[[int, int], None]
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self.order = Order()
        self.stopped = 0  # the signal by which somebody asked to stop
        self.n_rows = 0  # of this run
        self.n_lost = 0  # of these, since the last checkpoint
        self._bad_before = self.ledger.n_bad
        self._when = time.monotonic()
        self._without_values = np.full(len(self.columns.names), self.columns.gaps)

    def run(self) -> None:
        """Read all sources to their ends.

        Raises
        ------
        ValueError
            If a file or a row cannot be used; it names both.
        Stopped
            If Ctrl-C or SIGTERM came; what was read until then has been kept.
        """
        behind = 0  # bytes of the sources before
        with self._listening():
            try:
                for source in self.sources:
                    if isinstance(source, Topic):
                        self._follow(source)
                    else:
                        self._read(source, behind)
                    self._look_up()  # the end of a pipe may come with the signal
                    behind += source.size or 0
            except Stopped:
                self._commit()
                raise
            self._commit()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note a signal, for the next moment at which nothing is half done; a second one ends."""

        def note(number: int, _: Any) -> None:
            if self.stopped:
                raise KeyboardInterrupt
            self.stopped = number

        before: dict[int, Any] = {}
        try:
            for number in map(int, (signal.SIGINT, signal.SIGTERM)):
                before[number] = signal.signal(number, note)
        except ValueError:  # not the main thread: signals are for who is
            pass
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _look_up(self) -> None:
        """Between rows, and while a pipe gives none: stop, or keep what is due."""
        if self.stopped:
            raise Stopped(self.stopped)
        if self.n_lost and self._is_late():
            self._commit()

    @property
    def silent(self) -> list[str]:
        """Features that had no value in any row of this run."""
        names = zip(self.columns.names, self._without_values.tolist(), strict=True)
        return [name for name, never in names if never] if self.n_rows else []

    def _read(self, source: Source, behind: int) -> None:
        known = self.ledger.readings.get(source.place)
        start = BEGIN if known is None else known.start(source)
        if start is None:
            self.watch(self.n_rows, behind + (source.size or 0))
            return
        if known is None or (source.is_pipe and start == BEGIN):
            known = Reading(start, False, None, *fingerprint(source))
            self.ledger.readings[source.place] = known
        known.done = False
        skip = start.skip
        if source.is_pipe:
            source.pipe.idle = self._look_up
        for rows in read_source(source, self.asked, self.columns, start, say=self.say):
            n_records = rows.chunk.n_records
            if skip < n_records:
                self._learn_chunk(rows, skip, known)
            skip = max(skip - n_records, 0)
            known.ended = rows.chunk.end
            self.watch(self.n_rows, behind + rows.done)
            self._look_up()
        known.done, known.size = True, source.size_read
        self._note_pipe(source, known)

    def _follow(self, topic: Topic) -> None:
        """Read a topic, each partition from its own place on."""
        topic.idle, topic.say = self._look_up, self.say
        if go_on(self.ledger.readings, topic, self.asked) and self.store is not None:
            self.ledger.write(self.store)  # where it began is not forgotten before a checkpoint
        identity = self.ledger.readings[topic.place_of(0)].head
        for rows in read_source(topic, self.asked, self.columns, say=self.say):
            place = topic.place_of(rows.chunk.part)
            new = Reading(BEGIN, False, None, 0, identity)
            known = self.ledger.readings.setdefault(place, new)
            self._learn_chunk(rows, rows.chunk.start.skip, known)
            self.watch(self.n_rows, 0)
            self._look_up()

    def _note_pipe(self, source: Source, reading: Reading) -> None:
        """By what a pipe will be known again: by as many first bytes as have come."""
        if source.is_pipe:
            reading.head_size, reading.head = fingerprint(source)

    def _learn_chunk(self, rows: Rows, begin: int, reading: Reading) -> None:
        """Learn the records of a chunk from one on, cut where a checkpoint is due."""
        n_records = rows.chunk.n_records
        while begin < n_records:
            end = min(n_records, begin + self.interval.rows - self.n_lost)
            self._learn(rows, begin, end)
            self.n_lost += end - begin
            self.n_rows += end - begin
            self.ledger.n_rows += end - begin
            reading.place = rows.chunk.place_after(end)
            begin = end
            if self.n_lost == self.interval.rows or self._is_late():
                self._commit()

    def _learn(self, rows: Rows, begin: int, end: int) -> None:
        self.bad_rows.take([bad for bad in rows.bad if begin <= bad.record < end])
        first, last = np.searchsorted(rows.record, [begin, end])
        if first == last:
            return
        keys = None if rows.keys is None else rows.keys[first:last]
        times = None if rows.times is None else rows.times[first:last]
        if times is not None:
            self.order.add(times, keys)
        values = rows.values[first:last]
        if self._without_values.any():
            self._without_values &= np.isnan(values).all(axis=0)
        self.models.learn(values, keys, times)

    def _is_late(self) -> bool:
        seconds = self.interval.seconds
        return seconds is not None and time.monotonic() - self._when >= seconds

    def _commit(self) -> None:
        """Checkpoints first, then the ledger, which makes them count."""
        for source in self.sources:
            if source.place in self.ledger.readings:
                self._note_pipe(source, self.ledger.readings[source.place])
        self.models.write()
        self.n_lost, self._when = 0, time.monotonic()
        self.ledger.points = self.models.points()
        self.ledger.n_bad = self._bad_before + self.bad_rows.count
        self.ledger.bad_rows_size = self.bad_rows.size()
        if self.store is not None:
            self.ledger.write(self.store)
            self.models.lighten()


def settle(
    given: dict[str, Any], before: dict[str, Any] | None, may_change: Sequence[str] = ()
) -> dict[str, Any]:
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
    settled = dict.fromkeys(given) | before
    for name, value in given.items():
        if value is None or value == settled[name]:
            continue
        if name in may_change:
            settled[name] = value
        elif not _agrees(name, value, settled):
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option} {value} is not what the store was fitted with "
                f"({before.get(name)}); leave the option out, or fit into a new folder"
            )
    return settled


def _agrees(name: str, value: Any, before: dict[str, Any]) -> bool:
    """Whether a choice of columns, made otherwise, is the one that was made before."""
    features = before.get("features") or []
    if name == "columns" and value == features:
        before["known"] = None  # named now: other columns of later files are left out
        return True
    if name == "exclude" and not set(value) & set(features):
        before["known"] = [*(before.get("known") or []), *value]
        return True
    return False
