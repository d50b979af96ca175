"""Columns of a file as event times, by one rule for all of it; what is no time is named by its row.

What numbers mean is settled by the first rows, once, and said: never block by block.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streampca.files.cells import Reasons, cell, is_number, short
from streampca.files.gaps import is_text
from streampca.files.options import UNITS
from streampca.files.values import offset_of
from streampca.files.written import by_format, iso

_LIMIT = 9_223_371_950_454_775_000  # the last instant of Beam's global window

_BELOW = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": 1e20}
"""Numbers below are of this unit, where none is given: seconds up to the year 5138, milliseconds
from 1973 on."""

_DATES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Formats of whole numbers that are dates, by their digits."""

_ZONED = r"(Z|z|[+-]\d\d(:?\d\d)?)$"
_DAY = r"^\d{4}-(\d\d-\d\d|W\d\d(-\d)?)$"
"""A date alone, whose end is no zone."""
_DIGITS = r"^[+-]?\d+(\.\d*)?$"


class Rule(NamedTuple):
    """What the cells of a time column mean."""

    format: str | None = None  # of text, and of numbers that are dates
    unit: str = "s"  # of numbers
    guessed: bool = False  # whether numbers of another size are of another unit
    zone: str | None = None  # of times that name none; UTC where None


def rule_of(
    values: Iterable[Any], format: str | None, unit: str | None, zone: str | None
) -> tuple[Rule, str | None]:
    """The rule for a column by its first cells, and what is to be said of it.

    Examples
    --------
    >>> rule_of(["20260101", "20260102"], None, None, None)[0].format
    '%Y%m%d'
    >>> rule_of([1767225600000], None, None, None)
    (Rule(format=None, unit='ms', guessed=True, zone=None), 'numbers as ms since 1970')
    """
    if format is not None or unit is not None:
        return Rule(format, unit or "s", False, zone), None
    texts = [_digits(value) for value in values if value is not None and value != ""]
    known = [text for text in texts if text is not None]
    if not known or len(known) < len(texts):
        return Rule(zone=zone, guessed=True), None
    for digits, form in _DATES.items():
        dates = [text for text in known if len(text) == digits and _is_date(text, form)]
        if 2 * len(dates) > len(known):  # of other numbers of eight digits one in 25 is a date
            return Rule(form, zone=zone), f"numbers as dates such as {dates[0]}"
    most = max(abs(float(text)) for text in known)
    unit = next((unit for unit, below in _BELOW.items() if most < below), "ns")
    return Rule(None, unit, True, zone), None if unit == "s" else f"numbers as {unit} since 1970"


