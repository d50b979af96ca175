"""Rows out of a request: a bounded JSON body becomes lists of numbers in the model's order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request

from streampca.checkpoint import Checkpoint
from streampca.serve.crowd import Turns
from streampca.serve.errors import bad

MOST_BYTES = 4 * 2**20
"""About 4,000 rows of 52 features: a chart's worth. More goes through `streampca score`."""
_TOO_LARGE = (
    f"the body is larger than {MOST_BYTES:,} bytes: send fewer rows at a time, or use "
    "`streampca score` for files"
)


async def read_body(request: Request, turns: Turns) -> bytes:
    """The body, if it is JSON, no larger than allowed, and comes in time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(
            415, f"the content type {kind[:64]!r} is not accepted: application/json"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "a content encoding is not accepted: send plain JSON")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MOST_BYTES:
        raise HTTPException(413, _TOO_LARGE)
    body = bytearray()
    try:
        async with turns.taken(request):
            async for chunk in request.stream():  # counted: a length may be missing
                body += chunk
                if len(body) > MOST_BYTES:
                    raise HTTPException(413, _TOO_LARGE)
    except TimeoutError:
        raise HTTPException(
            408,
            f"the body did not arrive within {turns.seconds:g} seconds, or was slower than others",
            headers={"connection": "close"},
        ) from None
    return bytes(body)


def parse(body: bytes) -> list[Any]:
    """The rows of {"rows": [...]}, or of a list alone."""
    try:
        given = json.loads(body, parse_constant=_refuse)
    except RecursionError:
        raise bad("the body is nested too deeply: rows are lists of numbers") from None
    except ValueError as error:
        raise bad(f"the body is no JSON: {error}") from None
    if isinstance(given, dict):
        if set(given) != {"rows"}:
            raise bad('the body must be {"rows": [...]}, or the list of rows alone')
        given = given["rows"]
    if not isinstance(given, list) or not given:
        raise bad("rows must be a list of at least one row")
    return given


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def in_order(rows: Sequence[Any], checkpoint: Checkpoint) -> list[list[Any]]:
    """Each row as a list in the order of the model's features; objects are read by name."""
    n, names = checkpoint.components.shape[1], checkpoint.feature_names
    return [_row(i, row, n, names) for i, row in enumerate(rows)]


def _row(i: int, row: Any, n: int, names: tuple[str, ...] | None) -> list[Any]:
    if isinstance(row, Mapping):
        if names is None:
            raise bad(f"row {i} has names, and the model's features have none: give lists")
        for name in names:
            if name not in row:
                raise bad(f"row {i} lacks the feature {name!r}")
        if len(row) > len(names):
            other = next(name for name in row if name not in names)
            raise bad(f"row {i} has {other[:200]!r}, which is no feature of the model")
        row = [row[name] for name in names]
    if not isinstance(row, list):
        raise bad(f"row {i} is {type(row).__name__}: give a list of {n} numbers, or an object")
    if len(row) != n:
        raise bad(f"row {i} has {len(row)} features, and the model has {n}")
    for j, value in enumerate(row):
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            feature = repr(names[j]) if names else str(j)
            raise bad(f"row {i}, feature {feature} is {str(value)[:50]!r}, and must be a number")
    return row
