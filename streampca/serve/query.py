"""What a query string asks for: a key, a time, numbers within bounds."""

from __future__ import annotations

import bisect
import datetime
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from streampca.checkpoint import Checkpoint
from streampca.serve.errors import bad, missing
from streampca.serve.reader import Key, Name, Reader
from streampca.text import micros, nearest

__all__ = [
    "Key",
    "checkpoint_of",
    "confidence_of",
    "key_of",
    "key_text",
    "read_key",
    "read_time",
    "takes",
    "until_of",
    "whole",
]


def key_text(key: Key) -> str:
    """How a key is written in a query: as it is, or as JSON where it could be taken for another.

    Examples
    --------
    >>> key_text("press 4"), key_text(4), key_text("4"), key_text(None)
    ('press 4', '4', '"4"', 'null')
    """
    if isinstance(key, str) and _as_json(key) is _NOTHING:
        return key
    return json.dumps(key)


def read_key(text: str) -> Key:
    """The key that a text stands for: JSON's null, whole number or string, or the text itself."""
    found = _as_json(text)
    return text if found is _NOTHING else cast("Key", found)


_NOTHING = object()


def _as_json(text: str) -> object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING
    accepted = found is None or (isinstance(found, (int, str)) and not isinstance(found, bool))
    return found if accepted else _NOTHING


def takes(
    answer: Callable[[Request], Awaitable[Response]], *names: str
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that refuses parameters other than these, and one given twice.

    Without it ``?kye=press`` would be answered as if no key were named: with another model.
    """

    async def checked(request: Request) -> Response:
        given = [name for name, _ in request.query_params.multi_items()]
        for name in given:
            if name not in names:
                near = nearest(name[:64], names)
                meant = (
                    f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}"
                )
                raise bad(f"there is no parameter {name[:64]!r}: {meant}")
            if given.count(name) > 1:
                raise bad(f"parameter {name} is given more than once: give it once")
        return await answer(request)

    return checked


def key_of(request: Request, store: Reader) -> Key:
    """The key of the request; the only one, or the one without a name, where it has none."""
    text = request.query_params.get("key")
    if text is not None:
        key = read_key(text)
        if store.has(key):
            return key
        raise missing(f"there is no key {text[:200]!r}; /keys lists those that there are")
    keys = store.keys.now()
    if not keys:
        raise missing("the store holds no checkpoint yet")
    if None in keys or len(keys) == 1:
        return None if None in keys else keys[0]
    raise bad(f"the store has {len(keys):,} keys: give one as ?key=, as /keys lists them")


def checkpoint_of(request: Request, store: Reader) -> tuple[Key, Checkpoint]:
    """The checkpoint of key, at and sequence; the newest where these say none."""
    key = key_of(request, store)
    time, number = _named(request)
    if number is not None:
        found = store.read(key, (time, number), moments=False)
    elif time is not None:
        found = store.at(time, key)
    else:
        found = store.latest(key)
    if found is None:
        at = request.query_params.get("at")
        when = "" if at is None else f" of a window that had ended by {at[:64]}"
        which = "" if number is None else f" with sequence {number}"
        raise missing(f"key {key_text(key)[:200]} has no checkpoint{when}{which}")
    return key, found


def until_of(request: Request) -> Callable[[Sequence[Name]], int] | None:
    """How many checkpoints lie at or before at and sequence; None where these say none."""
    time, number = _named(request)
    if time is None and number is None:
        return None

    def until(names: Sequence[Name]) -> int:
        # Those without a window come first in a store, as they do here.
        last = (time is not None, time or 0, 2**63 if number is None else number)
        return bisect.bisect_right(names, last, key=lambda n: (n[0] is not None, n[0] or 0, n[1]))

    return until


def _named(request: Request) -> tuple[int | None, int | None]:
    """What at and sequence say."""
    at = request.query_params.get("at")
    number = whole(request, "sequence", -1, 0, 2**63 - 1)
    return None if at is None else read_time(at), None if number < 0 else number


def read_time(text: str) -> int:
    """Microseconds since 1970: given as such, or as ISO 8601 (UTC where no zone is given).

    Examples
    --------
    >>> read_time("1970-01-01T00:01:00Z"), read_time("60000000")
    (60000000, 60000000)
    """
    try:
        if text.removeprefix("-").isdecimal() and len(text) <= 20:
            time = int(text)
        else:
            time = micros(datetime.datetime.fromisoformat(text))
        if -(2**63) < time < 2**63:
            return time
    except (ValueError, OverflowError):
        pass
    raise bad(
        f"at={text[:64]!r} is no time: give ISO 8601, such as 2026-01-01T12:00:00Z, or "
        "microseconds since 1970"
    ) from None


def whole(request: Request, name: str, usual: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    text = request.query_params.get(name)
    if text is None:
        return usual
    if text.isdecimal() and len(text) <= 20 and least <= int(text) <= most:
        return int(text)
    raise bad(f"{name}={text[:64]!r} is not accepted: give a whole number from {least} to {most:,}")


def confidence_of(request: Request) -> float:
    """The share of normal rows that a limit is for."""
    text = request.query_params.get("confidence", "0.99")
    try:
        value = float(text) if len(text) <= 64 else 0.0
    except ValueError:
        value = 0.0
    if 0.0 < value < 1.0:
        return value
    raise bad(
        f"confidence={text[:64]!r} is not accepted: give a number between 0 and 1, such as 0.99"
    )
