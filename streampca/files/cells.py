"""Columns of a file as numbers and as keys; what cannot be read is named by its row."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streampca.arrays import sum_of_squares
from streampca.files.gaps import NUMBER, Missing, is_text
from streampca.rows import is_number as is_number_of_arrow

Reasons = dict[int, str]

_DEFAULT = Missing.of()


def matrix(
    columns: Sequence[Any],
    names: Sequence[str],
    *,
    gaps: bool = False,
    largest: float = math.inf,
    missing: Missing = _DEFAULT,
) -> tuple[NDArray[Any], Reasons]:
    """Columns as a matrix (rows, features), and the rows that hold anything but finite numbers.

    Parameters
    ----------
    columns : list of Arrow arrays or lists
        One for each feature; or a single one of lists, all as long as there are names.
    names : list of str
        Of the features.
    gaps : bool, default=False
        Whether what is missing (null, NaN, an empty cell) is let through, as NaN.
    largest : float
        Numbers beyond it count as unusable too.
    missing : Missing
        Which cells stand for a missing number.

    Examples
    --------
    >>> matrix([[1, 2], [3.5, "wet"]], ["oil", "air"])
    (array([[1. , 3.5],
           [2. , nan]]), {1: "feature 'air' is 'wet', not a finite number"})
    """
    wrong: Reasons = {}
    if len(columns) == 1 and (len(names) > 1 or _are_lists(columns[0])):
        values, wrong = _of_lists(columns[0], len(names), names)
        entries = None
    else:
        values = missing.without(_side_by_side(columns, missing))
        entries = columns
    if _all_usable(values, largest):
        return values, wrong
    return values, _unusable(values, names, entries, gaps, largest, missing, wrong)


def _side_by_side(columns: Sequence[Any], missing: Missing) -> NDArray[Any]:
    arrays = [_numbers(column, missing) for column in columns]
    if len({array.dtype for array in arrays}) == 1 and len(arrays) > 1 and len(arrays[0]):
        batch = pa.RecordBatch.from_arrays(
            [pa.array(array) for array in arrays], [str(i) for i in range(len(arrays))]
        )
        found: NDArray[Any] = batch.to_tensor().to_numpy()  # row by row, by Arrow: blocked copies
        return found
    values = np.empty((len(arrays[0]), len(arrays)), np.result_type(*arrays))
    for j, array in enumerate(arrays):
        values[:, j] = array
    return values


# --- one column -------------------------------------------------------------------------------


def _numbers(column: Any, missing: Missing) -> NDArray[Any]:
    """A column as float32 or float64, NaN where it holds no number."""
    if not isinstance(column, pa.Array):
        return np.array([_number(value) for value in column], "float64")
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _numbers(column.cast(kind.value_type), missing)
    if is_text(kind):
        return _parsed(column, missing)
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        column = column.cast(pa.float64() if not pa.types.is_boolean(kind) else pa.uint8())
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        small = array.dtype.kind == "f" and array.dtype.itemsize <= 4
        return array.astype("float32" if small else "float64", copy=False)
    return np.full(len(column), np.nan)


def _parsed(column: Any, missing: Missing) -> NDArray[np.float64]:
    """Numbers of texts, as Arrow's CSV reader takes them."""
    text = pc.utf8_trim_whitespace(column)
    fits = pc.match_substring_regex(text, NUMBER)
    fits = pc.and_(fits, pc.invert(pc.is_in(text, pa.array(sorted(missing.texts), text.type))))
    found = pc.cast(pc.if_else(fits, pc.utf8_ltrim(text, "+"), None), pa.float64())
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _number(value: Any) -> float:
    if not isinstance(value, (numbers.Real, Decimal)):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.inf


# --- a column of lists ------------------------------------------------------------------------


def width_of(column: Any) -> int | None:
    """How many numbers the first list of a column has."""
    for row in range(len(column)):
        found = cell(column, row)
        if isinstance(found, (list, tuple)):
            return len(found)
    return None


def _are_lists(column: Any) -> bool:
    if isinstance(column, pa.Array):
        return _is_list(column.type)
    return any(isinstance(value, (list, tuple)) for value in column)


