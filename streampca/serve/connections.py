"""Connections that end: uvicorn's protocol with deadlines, room for others, and errors as JSON.

uvicorn ends idle connections after an answer, and those alone. Here a connection has a deadline
whenever no request of it is under way: to send the first head, the next, or the rest of a body that
is not read any more. Bytes do not put it off. Knows nothing of the store.
"""

from __future__ import annotations

import asyncio
import http
import json
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from streampca.serve.crowd import gives_way, network
from streampca.serve.errors import said
from streampca.serve.guard import HEADERS

_SECONDS = 10.0
"""For a head, and for the other end to take 16 KiB of an answer."""
_LEAST_TAKEN = 16 * 2**10
_WAITING, _WAITING_EACH = 256, 128
"""Connections without a request under way; an address of 128 browsers is a proxy that reopens."""


class Connection(H11Protocol):
    """One connection; made by uvicorn."""

    _deadline: asyncio.TimerHandle | None = None
    _left: int | None = None
    _is_ended = False

    @property
    def is_under_way(self) -> bool:
        """Whether a request has come that has not been answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_complete(self) -> bool:
        """Whether the request is complete, and its answer will end."""
        waits = self.is_under_way and not self.cycle.more_body and not self.cycle.response_started
        return waits and self.scope["path"] not in ("/events", "/rows")

    # --- what asyncio tells -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head, and make room if too many do."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._rest()
        waiting = [each for each in self.connections if isinstance(each, Connection)]
        waiting = [e for e in waiting if not e.is_under_way and not e.transport.is_closing()]
        waiting.sort(key=lambda each: each.since)
        late = gives_way([each.network for each in waiting], _WAITING, _WAITING_EACH)
        if late is not None:
            waiting[late].transport.abort()

    @property
    def network(self) -> str:
        """Whose it is."""
        return network(self.client[0]) if self.client else ""

    def data_received(self, data: bytes) -> None:
        """Bytes: a deadline ends with a request, and only with a request."""
        super().data_received(data)
        self._rest()

    def on_response_complete(self) -> None:
        """Wait for the next request, which may be here already."""
        self.since = self.loop.time()
        super().on_response_complete()
        self._rest()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has closed its side still gets the answer, but not a stream."""
        self._is_ended = True
        return self._is_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing waits any more."""
        self._disarm()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is sent."""
        super().pause_writing()
        if self._deadline is None:
            self._arm()

    # --- deadlines --------------------------------------------------------------------------------

    def _rest(self) -> None:
        if self._is_ended and not self._is_complete:
            self.transport.close()
        elif self.is_under_way:
            self._disarm()
        elif self._deadline is None:
            self._arm()

    def _arm(self) -> None:
        self._left = None
        self._deadline = self.loop.call_later(_SECONDS, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None and not self.flow.write_paused:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        left = self.transport.get_write_buffer_size()
        if left:
            # An answer is still going out. It may take long, but not for ever.
            if self._left is not None and left > self._left - _LEAST_TAKEN:
                self.transport.abort()
                return
            self._deadline = self.loop.call_later(_SECONDS, self._expire)
            self._left = left
        elif self.is_under_way:
            return
        elif self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self._refuse(408, f"the request's head did not end within {_SECONDS:g} seconds")
        else:
            self.transport.close()

    # --- errors -----------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP; h11 says why, and with which status."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError):
            reason = f"the request is no HTTP that can be read: {error}"
            self._refuse(int(error.error_status_hint), reason)
        else:
            self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(said(message)).encode()
            headers = {
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
                "cache-control": "no-store",
                **HEADERS,
            }
            reason = http.HTTPStatus(status).phrase.encode()
            answer = h11.Response(status_code=status, headers=list(headers.items()), reason=reason)
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
