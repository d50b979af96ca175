"""Columns of a file as event times and as numbers; what cannot be read is named by its row."""

from __future__ import annotations

import math
import numbers
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds in a unit of numeric timestamps."""

_LIMIT = 9_223_371_950_454_775_000  # the last instant of Beam's global window
Reasons = dict[int, str]


def times(column: Any, name: str, unit: str) -> tuple[NDArray[np.int64], Reasons]:
    """Event times in microseconds since 1970, UTC, and the rows that have none.

    Parameters
    ----------
    column : Arrow array or list
        Timestamps, dates, numbers of `unit` since 1970, or ISO 8601 text. Without a time zone, UTC.
    name : str
        What to call the column.
    unit : {"s", "ms", "us", "ns"}
        Of numbers.

    Examples
    --------
    >>> times(["1970-01-01T00:00:01Z", 2, "noon"], "time", "s")
    (array([1000000, 2000000,       0]), {2: "column 'time' is 'noon', no time: ..."})
    """
    if isinstance(column, pa.Array):
        fast = _fast_times(column, unit)
        if fast is not None:
            return fast, {}
        column = column.to_pylist()
    found = np.zeros(len(column), "int64")
    reasons: Reasons = {}
    for row, value in enumerate(column):
        micros = _time(value, unit)
        if micros is None:
            reasons[row] = (
                f"column {name!r} is {_short(value)}, no time: give ISO 8601 text, or a number of "
                "seconds since 1970 (--timestamp-unit for others)"
            )
        else:
            found[row] = micros
    return found, reasons


def matrix(
    columns: list[Any], names: list[str], *, gaps: bool = False, largest: float = math.inf
) -> tuple[NDArray[Any], Reasons]:
    """Columns as a matrix (rows, features), and the rows that hold anything but finite numbers.

    Parameters
    ----------
    columns : list of Arrow arrays or lists
        One for each feature; or a single one of fixed-size lists.
    names : list of str
        Of the features.
    gaps : bool, default=False
        Whether what is missing (null, NaN, an empty cell) is let through, as NaN.
    largest : float
        Numbers beyond it count as unusable too.

    Examples
    --------
    >>> matrix([[1, 2], [3.5, "wet"]], ["oil", "air"])
    (array([[1. , 3.5],
           [2. , nan]]), {1: "feature 'air' is 'wet', not a finite number"})
    """
    if len(columns) == 1 and isinstance(columns[0], pa.FixedSizeListArray):
        flat = columns[0].flatten()
        if not columns[0].null_count and not flat.null_count and flat.type in _FLOATS:
            values = flat.to_numpy().reshape(len(columns[0]), -1)
            return values, _unusable(values, names, None, gaps, largest)
        columns = list(map(list, zip(*columns[0].to_pylist(), strict=True)))
    arrays = [_numbers(column) for column in columns]
    dtype = np.result_type(*arrays)
    values = np.empty((len(arrays[0]), len(arrays)), dtype)
    for j, array in enumerate(arrays):
        values[:, j] = array
    return values, _unusable(values, names, columns, gaps, largest)


_FLOATS = (pa.float32(), pa.float64())


def _unusable(
    values: NDArray[Any],
    names: list[str],
    columns: list[Any] | None,
    gaps: bool,
    largest: float,
) -> Reasons:
    largest = min(largest, float(np.finfo(values.dtype).max))
    usable = np.abs(values) <= largest  # NaN is False
    if usable.all():
        return {}
    reasons = {}
    for row in np.flatnonzero(~usable.all(axis=1)).tolist():
        for j in np.flatnonzero(~usable[row]).tolist():
            value = values[row, j].item() if columns is None else columns[j][row]
            value = value.as_py() if isinstance(value, pa.Scalar) else value
            if not (gaps and _is_gap(value)):
                reasons[row] = f"feature {names[j]!r} is {_trouble(value, float(values[row, j]))}"
                break
    return reasons


def _is_gap(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in ("", "nan")
    return value is None or value != value


def _trouble(value: Any, number: float) -> str:
    if value is None:
        return "missing"
    if math.isfinite(number):
        return f"{_short(value)}, too large to be squared and summed"
    return f"{_short(value)}, not a finite number"


def _numbers(column: Any) -> NDArray[Any]:
    """A column as float32 or float64, NaN where it holds no number."""
    if isinstance(column, pa.Array):
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            import pyarrow.compute as pc  # a tenth of what `import streampca` takes

            column = pc.utf8_trim_whitespace(column)
            try:
                return np.asarray(pc.cast(column, pa.float64()))
            except pa.ArrowInvalid:
                return np.array([_parsed(text) for text in column.to_pylist()])
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
            small = array.dtype.kind == "f" and array.dtype.itemsize <= 4
            return array.astype("float32" if small else "float64", copy=False)
        column = column.to_pylist()
    return np.array([_number(value) for value in column], "float64")


def _number(value: Any) -> float:
    if not isinstance(value, (numbers.Real, Decimal)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _parsed(text: str | None) -> float:
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan


def _fast_times(column: pa.Array, unit: str) -> NDArray[np.int64] | None:
    """All of a column at once; None if a row needs a closer look."""
    kind = column.type
    if column.null_count:
        return None
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return _within(micros.to_numpy())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for wanted in (pa.int64(), pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                column = column.cast(wanted)
            except pa.ArrowInvalid:
                continue
            return _fast_times(column, unit)
        return None
    if pa.types.is_integer(kind):
        values = column.to_numpy().astype("int64")
        if len(values) and np.abs(values).max() < _LIMIT / max(UNITS[unit], 1):
            found: NDArray[np.int64] = values * int(UNITS[unit]) if unit != "ns" else values // 1000
            return found
        return None
    if pa.types.is_floating(kind):
        scaled = column.to_numpy() * UNITS[unit]
        if len(scaled) and np.abs(scaled).max() < _LIMIT:  # NaN compares as False
            return np.asarray(np.round(scaled), "int64")
    return None


def _within(micros: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return micros if len(micros) == 0 or np.abs(micros).max() < _LIMIT else None


def _time(value: Any, unit: str) -> int | None:
    if isinstance(value, str):
        text = value.strip()
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            value = _parsed(text)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
        micros = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) / _MICROSECOND
    else:
        micros = _number(value) * UNITS[unit]
    return round(micros) if abs(micros) < _LIMIT else None


_MICROSECOND = datetime(1970, 1, 1, 0, 0, 0, 1) - datetime(1970, 1, 1)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column of this type holds vectors of numbers, all of one length."""
    return pa.types.is_fixed_size_list(kind) and is_number(kind.value_type)