def _of_lists(column: Any, width: int, names: Sequence[str]) -> tuple[NDArray[Any], Reasons]:
    """A column whose entries are rows; those of another length get a reason."""
    called = names[0].rpartition("_")[0]
    reasons: Reasons = {}
    given = column
    if not isinstance(column, pa.Array):
        column = pa.array([_plain_list(value) for value in column], pa.list_(pa.float64()))
    lengths = pc.list_value_length(column)
    fits = pc.fill_null(pc.equal(lengths, width), False).to_numpy(zero_copy_only=False)
    if not fits.all():
        for row in np.flatnonzero(~fits).tolist():
            found = lengths[row].as_py()
            what = f"a list of {found} numbers, not of {width}"
            if found is None:
                there = not isinstance(given, pa.Array) and given[row] is not None
                what = f"{short(given[row])}, not a list of {width} numbers" if there else "missing"
            reasons[row] = f"column {called!r} is {what}"
    flat = column.filter(pa.array(fits)).flatten()
    some = _numbers(flat, _DEFAULT).reshape(-1, width)
    if not reasons:
        return some, reasons
    values = np.zeros((len(column), width), some.dtype)
    values[fits] = some
    return values, reasons


def _plain_list(value: Any) -> list[float] | None:
    return [_number(each) for each in value] if isinstance(value, (list, tuple)) else None


# --- what cannot be used ----------------------------------------------------------------------


def _all_usable(values: NDArray[Any], largest: float) -> bool:
    """Whether the sum of all squares, in one pass, shows that all can be used."""
    if not (values.flags.c_contiguous or values.flags.f_contiguous):
        return False
    return sum_of_squares(values) <= min(largest, float(np.finfo(values.dtype).max), 1e150) ** 2


def _unusable(
    values: NDArray[Any],
    names: Sequence[str],
    columns: Sequence[Any] | None,
    gaps: bool,
    largest: float,
    missing: Missing,
    wrong: Reasons,
) -> Reasons:
    largest = min(largest, float(np.finfo(values.dtype).max))
    usable = np.abs(values) <= largest  # NaN is False
    if usable.all():
        return wrong
    reasons = dict(wrong)
    for row in np.flatnonzero(~usable.all(axis=1)).tolist():
        for j in np.flatnonzero(~usable[row]).tolist():
            value = values[row, j].item() if columns is None else cell(columns[j], row)
            if not (gaps and missing.holds(value)) and row not in reasons:
                reasons[row] = (
                    f"feature {names[j]!r} is {_trouble(value, float(values[row, j]), missing)}"
                )
                break
    return reasons


def _trouble(value: Any, number: float, missing: Missing) -> str:
    if missing.holds(value) and value == value:  # NaN is said as it is
        return "missing"
    if math.isfinite(number):
        return f"{short(value)}, too large to be squared and summed"
    if isinstance(value, (dict, list)):
        what = "an object" if isinstance(value, dict) else "a list"
        return f"{what} ({short(value)}), not a number"
    return f"{short(value)}, not a finite number"


def cell(column: Any, row: int) -> Any:
    """A value of a column as Python has it."""
    value = column[row]
    return value.as_py() if isinstance(value, pa.Scalar) else value


def short(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# --- types ------------------------------------------------------------------------------------


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers, or nothing, or categories of numbers."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return is_number_of_arrow(kind) or bool(pa.types.is_null(kind))


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind))


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists of numbers."""
    return _is_list(kind) and is_number(kind.value_type)


# --- keys -------------------------------------------------------------------------------------

_ALONE = {pa.float16(): 2**11, pa.float32(): 2**24}
"""From here on a float stands for more than one whole number; from 2**53 on in float64."""


def keys(column: Any, name: str) -> tuple[list[Any], Reasons]:
    """Keys as text or whole numbers, and the rows that have none.

    Text stays the text that it is ("1" and "1.0" are two keys, NA is one), whole numbers stay
    such, and a float that is whole (1.0) is that whole number, unless it is so large that others
    are rounded to it: two keys would become one. Nothing, and empty text, is no key.

    Examples
    --------
    >>> keys(["NA", 1.0, "1.0", ""], "press")
    (['NA', 1, '1.0', ''], {3: "the key 'press' is missing"})
    """
    found = column.to_pylist() if isinstance(column, pa.Array) else list(column)
    largest = _ALONE.get(column.type, 2**53) if isinstance(column, pa.Array) else 2**53
    reasons: Reasons = {}
    for row, key in enumerate(found):
        if isinstance(key, float) and largest <= abs(key) < math.inf:
            reasons[row] = (
                f"the key {name!r} is {key}, a float that other whole numbers are rounded to: "
                "write keys as whole numbers or as text"
            )
        elif isinstance(key, (float, Decimal)) and math.isfinite(key) and key == int(key):
            found[row] = int(key)
        elif key is None or key == "" or key != key:
            reasons[row] = f"the key {name!r} is missing"
        elif isinstance(key, bool) or not isinstance(key, (str, int)):
            reasons[row] = f"the key {name!r} is {short(key)}: keys must be text or whole numbers"
    return found, reasons
