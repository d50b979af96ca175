"""The files of rows that a command is given; a store in their place is named in one line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from streampca.checkpoint import is_store_folder
from streampca.files import Source, names


def sources_of(files: Sequence[str], form: str | None, place: str | None = None) -> list[Source]:
    """The sources that names and patterns stand for.

    Parameters
    ----------
    files : sequence of str
    form : str, optional
        Their format.
    place : str, optional
        Where the model is, if it is given before them.

    Raises
    ------
    ValueError
        If one is a store, or cannot be read.
    """
    stores = [each for each in files if is_store_folder(os.fspath(each))]
    if stores:
        said = f"{stores[0]} is a store of checkpoints, not a file of rows"
        if place is None:
            raise typer.BadParameter(f"{said}: --output names the store, and files are of rows")
        if Path(place).is_file():
            raise typer.BadParameter(
                f"{said}, and {place} a file: the store comes first, then files of rows"
            )
        raise typer.BadParameter(f"{said}: give files of rows after {place}")
    found: list[Source] = names.find(files, form)
    return found
