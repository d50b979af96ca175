"""Times that are text, in microseconds: ISO 8601 or of a format, by Arrow where that is sure."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from streampca.text import micros


def iso(text: Any, kind: pa.DataType) -> Any:
    """ISO 8601 text in microseconds, by Arrow; one by one where it does not take them."""
    if text.null_count == len(text):
        return pa.nulls(len(text), pa.int64())
    with contextlib.suppress(pa.ArrowInvalid):
        return text.cast(kind).cast(pa.int64())
    return _one_by_one(text, _iso_time)


def by_format(text: Any, form: str) -> tuple[Any, Any]:
    """Microseconds of times without a zone, and of instants; null in one of both, or in both.

    Examples
    --------
    >>> by_format(pa.array(["1.1.1970", "30.2.1970"]), "%d.%m.%Y")[0].to_pylist()
    [0, None]
    """
    none = pa.nulls(len(text), pa.int64())

    def parse(text: str) -> dt.datetime:
        return _strictly(text, form)

    if "%z" not in form and not re.search(r"%[^YmdHMSyTFDR%]", form):
        found = pc.strptime(text, format=form, unit="s", error_is_null=True)
        sure = _sure(found, text, form)
        whole = pc.multiply(found.cast(pa.int64()), 1_000_000)
        others = _one_by_one(pc.if_else(sure, None, text), parse)
        return pc.if_else(sure, whole, others), none
    found = _one_by_one(text, parse)
    return (none, found) if "%z" in form else (found, none)


def _sure(found: Any, text: Any, form: str) -> Any:
    """Which times Arrow has certainly read as they stand.

    It takes the 30th of February for the 2nd of March, 60 seconds for the next minute, and 26 for
    a year of four digits. What may be such is written again, and must be its text but for zeros
    in front of numbers.
    """
    odd = pc.or_(pc.less_equal(pc.day(found), 3), pc.less_equal(pc.second(found), 1))
    odd = pc.or_(odd, pc.less(pc.year(found), 1000))
    odd = pc.fill_null(odd, False)
    pair = found.filter(odd), text.filter(odd)
    plain = [
        pc.replace_substring_regex(each, r"\b0+(\d)", r"\1")
        for each in (pc.strftime(pair[0], format=form), pair[1])
    ]
    same = pc.and_(pc.equal(*plain), pc.greater_equal(pc.year(pair[0]), 1000))
    return pc.replace_with_mask(found.is_valid(), odd, same)


def _strictly(text: str, form: str) -> dt.datetime:
    found = dt.datetime.strptime(text, form)
    if "%j" in form and f"{found:%j}".lstrip("0") not in text:
        raise ValueError("a year of 365 days has no day 366")
    return found


def _iso_time(text: str) -> dt.datetime:
    if re.fullmatch(r"\d+W?\d*", text):
        raise ValueError("digits alone are no ISO 8601 here: they may be a number")
    return dt.datetime.fromisoformat(text)


def _one_by_one(text: Any, parse: Callable[[str], dt.datetime]) -> Any:
    return pa.array([_micros(value, parse) for value in text.to_pylist()], pa.int64())


def _micros(value: str | None, parse: Callable[[str], dt.datetime]) -> int | None:
    if value is None:
        return None
    try:
        return micros(parse(value))
    except ValueError:
        return None
