"""Values of options, each judged once: lists of names, counts, time zones, half-lives.

Knows no option by its name; which value is whose is for options.py to say.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

from streampca.text import nearest


def list_of_names(value: Any, called: str) -> list[str]:
    """Names, with commas between them if they are one text."""
    if isinstance(value, str):  # a name with a comma in it stands between double quotes
        value = next(csv.reader(io.StringIO(value, newline=""), skipinitialspace=True), [])
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise ValueError(f"{called}={value!r} is not accepted: give names")
    found = [str(name).strip() for name in value]
    found = [name for name in found if name]
    if not found:
        raise ValueError(f"{called}: ',' names no column")
    return found


def whole(value: Any, called: str) -> int:
    """A whole number of at least 0."""
    text = str(value)
    if isinstance(value, bool) or re.fullmatch(r"\d{1,9}", text) is None:
        raise ValueError(f"{called} {text}: give a whole number of at least 0")
    return int(text)


def offset_of(zone: str) -> int | None:
    """Microseconds by which a zone such as +01:00 is ahead of UTC; None where it has a name.

    Examples
    --------
    >>> offset_of("-03:30") / 3.6e9, offset_of("Europe/Berlin")
    (-3.5, None)
    """
    found = re.fullmatch(r"([+-])(\d{2}):?([0-5]\d)", zone)
    if found is None or int(found[2]) > 14:
        return None
    minutes = 60 * int(found[2]) + int(found[3])
    return (-1 if found[1] == "-" else 1) * minutes * 60_000_000


def _check_zone(value: str, called: str) -> None:
    if offset_of(value) is not None:
        return
    try:
        zoneinfo.ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = nearest(value, zoneinfo.available_timezones())
        raise ValueError(
            f"{called} {value}: there is no such time zone"
            + (f"; did you mean {hint}?" if hint else "; give one such as Europe/Berlin or +01:00")
        ) from None


def _check_encoding(value: str, called: str) -> None:
    try:
        text = "a,1\n".encode(value).decode(value)
    except (LookupError, ValueError):
        text = ""
    if text != "a,1\n":
        raise ValueError(f"{called} {value}: there is no such encoding; give one such as latin-1")


def _check_delimiter(value: str, called: str) -> None:
    if value not in ("\\t", "tab") and (len(value) != 1 or value in '"\r\n' or not value.isascii()):
        raise ValueError(f"{called} {value!r}: give one sign, such as ; or \\t for a tab")


def _check_format(value: str, called: str) -> None:
    if "%" not in value:
        raise ValueError(f"{called} {value}: give a format such as %d.%m.%Y %H:%M:%S")


def _check_start(value: str, called: str) -> None:
    if value in ("earliest", "latest"):
        return
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            f"{called} {value}: give earliest, latest, or a time in ISO 8601 (UTC where no zone is "
            "given) such as 2026-01-31T12:00"
        ) from None


CHECKS = {
    "start_at": _check_start,
    "timezone": _check_zone,
    "encoding": _check_encoding,
    "delimiter": _check_delimiter,
    "timestamp_format": _check_format,
}

SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def half_life_of(value: Any, called: str = "half_life") -> tuple[float | None, float | None]:
    """Rows, or seconds, in which a row loses half its weight.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> half_life_of("10min"), half_life_of("1000"), half_life_of(500)
    ((None, 600.0), (1000.0, None), (500.0, None))
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|rows?)?", str(value).strip())
    if isinstance(value, bool) or found is None or float(found[1]) <= 0:
        raise ValueError(
            f"{called} {value!r}: give a number of rows, or a time such as 90s, 10min, 1h or 2d"
        )
    if found[2] is None or found[2].startswith("row"):
        return float(found[1]), None
    return None, float(found[1]) * SECONDS[found[2]]


def number_or_share(text: str) -> int | float | str:
    """How many components, or the share of the variance to explain, or "parallel".

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> number_or_share("4"), number_or_share("0.95"), number_or_share("parallel")
    (4, 0.95, 'parallel')
    """
    if text == "parallel":
        return text
    try:
        number: int | float = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        number = 0
    if (isinstance(number, int) and number >= 1) or 0 < number < 1:
        return number
    raise ValueError(
        f"{text}: give a whole number of at least 1, a share of the variance between 0 and 1, or "
        "parallel"
    )
