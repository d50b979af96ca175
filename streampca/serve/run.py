"""The server itself: one process, on this machine only unless told otherwise."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TextIO

import uvicorn

from streampca.checkpoint import CheckpointStore, CheckpointWarning
from streampca.serve.app import create_app
from streampca.serve.connections import Connection

_MOST_TOLD = 10_000


def serve(
    store: str | CheckpointStore,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    rows: Iterable[Any] | None = None,
    rules: Any = None,
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
    rows : iterable, optional
        Rows to show as they come, beside the newest model: lists in the order of its features,
        dictionaries by name, or tuples (key, row). Read in a thread once a page is open.
    rules : Rules, mapping or str, optional
        When such rows make an event; by default, when 3 of 5 are out, until 10 in sequence are not.
    allowed_hosts : collection of str
        Names, beside `host`, localhost and IP addresses, by which browsers may call the server.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """
    server: uvicorn.Server
    app = create_app(
        store,
        rows=rows,
        rules=rules,
        allowed_hosts={host, *allowed_hosts},
        is_stopping=lambda: server.should_exit,
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        http=Connection,  # uvicorn's own limit counts connections that have not asked anything
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
        with _each_file_once(), contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])  # an interrupt is raised again once all is closed


@contextlib.contextmanager
def _each_file_once() -> Iterator[None]:
    """A stray file stays where it is: it is told of once, not with each reading.

    Python's own "once" forgets whenever anybody changes a filter, which libraries do all the time.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        show, told = warnings.showwarning, set[str]()

        def show_once(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, CheckpointWarning):
                if str(message) in told or len(told) >= _MOST_TOLD:
                    return
                told.add(str(message))
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = show_once
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
