"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import datetime
import re
from typing import Annotated

import typer

from streampca import _asked

__all__ = [
    "At",
    "BadRowsOption",
    "InputFormat",
    "Json",
    "KeyOption",
    "duration",
    "names",
    "read_time",
]

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, with the keys of docs/cli.md.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="K", help="Which model of the store; needed where it has many."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="What was known then: ISO 8601 (UTC where no zone is given)."
    ),
]
BadRowsOption = Annotated[
    str,
    typer.Option(
        "--bad-rows",
        metavar="fail|skip|FILE",
        help="What becomes of rows that cannot be used: the first ends the command, or they are "
        "skipped, or written to FILE as JSON lines with the reason.",
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="csv|jsonl|parquet",
        help="By default what the names of the files, or the first bytes of standard input, say.",
    ),
]

_UNITS = {"ms": 1e3, "s": 1e6, "min": 6e7, "m": 6e7, "h": 3.6e9, "d": 8.64e10}


def names(text: str | None) -> list[str] | None:
    """The names in a list with commas.

    Examples
    --------
    >>> names("oil, air")
    ['oil', 'air']
    """
    if text is None:
        return None
    try:
        return _asked.column_names(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def number_or_share(text: str | None) -> int | float | None:
    """How many components, or the share of the variance to explain; None for all.

    Examples
    --------
    >>> number_or_share("4"), number_or_share("0.95"), number_or_share(None)
    (4, 0.95, None)
    """
    if text is None:
        return None
    try:
        return _asked.number_or_share(text)
    except ValueError as error:
        raise typer.BadParameter(f"--n-components {error}") from None


def duration(text: str) -> float | None:
    """Microseconds of a time such as 90s, 10min, 1h or 2d; None for a plain number.

    Examples
    --------
    >>> duration("10min"), duration("1000")
    (600000000.0, None)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?", text.strip())
    if found is None or float(found[1]) <= 0:
        raise typer.BadParameter(
            f"{text!r}: give a number of rows, or a time such as 90s, 10min, 1h or 2d"
        )
    return None if found[2] is None else float(found[1]) * _UNITS[found[2]]


def read_time(text: str | None) -> datetime.datetime | None:
    """A time with its zone; UTC where none is given.

    Examples
    --------
    >>> read_time("2026-01-01 12:00").isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    if text is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"--at {text}: is no time; give ISO 8601, such as 2026-01-01T12:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
