"""Every command by its name; one is imported when it is run, or its help is shown."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any

import typer
from typer.main import get_command

from streampca.cli import output
from streampca.cli.app import APP, Commands
from streampca.text import version

_FILES = {
    "fit": "fit",
    "components": "components",
    "history": "components",
    "transform": "transform",
    "calibrate": "calibrate",
    "score": "score",
    "compare": "compare",
    "plot": "plot",
    "export": "export",
    "inspect": "inspect",
    "serve": "serve",
    "store": "store",
}
"""Each command, and the file below `cli` that it is in."""


class _WhenRun(MutableMapping[str, Any]):
    """Commands by name, made when they are first read."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = dict.fromkeys(_FILES)

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            found = getattr(importlib.import_module(f"streampca.cli.{_FILES[name]}"), name)
            if not isinstance(found, typer.Typer):
                alone = typer.Typer(**APP)
                alone.command(name)(found)
                found = alone
            self._made[name] = get_command(found)
            self._made[name].name = name
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class _Commands(Commands):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _WhenRun()


app = typer.Typer(cls=_Commands, name="streampca", no_args_is_help=True, **APP)


def _version(wanted: bool) -> None:
    if wanted:
        output.text(f"streampca {version()}")
        raise typer.Exit


@app.callback()
def about(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Say which version it is."
        ),
    ] = False,
) -> None:
    """Learn ordered principal components from files or a topic, read them, and use them."""
