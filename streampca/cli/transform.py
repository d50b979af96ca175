"""`streampca transform`: coordinates of rows in the components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer

from streampca.cli import options
from streampca.cli.progress import Course, watching
from streampca.cli.sources import sources_of
from streampca.cli.using import Using
from streampca.cli.writer import Writer
from streampca.files import BadRows, Rows, Source, check_topics, names, no_rows
from streampca.files import options as table

Keep = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Columns to pass through as they are.")
]


@options.with_options(*table.READING)
def transform(
    place: options.Place,
    files: options.Files,
    target: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help=".csv, .jsonl or .parquet; or stdout."),
    ] = None,
    key: options.KeyOption = None,
    at: options.At = None,
    keep: Keep = None,
    output_format: Annotated[
        str | None, typer.Option(metavar="csv|jsonl|parquet", help="By default by the suffix.")
    ] = None,
    *,
    asked: dict[str, Any],
) -> None:
    """Write the coordinates of rows in the components.

    Row by row, in constant memory.
    """
    bad_rows = str(asked.pop("bad_rows", "fail"))
    sources = sources_of(files, asked.get("input_format"), place)
    check_topics(sources, asked, table.flag)
    refuse_inputs([*sources, place], target, bad_rows)
    using = Using(place, key, at, asked)
    kept = options.names(keep) or []
    columns = [f"component_{i + 1}" for i in range(using.n_components)]
    n_rows = 0
    with (
        BadRows(bad_rows) as bad,
        Writer(target, output_format) as writer,
        watching(sources, quiet=False) as watch,
    ):
        course = Course(watch)
        for source in sources:
            chosen = using.columns(source, kept)
            for rows, groups in course.of(source, using.read(source, chosen, bad)):
                known = np.zeros(len(rows.values), bool)
                Z = np.full((len(rows.values), len(columns)), np.nan, rows.values.dtype)
                for model, where, values in groups:
                    coordinates = model.transform(values)[:, : len(columns)]
                    Z[where, : coordinates.shape[1]] = coordinates
                    known[where] = True
                out = passed_on(rows, chosen.key, known)
                writer.write(out | dict(zip(columns, Z[known].T, strict=True)))
                n_rows += int(known.sum())
                if source.is_pipe or source.is_topic:
                    writer.flush()
        if n_rows == 0:
            raise ValueError(no_rows(sources, bad.count))


def refuse_inputs(read: Sequence[Source | str], target: str | None, bad_rows: str) -> None:
    """Raise, before anything is opened, if what is written is what is read."""
    names.refuse_inputs([("--output", target), ("--bad-rows", BadRows.file_of(bad_rows))], read)


def passed_on(rows: Rows, key: str | None, known: np.ndarray) -> dict[str, Any]:
    """Columns that are passed through, and the keys, of the rows that a model knows."""
    out = {name: _chosen(column, known) for name, column in rows.kept.items()}
    if rows.keys is not None and key not in out:
        out[str(key)] = _chosen(rows.keys, known)
    return out


def _chosen(column: object, known: np.ndarray) -> object:
    if known.all():
        return column
    if isinstance(column, list):
        return [value for value, keep in zip(column, known.tolist(), strict=True) if keep]
    return column.filter(known)  # type: ignore[attr-defined]
