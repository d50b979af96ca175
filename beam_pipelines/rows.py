"""Elements of a pipeline as checked blocks of rows; what cannot be used, with its reason.

This runs before anything touches state, so a bad row cannot spoil a model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import Row, TaggedOutput
from numpy.typing import NDArray

from streampca._input import LARGEST, InputRows, read_rows

BAD_ROWS = "bad_rows"


class Block:
    """One row or many, checked."""

    __slots__ = ("names", "values")

    def __init__(self, names: tuple[str, ...] | None, values: NDArray[Any]) -> None:
        self.names = names
        self.values = values  # (m, n) float32 or float64, finite


class BadRow(NamedTuple):
    """An element that could not be used."""

    key: Any
    element: Any
    reason: str


def key_text(key: Any) -> str:
    """Return a key as JSON text: deterministic on every runner, and the same after an update.

    Raises
    ------
    ValueError
        If the key is neither text, a whole number nor None.

    Examples
    --------
    >>> key_text("press 4"), key_text(4), key_text(None)
    ('"press 4"', '4', 'null')
    """
    if isinstance(key, np.integer):
        key = int(key)
    if key is not None and (isinstance(key, bool) or not isinstance(key, (str, int))):
        raise ValueError(
            f"key {key!r} is a {type(key).__name__}: keys must be text, whole numbers or None"
        )
    return json.dumps(key)


def without_shard(text: str) -> str:
    """Return the text of a key without the number of its shard.

    Examples
    --------
    >>> without_shard('3|"press 4"'), without_shard('"press 4"')
    ('"press 4"', '"press 4"')
    """
    shard, bar, rest = text.partition("|")
    return rest if bar and shard.isdecimal() else text  # JSON of text begins with a quote


def keyed(element: Any) -> tuple[Any, Any]:
    """Return (key, row): a plain pair is one already, anything else is a row of key None.

    Examples
    --------
    >>> keyed(("press 4", {"oil": 3.0}))
    ('press 4', {'oil': 3.0})
    >>> keyed({"oil": 3.0})
    (None, {'oil': 3.0})
    """
    if type(element) is tuple and len(element) == 2:
        return element
    return None, element


class RowReader:
    """Turns elements into blocks: mappings, beam.Row, NamedTuples, vectors, matrices, Arrow.

    Parameters
    ----------
    features : sequence of str or int, optional
        Names of the features, in the order of the model; or how many there are where rows have
        no names. By default every feature that the row has, names sorted.
    missing : {"error", "impute"}
        Whether NaN, None and features that a mapping lacks are gaps to be filled.
    largest : float
        Larger numbers have squares that cannot be summed.

    Examples
    --------
    >>> RowReader(None)({"oil": 3.0, "air": 7.0}).values
    array([[7., 3.]])
    >>> RowReader(["oil", "air"])({"oil": 3.0, "air": "wet"})
    Traceback (most recent call last):
        ...
    ValueError: feature 'air' is 'wet', not a finite number: correct the row or leave it out
    """

    def __init__(
        self,
        features: Sequence[str] | int | None,
        missing: str = "error",
        largest: float = LARGEST,
    ) -> None:
        self._gaps = missing == "impute"
        self._largest = largest
        self._names = None if features is None or isinstance(features, int) else tuple(features)
        self._width = features if isinstance(features, int) else None
        if self._names is not None:
            self._width = len(self._names)
        # Rows of one stream have the same names again and again: sort them once.
        self._orders: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, element: Any) -> Block:
        """Return the rows of an element.

        Raises
        ------
        ValueError
            If a row cannot be used; the message names the feature, and the row if there are many.
        """
        if isinstance(element, np.ndarray) and element.ndim == 1:
            return self._from_vector(element)
        if isinstance(element, Row):
            element = element.as_dict()
        elif isinstance(element, tuple) and hasattr(element, "_asdict"):
            element = element._asdict()
        if isinstance(element, Mapping):
            return self._from_mapping(element)
        if element is None or isinstance(element, (str, bytes, int, float, tuple)):
            raise ValueError(
                f"got {_short(element)} for a row: give a mapping, beam.Row, NamedTuple, numpy "
                "vector or matrix, or an Arrow record batch"
            )
        if isinstance(element, list) and not (element and hasattr(element[0], "__len__")):
            element = [element]
        if isinstance(element, (pa.RecordBatch, pa.Table)):
            return self._from_arrow(element)
        read = self._checked(element, self._names)
        values = np.asarray(read.values.cpu() if hasattr(read.values, "cpu") else read.values)
        return Block(self._names or read.feature_names, values)

    def _checked(self, rows: Any, names: tuple[str, ...] | None) -> InputRows:
        return read_rows(
            rows,
            feature_names=names,
            n_features=self._width,
            allow_missing=self._gaps,
            largest=self._largest,
        )

    def _from_vector(self, vector: NDArray[Any]) -> Block:
        # The hot path, a third of what read_rows costs; it is left to say what is wrong.
        if (
            vector.dtype.char not in "fd"
            or len(vector) != (self._width or len(vector) or -1)
            or not float(np.abs(vector).max()) <= self._largest  # NaN compares as False
        ):
            return Block(self._names, np.asarray(self._checked(vector[None], self._names).values))
        return Block(self._names, vector[None])

    def _from_mapping(self, row: Mapping[str, Any]) -> Block:
        names = self._names or self._sorted(tuple(row))
        try:
            values = [row.get(name) for name in names] if self._gaps else [row[n] for n in names]
        except KeyError as error:
            raise ValueError(f"feature {error.args[0]!r} is missing from the row") from None
        if not values:
            raise ValueError("the row is empty: it has no feature")
        try:
            vector = np.array(values)
            fine = vector.ndim == 1 and vector.dtype.kind in "fiub"
        except ValueError:
            fine = False
        if fine:
            vector = vector.astype("float64", copy=False)
            if float(np.abs(vector).max()) <= self._largest:
                return Block(names, vector[None])
        vector = np.array([self._number(*pair) for pair in zip(names, values, strict=True)])
        return Block(names, vector[None])

    def _number(self, name: str, value: Any) -> float:
        if self._gaps and (value is None or (isinstance(value, float) and math.isnan(value))):
            return math.nan
        number = _as_float(value)
        if not math.isfinite(number):
            raise ValueError(
                f"feature {name!r} is {_short(value)}, not a finite number: correct the row or "
                "leave it out"
            )
        if abs(number) > self._largest:
            raise ValueError(
                f"feature {name!r} is {_short(value)}: entries above {self._largest:.3g} cannot be "
                "squared and summed here; leave the row out or rescale the feature"
            )
        return number

    def _from_arrow(self, rows: Any) -> Block:
        if self._names is not None and set(self._names) < set(rows.schema.names):
            rows = rows.select(list(self._names))
        matrix = rows.num_columns == 1 and (
            pa.types.is_fixed_size_list(rows.schema.field(0).type)
            or pa.types.is_list(rows.schema.field(0).type)
        )
        names = None if matrix else self._names or self._sorted(tuple(rows.schema.names))
        read = self._checked(rows, names)
        return Block(self._names if matrix else names, np.asarray(read.values))

    def _sorted(self, names: tuple[str, ...]) -> tuple[str, ...]:
        order = self._orders.get(names)
        if order is None:
            order = tuple(sorted(names))
            if len(self._orders) < 1000:
                self._orders[names] = order
        return order


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

    def process(self, element: Any) -> Iterator[Any]:
        key, rows = keyed(element)
        try:
            text, block = key_text(key), self._read(rows)
        except ValueError as error:
            if not self._dead_letter:
                raise ValueError(_reason(key, error)) from error
            yield from self._rescued(key, rows, error)
            return
        self._rows.inc(len(block.values))
        if self._shards > 1:
            self._dealt = (self._dealt + 1) % self._shards
            text = f"{self._dealt}|{text}"
        yield text, block

    def _rescued(self, key: Any, rows: Any, error: ValueError) -> Iterator[Any]:
        """The good rows of a matrix or record batch one by one, and each bad one by itself."""
        many = (isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) > 1) or (
            isinstance(rows, (pa.RecordBatch, pa.Table)) and rows.num_rows > 1
        )
        if many:
            size = len(rows)
            for start in range(size):
                part = rows.slice(start, 1) if hasattr(rows, "slice") else rows[start : start + 1]
                yield from self.process((key, part))
            return
        self._bad.inc()
        bad = BadRow(key, rows, _reason(key, error))
        yield TaggedOutput(BAD_ROWS, bad)


def _reason(key: Any, error: ValueError) -> str:
    return str(error) if key is None else f"key {key!r}: {error}"


def _as_float(value: Any) -> float:
    try:
        return math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
