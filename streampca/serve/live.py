"""Server-sent events: a line whenever a checkpoint has been written, as long as somebody looks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from streampca import CheckpointStore
from streampca.serve.answers import time_text
from streampca.serve.query import key_text, read_key

__all__ = ["Live"]

_MOST = 16
_EVERY = 1.0
_BEAT = 15.0
"""Seconds; a comment line that often shows proxies, and us, that the other end is still there."""


class Live:
    """Streams of changes, not more than 16 at a time.

    Parameters
    ----------
    store : CheckpointStore
    is_stopping : callable
        Whether the server wants to end; streams then end by themselves.
    every : float
        Seconds between looks at the store.
    """

    def __init__(
        self, store: CheckpointStore, is_stopping: Callable[[], bool], every: float = _EVERY
    ) -> None:
        self._store = store
        self._is_stopping = is_stopping
        self._every = every
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """GET /events?key=."""
        if self._open >= _MOST:
            raise HTTPException(
                503, f"{_MOST} pages look already: close one", headers={"retry-after": "10"}
            )
        return StreamingResponse(
            self._stream(request, request.query_params.get("key")),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _stream(self, request: Request, key: str | None) -> AsyncIterator[str]:
        self._open += 1
        try:
            told, silent = None, 0.0
            yield "retry: 2000\n\n"
            while not self._is_stopping() and not await request.is_disconnected():
                state = await anyio.to_thread.run_sync(self._look, key)
                if state != told:
                    told, silent = state, 0.0
                    yield f"event: change\ndata: {json.dumps(state)}\n\n"
                elif silent >= _BEAT:
                    silent = 0.0
                    yield ": still here\n\n"
                await anyio.sleep(self._every)
                silent += self._every
        finally:
            self._open -= 1

    def _look(self, key: str | None) -> dict[str, Any]:
        """What there is now, from names alone."""
        keys = self._store.keys()
        names = [] if key is None else self._store.written(read_key(key))
        end, sequence = names[-1] if names else (None, None)
        return {
            "keys": [key_text(each) for each in keys],
            "n_checkpoints": len(names),
            "window_end": time_text(end),
            "sequence": sequence,
        }
