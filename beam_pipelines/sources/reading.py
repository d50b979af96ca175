"""Files -> (key, block) elements in event time, many rows of one key and window in each.

Batches of checked rows are cut by key and slot, so that the work per row is numpy's and not
Python's. What files hold and which rows can be used is for `streampca.files` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    TimestampedValue,
    WindowFn,
)
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.rows import BAD_ROWS, BLOCKS, BadRow, Block, Place, slots
from beam_pipelines.sources.formats import source_of
from beam_pipelines.stores import Key
from streampca.files import Columns, Order, Rows, formats, read_source

_log = logging.getLogger(__name__)


class ReadRows(beam.PTransform):
    """Numbered paths of files -> (key, block) elements; bad rows under BAD_ROWS.

    Each block says where in the files it comes from, so that sums do not depend on the runner.

    Parameters
    ----------
    columns : Columns
        What to read.
    asked : dict
        Options of reading, checked.
    windowfn : WindowFn
        The windows that come afterwards: an element holds rows of one window only.
    bad_rows : bool
        Whether bad rows are an output; otherwise the first of them fails the pipeline.
    in_order : bool, default=False
        Whether rows are learned one after the other: an element then holds rows of one time only.
    carry : bool, default=True
        As in `LearnComponents`.
    parts : bool, default=True
        Whether files are taken apart and spread over workers; False for those that are parts.
    """

    def __init__(
        self,
        columns: Columns,
        asked: dict[str, Any],
        windowfn: WindowFn,
        bad_rows: bool,
        *,
        in_order: bool = False,
        carry: bool = True,
        parts: bool = True,
    ) -> None:
        super().__init__()
        self._parts = parts
        self._asked = asked
        # Whether elements of one key and one batch of rows may come into one window.
        several = in_order or isinstance(windowfn, Sessions)
        several |= isinstance(windowfn, SlidingWindows) and not carry
        self._read = _Read(columns, asked, windowfn, bad_rows, in_order, several)

    def expand(self, paths: Any) -> Any:
        """Build the steps."""
        form = self._asked.get("input_format")
        parts = beam.FlatMap(_parts, form).with_output_types(tuple[int, str, int, bool])
        read = beam.ParDo(self._read).with_output_types(tuple[Key, BLOCKS])
        if not self._parts:  # nothing between a watermark and its rows
            return paths | "Read" >> read.with_outputs(BAD_ROWS, main="rows")
        return (
            paths
            | "Parts" >> parts
            | "Spread" >> beam.Reshuffle()
            | "Read" >> read.with_outputs(BAD_ROWS, main="rows")
        )


def _parts(numbered: tuple[int, str], form: str | None) -> list[tuple[int, str, int, bool]]:
    """Number and path of a file, number of a part of it, and whether it has parts."""
    number, path = numbered
    parts = formats.parts(source_of(path, form))
    return [(number, path, part or 0, part is not None) for part in parts]


class _Read(beam.DoFn):
    def __init__(
        self,
        columns: Columns,
        asked: dict[str, Any],
        windowfn: WindowFn,
        bad_rows: bool,
        in_order: bool,
        several: bool,
    ) -> None:
        self._in_order = in_order
        self._several = several
        self._columns = columns
        self._asked = asked
        self._windowfn = windowfn
        self._bad_rows = bad_rows
        self._bad = Metrics.counter("streampca", "bad_rows")
        self._back = Metrics.counter("streampca", "rows_out_of_order")
        self._twice = Metrics.counter("streampca", "repeated_times")

    def process(self, element: tuple[int, str, int, bool]) -> Iterator[Any]:
        file, path, number, has_parts = element
        part = number if has_parts else None
        source, order = source_of(path, self._asked.get("input_format")), Order()
        read = read_source(source, self._asked, self._columns, part=part, say=_log.info)
        for batch, rows in enumerate(read):
            if rows.times is not None:
                order.add(rows.times, rows.keys)
            for each in rows.bad:
                if not self._bad_rows:
                    raise ValueError(each.reason)
                self._bad.inc()
                yield TaggedOutput(BAD_ROWS, BadRow(each.key, each.content, each.reason))
            yield from self._groups(rows, Place(file, number, batch, 0))
        self._back.inc(order.n_back)
        self._twice.inc(order.n_twice)

    def _groups(self, rows: Rows, place: Place) -> Iterator[Any]:
        """Rows of one key and slot together, timestamped by the first of them."""
        if not len(rows.values):
            return
        times = np.zeros(len(rows.values), "int64") if rows.times is None else rows.times
        slot = self._slots(times)
        names: list[Any] = [None]
        codes = np.zeros(len(times), "int64")
        if rows.keys is not None:
            numbers: dict[Any, int] = {}
            codes = np.array([numbers.setdefault(key, len(numbers)) for key in rows.keys])
            names = list(numbers)
        order = np.lexsort((times, slot, codes))
        changes = (np.diff(slot[order]) != 0) | (np.diff(codes[order]) != 0)
        for number, group in enumerate(np.split(order, np.flatnonzero(changes) + 1)):
            first = group[0]
            own = place._replace(number=number)
            if not self._several:  # then batches are what is numbered without gaps
                own = place._replace(chunk=0, number=place.chunk)
            block = Block(tuple(self._columns.names), rows.values[group], own)
            element = (names[codes[first]], block)
            if rows.times is None:
                yield element
            else:
                yield TimestampedValue(element, Timestamp(micros=int(times[first])))

    def _slots(self, times: Any) -> Any:
        """A number for each row; rows with the same number are in the same windows."""
        slot = slots(self._windowfn)
        if self._in_order:
            return times
        if isinstance(slot, GlobalWindows):
            return np.zeros_like(times)
        if isinstance(slot, FixedWindows):
            return (times - slot.offset.micros) // slot.size.micros
        return times  # sessions: where one ends depends on every row's own time