def _digits(value: Any) -> str | None:
    """A number as text, without decimals where it has none; None for anything else."""
    if isinstance(value, str):
        value = value.strip()
        return value if re.fullmatch(_DIGITS[1:-1], value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e18:
        value = int(value)
    return str(value)


def _is_date(text: str, form: str) -> bool:
    with contextlib.suppress(ValueError):
        return 1900 <= dt.datetime.strptime(text, form).year <= 2100
    return False


def times(column: Any, name: str, rule: Rule) -> tuple[NDArray[np.int64], Reasons]:
    """Event times in microseconds since 1970, UTC, and the rows that have none.

    Parameters
    ----------
    column : Arrow array or list
        Timestamps, dates, numbers, or text: ISO 8601, or as the rule says.
    name : str
        What to call the column.
    rule : Rule

    Examples
    --------
    >>> times(["1970-01-01T00:00:01Z", 2, "noon"], "time", Rule())
    (array([1000000, 2000000,       0]), {2: "column 'time' is 'noon', no time: ..."})
    """
    given = column
    if not isinstance(column, pa.Array):
        column = _as_array(column)
    if isinstance(column, list):  # of several types: one by one
        pairs = [times([value], name, rule) for value in column]
        reasons = {row: each[0] for row, (_, each) in enumerate(pairs) if each}
        return np.array([found[0] for found, _ in pairs], "int64"), reasons
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    naive, absolute = _instants(column, rule)
    wrong: Reasons = {}
    if naive.null_count < len(naive):
        naive, wrong = _located(naive, rule.zone)
    micros = pc.coalesce(naive, absolute)
    found = pc.fill_null(micros, 0).to_numpy(zero_copy_only=False).astype("int64")
    late = np.abs(found) >= _LIMIT
    if micros.null_count == 0 and not late.any():
        return found, {}
    bad = micros.is_null().to_numpy(zero_copy_only=False) | late
    found[bad] = 0
    for row in np.flatnonzero(bad).tolist():
        if row not in wrong:
            wrong[row] = _no_time(cell(given, row), name, rule)
        else:
            wrong[row] = f"column {name!r} is {short(cell(given, row))}, {wrong[row]}"
    return found, wrong


times_of = times
"""The same by a name that does not hide this file in the front."""


def _as_array(values: list[Any]) -> Any:
    """Values of one type as an Arrow array; the list itself where they are of several."""
    try:
        found = pa.array(values)
    except (pa.ArrowException, OverflowError):
        return values if len(values) > 1 else pa.array([str(values[0])])
    return found.cast(pa.string()) if found.type == pa.bool_() else found


def _no_time(value: Any, name: str, rule: Rule) -> str:
    called = f"column {name!r} is {short(value)}"
    number = _digits(value)
    if value is None or value == "":
        return f"column {name!r} is missing: each row needs its time"
    if number is not None and rule.guessed:
        return (
            f"{called}, and the first rows are {rule.unit} since 1970: say --timestamp-unit or "
            "--timestamp-format"
        )
    if rule.format is not None:
        return f"{called}, no time of the format {rule.format}"
    return (
        f"{called}, no time: give ISO 8601 text, or a number of seconds since 1970 "
        "(--timestamp-unit for others), or say --timestamp-format"
    )


# --- instants ---------------------------------------------------------------------------------


def _instants(column: Any, rule: Rule) -> tuple[Any, Any]:
    """Microseconds of times without a zone, and of instants; null in one of both, or in both."""
    kind, none = column.type, pa.nulls(len(column), pa.int64())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return (none, micros) if getattr(kind, "tz", None) else (micros, none)
    if is_number(kind) and not pa.types.is_boolean(kind):
        if rule.format is not None:
            whole = column.cast(pa.int64(), safe=False).cast(pa.string())
            return by_format(whole, rule.format)
        return none, _scaled(column, rule)
    if not is_text(kind):
        return none, none
    text = pc.utf8_trim_whitespace(column)
    if rule.format is not None:
        return by_format(text, rule.format)
    digits = pc.match_substring_regex(text, _DIGITS)
    numbers = pc.if_else(digits, text, None)
    absolute = _scaled(_cast(numbers), rule) if numbers.null_count < len(text) else none
    rest = pc.if_else(digits, None, text)
    zoned = pc.match_substring_regex(rest, r"\d\d:?\d\d.*" + _ZONED)
    zoned = pc.and_(zoned, pc.invert(pc.match_substring_regex(rest, _DAY)))
    with_zone = iso(pc.if_else(zoned, rest, None), pa.timestamp("us", "UTC"))
    without = iso(pc.if_else(zoned, None, rest), pa.timestamp("us"))
    return without, pc.coalesce(absolute, with_zone)


def _cast(text: Any) -> Any:
    for kind in (pa.int64(), pa.float64()):
        with contextlib.suppress(pa.ArrowInvalid):
            return text.cast(kind)
    return pa.nulls(len(text), pa.float64())


def _scaled(column: Any, rule: Rule) -> Any:
    """Numbers since 1970 in microseconds; null where they are of another size than the unit's."""
    scale, limit = UNITS[rule.unit], _LIMIT / UNITS[rule.unit]
    if rule.guessed:
        limit = min(limit, _BELOW[rule.unit])
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    size = np.abs(values.astype("float64"))
    fits = valid & (size < limit)  # NaN is False
    if rule.guessed and rule.unit != "s":
        fits &= (size >= _BELOW[rule.unit] / 1e3) | (size == 0)
    values = np.where(fits, values, 0)
    if values.dtype.kind in "iu":
        micros = (
            values.astype("int64") * int(scale) if scale >= 1 else values.astype("int64") // 1000
        )
    else:
        micros = np.round(values * scale).astype("int64")
    return pa.array(micros, mask=~fits)


def _located(naive: Any, zone: str | None) -> tuple[Any, Reasons]:
    """Instants of local times, and the rows whose time there is twice or not at all."""
    if zone is None or zone == "UTC":
        return naive, {}
    offset = offset_of(zone)
    if offset is not None:
        return pc.subtract(naive.cast(pa.int64()), offset), {}
    zoneinfo.ZoneInfo(zone)  # names what is missing where there is no database
    local = naive.cast(pa.timestamp("us"))
    early = _assumed(local, zone, "earliest", "earliest")
    twice = pc.not_equal(early, _assumed(local, zone, "latest", "earliest"))
    never = pc.not_equal(early, _assumed(local, zone, "earliest", "latest"))
    reasons = {}
    for rows, what in ((twice, "which comes twice"), (never, "which is skipped")):
        for row in np.flatnonzero(pc.fill_null(rows, False).to_numpy(zero_copy_only=False)):
            reasons[int(row)] = f"{what} in {zone} (daylight saving): give times with their offset"
    wrong = pc.or_(pc.fill_null(twice, False), pc.fill_null(never, False))
    return pc.if_else(wrong, None, early.cast(pa.int64())), reasons


def _assumed(local: Any, zone: str, ambiguous: str, nonexistent: str) -> Any:
    return pc.assume_timezone(local, zone, ambiguous=ambiguous, nonexistent=nonexistent)
