"""A connection that ends with its answer, ended so that the answer arrives.

Where bytes of a body are left unread when a connection is closed, TCP resets it, and the client
may never see the answer that says why its body was refused.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streampca.serve.crowd import Turns


class Linger:
    """Sends the answer, and before it ends the connection takes what is left of the body.

    Parameters
    ----------
    app : ASGI application
    turns : Turns
        How many may do so at once, and how long.
    """

    def __init__(self, app: ASGIApp, turns: Turns) -> None:
        self._app, self._turns = app, turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _ends_with_answer(scope):
            await self._app(scope, receive, send)
            return
        is_read = False

        async def receive_noting() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = not message.get("more_body", False)  # read, or nobody is there
            return message

        async def send_lingering(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and not is_read:
                await send({**message, "more_body": True})
                try:
                    async with self._turns.taken(Request(scope)):
                        while not is_read:
                            await receive_noting()
                except TimeoutError:
                    pass
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, receive_noting, send_lingering)


def _ends_with_answer(scope: Scope) -> bool:
    """Whether a request has a body, and its connection no other request."""
    headers = dict(scope["headers"])
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    waits = b"expect" in headers  # to be told to send it, which it is not
    ends = headers.get(b"connection", b"").lower() == b"close" or scope["http_version"] == "1.0"
    return has_body and ends and not waits
