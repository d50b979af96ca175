"""Server-sent events: a line whenever a checkpoint has been written, while somebody watches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from streampca.serve.answers import time_text
from streampca.serve.crowd import Slots
from streampca.serve.query import key_text, read_key
from streampca.serve.reader import Key, Reader, Shared

T = TypeVar("T")

_EVERY = 0.5
_OLD = 0.9
"""Seconds; a page hears of a checkpoint after the sum of both at the latest."""
PAGES = "pages", 400, 100
"""Streams at once, in all and of one address."""
BEAT = 15.0
"""Seconds; a comment line that often shows proxies, and us, that the other end is still there."""


def event(name: str, value: Any) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


async def beating(
    news: Callable[[], Awaitable[str | None]], is_stopping: Callable[[], bool]
) -> AsyncIterator[str]:
    """Events as they come (None: there is none), and a sign of life where none comes for long."""
    silent = 0.0
    yield "retry: 2000\n\n"
    while not is_stopping():
        text = await news()
        if text is not None or silent >= BEAT:
            silent = 0.0
            yield text or ": still here\n\n"
        await anyio.sleep(_EVERY)
        silent += _EVERY


class Live:
    """Streams of changes; all of them share what is read of the store.

    Parameters
    ----------
    store : Reader
    is_stopping : callable
        Whether the server wants to end; streams then end by themselves.
    """

    def __init__(self, store: Reader, is_stopping: Callable[[], bool]) -> None:
        self._store = store
        self._slots = Slots(*PAGES)
        self._is_stopping = is_stopping

    async def answer(self, request: Request) -> Response:
        """GET /events?key=."""
        text = request.query_params.get("key")
        key = None if text is None else (read_key(text),)
        return Stream(self._stream(key), self._slots.take(request))

    def _stream(self, key: tuple[Key] | None) -> AsyncIterator[str]:
        told: Any = None
        listed: list[Key] | None = None

        async def changed() -> str | None:
            nonlocal told, listed
            name, more = "change", {}
            try:
                keys, state = await self._state(key)
            except HTTPException as error:  # the next second may be better
                name, keys, state = "problem", None, {"error": error.detail}
            if keys is listed and state == told:
                return None
            if keys is not None and keys is not listed:  # not each time: there may be thousands
                more = {"keys": [key_text(each) for each in keys]}
            told, listed = state, keys
            return event(name, more | state)

        return beating(changed, self._is_stopping)

    async def _state(self, key: tuple[Key] | None) -> tuple[list[Key], dict[str, Any]]:
        """The keys, and what there is of one, from names alone."""
        keys = await _lately(self._store.keys)
        names = await _lately(self._store.written(key[0])) if key else []
        end, sequence = names[-1] if names else (None, None)
        return keys, {
            "n_checkpoints": len(names),
            "window_end": time_text(end),
            "sequence": sequence,
        }


async def _lately(shared: Shared[T]) -> T:
    """What another stream has just read, or a reading in a thread."""
    value = shared.glance(_OLD)
    return await anyio.to_thread.run_sync(shared.lately, _OLD) if value is None else value


class Stream(StreamingResponse):
    """A stream of events that says when it has ended, however it ends."""

    def __init__(self, content: AsyncIterator[str], on_end: Callable[[], None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()
