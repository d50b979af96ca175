"""The server itself: one process, on this machine only unless told otherwise."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Collection

import uvicorn

from streampca import CheckpointStore
from streampca.serve.app import create_app

__all__ = ["serve"]


def serve(
    store: str | CheckpointStore,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    allowed_hosts: Collection[str] = (),
) -> None:
    """Show a store as a live page until interrupted; it is only ever read.

    Parameters
    ----------
    store : str or CheckpointStore
        Folder or URI; it may be empty, or not exist yet.
    host : str, default="127.0.0.1"
        The address to listen on. Any other than loopback shows the store to the network: there is
        no password.
    port : int, default=8765
        0 takes any that is free.
    allowed_hosts : collection of str
        Names, beside `host`, localhost and IP addresses, by which browsers may call the server.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """
    server: uvicorn.Server
    app = create_app(
        store, allowed_hosts={host, *allowed_hosts}, is_stopping=lambda: server.should_exit
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        limit_concurrency=64,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        ws="none",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        number = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        _say(f"http://{shown}:{number}/ shows {getattr(store, 'uri', store)}; Ctrl-C ends it")
        if not _is_loopback(host):
            _say("warning: everyone who can reach this machine can look; there is no password")
        with contextlib.suppress(KeyboardInterrupt):  # raised again once all has been closed
            server.run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
