"""Rows of a pipeline gathered into blocks, one for many rows of a key and window in a bundle.

What is done to a row one at a time costs more than everything that is done to a block of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import Row, TaggedOutput
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from numpy import ndarray

from beam_pipelines.rows.block import Block
from beam_pipelines.rows.elements import BAD_ROWS, BadRow, RowReader, key_text, keyed
from streampca.rows import number_of_rows, slicer

_MOST = 1024
"""Rows in a block that was gathered: a product of 512 of 100 features costs a row a fifth more."""

_HELD = 2**21
"""Numbers that rows waiting in a bundle may take together: 16 MB, however many keys there are."""

_SINGLE = (Mapping, Row, tuple)  # a vector apart


class ReadBlocks(beam.DoFn):
    """Rows or (key, row) pairs -> (key text, Block); what cannot be used goes to the bad rows.

    Parameters
    ----------
    read : RowReader
        What rows have to be.
    dead_letter : bool
        Whether bad rows are an output; otherwise the first of them fails the pipeline.
    shards : int
        Into how many parts the rows of a key are dealt, to be added up on as many workers.
    """

    def __init__(self, read: RowReader, dead_letter: bool, shards: int = 1) -> None:
        self._read = read
        self._dead_letter = dead_letter
        self._shards = shards
        self._dealt = 0
        self._rows = Metrics.counter("streampca", "rows")
        self._bad = Metrics.counter("streampca", "bad_rows")

    def default_label(self) -> str:
        """What the step is called in a pipeline: whichever class reads."""
        return "Rows"

    def process(self, element: Any) -> Iterable[Any]:
        key, rows = keyed(element)
        try:
            text, block = key_text(key), self._block(rows)
        except ValueError as error:
            return self._rescued(key, rows, error)
        if len(block.values) == 0:  # a matrix of no rows
            return ()
        self._rows.inc(len(block.values))
        return ((self._part(text), block),)

    def _block(self, rows: Any) -> Block:
        given = Block.opened(rows)
        if given is None:
            return self._read(rows)
        read = self._read(given.values)
        return Block(read.names or given.names, read.values, given.place)

    def _part(self, text: str) -> str:
        if self._shards == 1:
            return text
        self._dealt = (self._dealt + 1) % self._shards
        return f"{self._dealt}|{text}"

    def _rescued(self, key: Any, rows: Any, error: ValueError) -> Iterator[Any]:
        """The good rows of a matrix or record batch one by one, and each bad one by itself."""
        reason = str(error) if key is None else f"key {key!r}: {error}"
        if not self._dead_letter:
            raise ValueError(reason) from error
        block = Block.opened(rows)
        if block is not None and len(block.values) > 1:
            yield from self._rescued_of_place(key, block)
            return
        if block is not None:
            rows = block.values[0]
        slice_of = slicer(rows, floats=True)
        if slice_of is not None and (size := number_of_rows(rows)) > 1:
            for start in range(size):
                yield from ReadBlocks.process(self, (key, slice_of(start, start + 1)))
            return
        self._bad.inc()
        yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))

    def _rescued_of_place(self, key: Any, block: Block) -> Iterator[Any]:
        """Each bad row by itself, and the good ones of a place together."""
        good = []
        for row in block.values:
            for found in ReadBlocks.process(self, (key, row)):
                if isinstance(found, TaggedOutput):
                    yield found
                else:
                    text, read = found
                    good.append(read.values)
        if good:
            yield text, Block(block.names, np.concatenate(good), block.place)


class TimedBlocks(ReadBlocks):
    """The same, where rows are learned in order: each block has the time of its rows."""

    def process(self, element: Any, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        for found in super().process(element):
            if not isinstance(found, TaggedOutput):
                found[1].micros = timestamp.micros
            yield found


class _Waiting(NamedTuple):
    """Rows of one key and window.

    Only rows and times: each object that can refer to others and is kept, such as an element with
    its window, costs a microsecond or two of garbage collection.
    """

    first: WindowedValue
    rows: list[Any]
    micros: list[int] | None  # when each was; None where bad rows are no output


class _Newest(NamedTuple):
    """Where the newest row of a key waits, and what a row must be to wait there too."""

    key: type  # 1 and True are the same key in a dictionary
    row: type
    end: int | None  # of the window: hashing one costs more than all else here
    rows: list[Any]
    micros: list[int] | None


class GatherBlocks(ReadBlocks):
    """The same, with single rows of one key and window gathered into blocks and checked together.

    For windows that an element's timestamp does not change any more: fixed ones, and the global.
    """

    def start_bundle(self) -> None:
        self._waiting: dict[Any, _Waiting] = {}
        # Plain tuples of what _Newest names: they are taken apart faster.
        self._newest: dict[Any, tuple[Any, ...]] = {}
        self._held = 0
        self._limit = _HELD  # rows that may wait

    def process(  # type: ignore[override]
        self,
        element: Any,
        # Half of what WindowParam costs, with which Beam builds the arguments anew for each row.
        at: Any = beam.DoFn.WindowedValueParam,
    ) -> Iterable[Any] | None:
        """Keep a single row until its block is full."""
        # Each line here costs as much as a percent of all that is done to a row.
        if type(element) is tuple and len(element) == 2:
            key, row = element
        else:
            key, row = None, element
        try:
            of, kind, end, rows, micros = self._newest[key]
            (window,) = at.windows
            if (
                kind is not type(row)
                or (kind is ndarray and row.ndim != 1)
                or end != getattr(window, "_end_micros", None)
                or of is not type(key)
            ):
                rows, micros = self._place(key, row, at)
        # A key that is new, or cannot be hashed; several windows.
        except (KeyError, TypeError, ValueError):
            rows, micros = self._place(key, row, at)
        if rows is None:
            return super().process(element)
        rows.append(row)
        if micros is not None:
            micros.append(at.timestamp_micros)
        self._held += 1
        if len(rows) == _MOST:
            self._held -= _MOST
            del self._newest[key]
            return self._together(self._waiting.pop(_which(key, at)))
        return None if self._held < self._limit else self._all()

    def finish_bundle(self) -> Iterable[Any]:
        """Hand on what is waiting."""
        return self._all()

    def _place(self, key: Any, row: Any, at: Any) -> tuple[list[Any] | None, list[int] | None]:
        """Where a row is to wait; None if it is to be read by itself."""
        single = row.ndim == 1 if type(row) is ndarray else isinstance(row, _SINGLE)
        if not single or len(at.windows) != 1:
            return None, None
        which = _which(key, at)
        try:
            found = self._waiting.get(which)
        except TypeError:  # what cannot be hashed is no key
            return None, None
        if found is None:
            found = self._waiting[which] = _Waiting(at, [], [] if self._dead_letter else None)
            self._limit = min(self._limit, _HELD // max(_size(row), 1))
        end = getattr(at.windows[0], "_end_micros", None)
        self._newest[key] = tuple(_Newest(type(key), type(row), end, found.rows, found.micros))
        return found.rows, found.micros

    def _all(self) -> Iterator[Any]:
        found, self._waiting, self._newest, self._held = self._waiting, {}, {}, 0
        for waiting in found.values():
            yield from self._together(waiting)

    def _together(self, waiting: _Waiting) -> Iterable[Any]:
        """All rows as one block; where one is bad, each is read by itself."""
        key, _ = keyed(waiting.first.value)
        try:
            text, block = key_text(key), self._read.together(waiting.rows)
        except ValueError:  # of the key
            block = None
        if block is None:
            return self._one_by_one(key, waiting)
        self._rows.inc(len(waiting.rows))
        return (waiting.first.with_value((self._part(text), block)),)

    def _one_by_one(self, key: Any, waiting: _Waiting) -> Iterator[Any]:
        first = waiting.first
        good: dict[Any, tuple[str, Block, list[Any]]] = {}
        times = waiting.micros or itertools.repeat(0)
        for row, micros in zip(waiting.rows, times):  # noqa: B905 - the latter may be endless
            for found in super().process((key, row)):
                if isinstance(found, TaggedOutput):
                    bad = WindowedValue(found.value, Timestamp(micros=micros), first.windows)
                    yield TaggedOutput(found.tag, bad)
                    continue
                text, block = found
                alike = block.names, block.values.shape[1], block.values.dtype.char
                good.setdefault(alike, (text, block, []))[-1].append(block.values)
        for text, block, values in good.values():
            yield first.with_value((text, Block(block.names, np.concatenate(values))))


def _which(key: Any, at: Any) -> tuple[Any, ...]:
    return key, type(key), getattr(at.windows[0], "_end_micros", None)


def _size(row: Any) -> int:
    return len(vars(row) if type(row) is Row else row)
