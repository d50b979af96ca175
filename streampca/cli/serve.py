"""`streampca serve`: the page itself is in streampca.serve."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Annotated

import typer

from streampca.cli import output


def serve(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that browsers may call it by."),
    ] = None,
) -> None:
    """Show a store as a live page.

    On this machine only, unless --host says otherwise.
    """
    if Path(store).is_file():
        raise ValueError(f"{store}: is a file, not a folder; give the folder of a store")
    if "://" not in store and not Path(store).exists():
        output.warn(f"{store}: is not there yet; the page waits for its first checkpoint")
    from streampca.serve import serve as run  # an extra, and slow to import

    try:
        run(store, host=host, port=port, allowed_hosts=tuple(allowed_hosts or ()))
    except OSError as error:
        raise OSError(_why_not(error, host, port)) from error


def _why_not(error: OSError, host: str, port: int) -> str:
    """What is wrong with an address that cannot be listened on, and what to do."""
    unknown = (socket.EAI_NONAME, socket.EAI_NODATA, errno.EADDRNOTAVAIL)
    if isinstance(error, socket.gaierror) or error.errno in unknown:
        return f"--host {host}: is no address of this machine; 127.0.0.1 is, and 0.0.0.0 means all"
    if error.errno == errno.EADDRINUSE:
        return (
            f"--port {port} of {host} is in use by another program (or another streampca serve); "
            "give another number, or --port 0 for any that is free"
        )
    if error.errno in (errno.EACCES, errno.EPERM) and port < 1024:
        return f"--port {port}: only the administrator may listen there; give one from 1024 on"
    return str(error)
