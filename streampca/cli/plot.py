"""`streampca plot`: the figures of streampca.plots into a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from streampca.cli import options, output
from streampca.cli.find import find, find_history
from streampca.cli.using import Using
from streampca.files import BadRows, atomic, check_topics, names, no_rows
from streampca.files import options as table

__all__ = ["plot"]

_OF_ROWS = ("scores", "control")
_KINDS = ("scree", "loadings", "drift", "acs", *_OF_ROWS)
_SUFFIXES = (".png", ".svg", ".pdf")


_ASKED = [each for each in table.READING if not each.name.startswith(("timestamp", "key"))]


@options.with_options(*_ASKED)
def plot(
    kind: Annotated[str, typer.Argument(metavar="|".join(_KINDS), help="What to draw.")],
    place: Annotated[
        str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints, or one's file.")
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Rows, for scores and control: Parquet, CSV or JSON lines; or -."),
    ] = None,
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Ends with .png, .svg or .pdf.")
    ] = "",
    key: options.KeyOption = None,
    at: options.At = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="B",
            help="For acs: the store or file to compare with; default: the "
            "first checkpoint of STORE.",
        ),
    ] = None,
    n_components: Annotated[
        int | None, typer.Option(min=1, metavar="P", help="How many components to draw.")
    ] = None,
    confidence: Annotated[
        float, typer.Option(metavar="SHARE", help="Of normal rows that lie within a limit.")
    ] = 0.99,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows to draw: the last ones.")
    ] = 10_000,
    *,
    asked: dict[str, Any],
) -> None:
    """Draw a model, its history, or rows beside it."""
    if kind not in _KINDS:
        raise typer.BadParameter(f"{kind!r}: give one of {', '.join(_KINDS)}")
    if Path(target).suffix not in _SUFFIXES:
        raise typer.BadParameter(
            f"--output {target or 'FILE'} is needed; the name must end with {', '.join(_SUFFIXES)}"
        )
    if bool(files) != (kind in _OF_ROWS):
        needs = "needs FILES of rows" if kind in _OF_ROWS else "draws no rows: leave FILES out"
        raise typer.BadParameter(f"{kind} {needs}")
    from streampca import plots  # an extra, and slow to import

    if kind in _OF_ROWS:
        mode = str(asked.pop("bad_rows", "fail"))
        sources = names.find(files or [], asked.get("input_format"))
        check_topics(sources, asked, table.flag, ends=True)
        names.refuse_inputs([("--output", target), ("--bad-rows", _file(mode))], [*sources, place])
        using = Using(place, key, at, asked, moments=True)
        rows = _last_rows(using, sources, mode, last)
        if kind == "scores":
            figure = plots.plot_scores(using.first, rows, confidence=confidence)
        else:
            figure = plots.plot_control(using.first, rows, confidence=confidence)
    elif kind == "drift":
        figure = plots.plot_components(find_history(place, key), n_components=n_components)
    elif kind == "acs":
        now = find(place, key, at)
        other = find_history(place, key)[0] if against is None else find(against, key)
        titles = ("newest", "first") if against is None else (place, against)
        figure = plots.plot_acs(now, other, names=titles)
    else:
        draw = plots.plot_scree if kind == "scree" else plots.plot_loadings
        figure = draw(find(place, key, at), n_components=n_components)
    made = io.BytesIO()
    figure.savefig(made, format=Path(target).suffix[1:])
    atomic.write(target, made.getvalue())
    output.text(target)


def _file(mode: str) -> str | None:
    return None if mode in ("fail", "skip") else mode


def _last_rows(using: Using, sources: Any, bad_rows: str, last: int) -> Any:
    """The last rows of the files: a figure needs them all at once."""
    kept: list[Any] = []
    with BadRows(bad_rows) as bad:
        for source in sources:
            chosen = using.columns(source, kept=(), gaps=False)
            for rows, _ in using.read(source, chosen, bad):
                kept.append(rows.values)
                while sum(map(len, kept[1:])) >= last:
                    kept.pop(0)
        if not kept:
            raise ValueError(no_rows(sources, bad.count))
    return np.concatenate(kept)[-last:]
