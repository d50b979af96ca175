"""`streampca serve`: the page itself is in streampca.serve."""

from __future__ import annotations

from typing import Annotated

import typer

from streampca.cli.find import open_store

__all__ = ["serve"]


def serve(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
) -> None:
    """Show a store as a live page, on this machine only unless --host says otherwise."""
    open_store(store)
    from streampca.serve import serve as run  # an extra, and slow to import

    run(store, host=host, port=port)
