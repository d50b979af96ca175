"""`streampca serve`: the page itself is in streampca.serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that browsers may call it by."),
    ] = None,
) -> None:
    """Show a store as a live page, on this machine only unless --host says otherwise."""
    if Path(store).is_file():
        raise ValueError(f"{store}: is a file, not a folder; give the folder of a store")
    from streampca.serve import serve as run  # an extra, and slow to import

    run(store, host=host, port=port, allowed_hosts=tuple(allowed_hosts or ()))
