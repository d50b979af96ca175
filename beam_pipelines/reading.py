"""Files -> (key, block) elements in event time, many rows of one key and window in each.

Arrow batches are cut by key and slot, so that the work per row is numpy's and not Python's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
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

from beam_pipelines import formats
from beam_pipelines.block import BLOCKS, Block
from beam_pipelines.formats import Chunk
from beam_pipelines.places import Place
from beam_pipelines.rows import BAD_ROWS, BadRow
from beam_pipelines.windows import slots
from streampca import _cells as cells

Key = str | int | None


class Columns(NamedTuple):
    """Which column of the files is what."""

    timestamp: str
    key: str | None
    features: list[str]  # columns of numbers, or one column of lists
    names: list[str]  # of the features: as many as the rows are wide
    unit: str  # of timestamps that are numbers


def find_files(patterns: list[str]) -> list[str]:
    """Return the files that match, each once, sorted.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or a file is of no type that can be read.
    """
    paths = set()
    for pattern in patterns:
        try:
            (match,) = FileSystems.match([pattern])
        except (BeamIOError, ValueError) as error:
            raise ValueError(f"{pattern}: cannot be listed ({error})") from error
        found = [metadata.path for metadata in match.metadata_list]
        if not found:
            raise ValueError(f"{pattern}: there is no such file")
        paths.update(found)
    for path in paths:
        formats.kind(path)
    return sorted(paths)


def choose_columns(
    path: str, timestamp: str, key: str | None, features: list[str] | None, unit: str
) -> Columns:
    """Return the columns to read, by what one file has.

    Raises
    ------
    ValueError
        If a column is missing or cannot hold a feature.
    """
    types = formats.header(path)
    wanted = [timestamp, *([] if key is None else [key]), *(features or [])]
    formats.require(path, wanted, list(types))
    chosen = features or [name for name in types if name not in (timestamp, key)]
    if not chosen:
        raise ValueError(f"{path}: there are no columns left to be features")
    for name in chosen:
        kind = types[name]
        if kind is not None and not (cells.is_number(kind) or cells.is_vector(kind)):
            raise ValueError(
                f"{path}: column {name!r} holds {kind}, not numbers; choose with --features"
            )
        if kind is not None and cells.is_vector(kind) and len(chosen) > 1:
            raise ValueError(
                f"{path}: column {name!r} holds lists and must be the only feature; choose with "
                "--features"
            )
    kind = types[chosen[0]]
    names = chosen
    if kind is not None and cells.is_vector(kind):
        names = [f"{chosen[0]}_{i}" for i in range(kind.list_size)]
    return Columns(timestamp, key, chosen, names, unit)


class ReadRows(beam.PTransform):
    """Numbered paths of files -> (key, block) elements; bad rows under BAD_ROWS.

    Each block says where in the files it comes from, so that sums do not depend on the runner.

    Parameters
    ----------
    columns : Columns
        What to read.
    windowfn : WindowFn
        The windows that come afterwards: an element holds rows of one window only.
    bad_rows : bool
        Whether bad rows are an output; otherwise the first of them fails the pipeline.
    in_order : bool, default=False
        Whether rows are learned one after the other: an element then holds rows of one time only.
    carry : bool, default=True
        As in `LearnComponents`.
    """

    def __init__(
        self,
        columns: Columns,
        windowfn: WindowFn,
        bad_rows: bool,
        in_order: bool = False,
        carry: bool = True,
    ) -> None:
        super().__init__()
        # Whether elements of one key and chunk may come into one window.
        several = in_order or isinstance(windowfn, Sessions)
        several |= isinstance(windowfn, SlidingWindows) and not carry
        self._read = _Read(columns, windowfn, bad_rows, in_order, several)

    def expand(self, paths: Any) -> Any:
        """Build the steps."""
        read = beam.ParDo(self._read).with_output_types(tuple[Key, BLOCKS])
        return (
            paths
            | "Parts" >> beam.FlatMap(_parts).with_output_types(tuple[int, str, int, bool])
            | "Spread" >> beam.Reshuffle()
            | "Read" >> read.with_outputs(BAD_ROWS, main="rows")
        )


def _parts(numbered: tuple[int, str]) -> list[tuple[int, str, int, bool]]:
    """Number and path of a file, number of a part of it, and whether it has parts."""
    number, path = numbered
    return [(number, path, part or 0, part is not None) for part in formats.parts(path)]


class _Read(beam.DoFn):
    def __init__(
        self,
        columns: Columns,
        windowfn: WindowFn,
        bad_rows: bool,
        in_order: bool,
        several: bool,
    ) -> None:
        self._several = several
        self._columns = columns
        self._windowfn = windowfn
        self._bad_rows = bad_rows
        self._in_order = in_order
        self._bad = Metrics.counter("streampca", "bad_rows")

    def process(self, element: tuple[int, str, int, bool]) -> Iterator[Any]:
        file, path, part, has_parts = element
        columns = self._columns
        wanted = [columns.timestamp, *([] if columns.key is None else [columns.key])]
        wanted = list(dict.fromkeys(wanted + columns.features))
        chunks = formats.read(path, part if has_parts else None, wanted)
        for number, chunk in enumerate(chunks):
            yield from self._chunk(path, chunk, Place(file, part, number, 0))

    def _chunk(self, path: str, chunk: Chunk, place: Place) -> Iterator[Any]:
        columns = self._columns
        by_name = dict(zip(chunk.names, chunk.columns, strict=True))
        keys = None if columns.key is None else _listed(by_name[columns.key])
        times, reasons = cells.times(by_name[columns.timestamp], columns.timestamp, columns.unit)
        values, others = cells.matrix([by_name[name] for name in columns.features], columns.names)
        reasons = others | reasons
        for row, key in enumerate(keys or []):
            if key is None:
                reasons[row] = f"the key {columns.key!r} is missing"
        bad = [BadRow(None, None, f"{path}, {label}: {why}") for label, why in chunk.broken]
        for row in sorted(reasons):
            label = chunk.labels[row]
            where = f"{path}, {label if isinstance(label, str) else f'row {label}'}"
            content = {name: _cell(column, row) for name, column in by_name.items()}
            key = None if keys is None else keys[row]
            bad.append(BadRow(key, content, f"{where}: {reasons[row]}"))
        for each in bad:
            if not self._bad_rows:
                raise ValueError(each.reason)
            self._bad.inc()
            yield TaggedOutput(BAD_ROWS, each)
        good = np.delete(np.arange(len(times)), sorted(reasons))
        yield from self._groups(times[good], keys, values, good, place)

    def _groups(
        self, times: Any, keys: list[Any] | None, values: Any, rows: Any, place: Place
    ) -> Iterator[Any]:
        """Rows of one key and slot together, timestamped by the first of them."""
        if not len(rows):
            return
        slot = self._slots(times)
        names: list[Any] = [None]
        codes = np.zeros(len(rows), "int64")
        if keys is not None:
            numbers: dict[Any, int] = {}
            codes = np.array([numbers.setdefault(keys[row], len(numbers)) for row in rows.tolist()])
            names = list(numbers)
        order = np.lexsort((times, slot, codes))
        changes = (np.diff(slot[order]) != 0) | (np.diff(codes[order]) != 0)
        for number, group in enumerate(np.split(order, np.flatnonzero(changes) + 1)):
            first = group[0]
            # One element of a chunk: then chunks are what is numbered without gaps.
            own = (
                place._replace(number=number)
                if self._several
                else place._replace(chunk=0, number=place.chunk)
            )
            block = Block(tuple(self._columns.names), values[rows[group]], own)
            element = (names[codes[first]], block)
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


def _cell(column: Any, row: int) -> Any:
    value = column[row]
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _listed(column: Any) -> list[Any]:
    return column.to_pylist() if isinstance(column, pa.Array) else list(column)
