"""Server-sent events: a line whenever a checkpoint has been written, while somebody watches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
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

__all__ = ["BEAT", "Live", "Stream", "event"]

T = TypeVar("T")

_EVERY = 0.5
_OLD = 0.9
"""Seconds; a page hears of a checkpoint after the sum of both at the latest."""
BEAT = 15.0
"""Seconds; a comment line that often shows proxies, and us, that the other end is still there."""


def event(name: str, value: Any) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


class Live:
    """Streams of changes; all of them share what is read of the store.

    Parameters
    ----------
    store : Reader
    slots : Slots
        How many there may be.
    is_stopping : callable
        Whether the server wants to end; streams then end by themselves.
    """

    def __init__(self, store: Reader, slots: Slots, is_stopping: Callable[[], bool]) -> None:
        self._store = store
        self._slots = slots
        self._is_stopping = is_stopping

    async def answer(self, request: Request) -> Response:
        """GET /events?key=."""
        text = request.query_params.get("key")
        key = None if text is None else (read_key(text),)
        return Stream(self._stream(key), self._slots.take(request))

    async def _stream(self, key: tuple[Key] | None) -> AsyncIterator[str]:
        told: Any = None
        listed, silent = None, 0.0
        yield "retry: 2000\n\n"
        while not self._is_stopping():
            try:
                keys, state = await self._state(key)
                if keys is not listed:  # sent where they have changed: there may be thousands
                    name, news = "change", {"keys": [key_text(each) for each in keys]} | state
                else:
                    name, news = "change", state
            except HTTPException as error:  # the next second may be better
                keys, state = None, {"error": error.detail}
                name, news = "problem", state
            if keys is not listed or state != told:
                told, listed, silent = state, keys, 0.0
                yield event(name, news)
            elif silent >= BEAT:
                silent = 0.0
                yield ": still here\n\n"
            await anyio.sleep(_EVERY)
            silent += _EVERY

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
