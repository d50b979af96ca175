"""What every request must pass, and what every answer carries; in front of all of the page.

A page on this machine can be reached by any web page that the same browser shows. So: names that
an attacker's DNS may point here are refused (only addresses and known names are answered), no
other origin may read answers, and the page itself loads nothing from anywhere else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streampca.serve.answers import Json
from streampca.serve.errors import said

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

_LONGEST = 32_768
"""Bytes of a URL: a key of 10,000 letters in percent signs."""


class Guard:
    """Host names and headers.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names by which this server may be called, beside "localhost" and any IP address: a
        request that was led here by another's DNS carries that other's name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower().strip("[]") for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan; websockets have no route
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that is refused early."""
        named = Headers(scope=scope).getlist("host")
        host = host_name(named[0]) if len(named) == 1 else None
        if host is None or not self._known(host):
            shown = ", ".join(named)[:200]
            return Json(
                said(
                    f"the host {shown!r} is not answered: call this server by its "
                    "address or as localhost, or start it with that name among allowed_hosts"
                ),
                421,
            )
        length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length > _LONGEST:
            return Json(said(f"the URL has {length:,} bytes, and {_LONGEST:,} are accepted"), 414)
        return None

    def _known(self, host: str) -> bool:
        return host in self._hosts or _is_address(host)


def host_name(header: str) -> str | None:
    """The name or address in a Host header, without port and brackets; None if it holds none.

    Examples
    --------
    >>> host_name("LocalHost:8765"), host_name("[::1]:80"), host_name("a:b:c")
    ('localhost', '::1', None)
    """
    header = header.strip().lower()
    if header.startswith("["):
        host, bracket, port = header[1:].partition("]")
        if not bracket or not _is_address(host):
            return None
        colon, port = port[:1], port[1:]
    else:
        host, colon, port = header.partition(":")
    if not host or (colon not in ("", ":")) or (colon and not port.isdecimal()):
        return None
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
