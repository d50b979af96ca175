"""Rows of a pipeline gathered into blocks, one for many rows of a key and window in a bundle.

What is done to a row one at a time costs more than everything that is done to a block of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.rows import BAD_ROWS, BadRow, Block, RowReader, key_text, keyed

_MOST = 256
"""Rows in a block that was gathered: products of so many are near a matrix's full speed."""

_HELD = 2**21
"""Numbers that rows waiting in a bundle may take together: 16 MB, however many keys there are."""


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

    def process(self, element: Any) -> Iterable[Any]:
        key, rows = keyed(element)
        try:
            text, block = key_text(key), self._read(rows)
        except ValueError as error:
            return self._rescued(key, rows, error)
        self._rows.inc(len(block.values))
        return ((self._part(text), block),)

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
        many = (isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) > 1) or (
            isinstance(rows, (pa.RecordBatch, pa.Table)) and rows.num_rows > 1
        )
        if many:
            size = len(rows)
            for start in range(size):
                part = rows.slice(start, 1) if hasattr(rows, "slice") else rows[start : start + 1]
                yield from ReadBlocks.process(self, (key, part))
            return
        self._bad.inc()
        yield TaggedOutput(BAD_ROWS, BadRow(key, rows, reason))


class GatherBlocks(ReadBlocks):
    """The same, with single rows of one key and window gathered into blocks.

    For windows that an element's timestamp does not change any more: fixed ones, and the global.
    """

    def start_bundle(self) -> None:
        self._waiting: dict[Any, tuple[Block, Any, list[Any]]] = {}
        self._held = 0
        self._counted = 0

    def process(
        self,
        element: Any,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterable[Any]:
        if type(element) is tuple and len(element) == 2:
            key, rows = element
        else:
            key, rows = None, element
        try:
            text, block = key_text(key), self._read(rows)
        except ValueError as error:
            return self._rescued(key, rows, error)
        values = block.values
        if len(values) > 1:
            self._counted += len(values)
            return ((self._part(text), block),)
        width = values.shape[1]
        # Hashing a window costs more than all else here; its end says which one it is.
        place = (text, window.end.micros, id(block.names), width, values.dtype.char)
        found = self._waiting.get(place)
        if found is None:
            self._waiting[place] = block, window, [values]
        else:
            found[2].append(values)
            if len(found[2]) >= _MOST:
                del self._waiting[place]
                self._held -= (_MOST - 1) * width
                self._counted += _MOST
                return ((self._part(text), Block(block.names, np.concatenate(found[2]))),)
        self._held += width
        return () if self._held < _HELD else self._all()

    def finish_bundle(self) -> Iterable[Any]:
        """Hand on what is waiting."""
        found = list(self._all())
        self._rows.inc(self._counted)
        return found

    def _all(self) -> Iterator[WindowedValue]:
        for (text, *_), (block, window, values) in self._waiting.items():
            self._counted += len(values)
            gathered = (self._part(text), Block(block.names, np.concatenate(values)))
            yield WindowedValue(gathered, window.max_timestamp(), (window,))
        self._waiting, self._held = {}, 0
