"""`streampca transform`: coordinates of rows in the components."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from streampca.cli import options
from streampca.cli.fit import check_format
from streampca.cli.reading import BadRows
from streampca.cli.source import find_sources
from streampca.cli.using import Using
from streampca.cli.writer import Writer

__all__ = ["transform"]

Files = Annotated[
    list[str],
    typer.Argument(help="Parquet, CSV or JSON lines; patterns; URIs; - for standard input."),
]
Place = Annotated[
    str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints, or one's file.")
]
KeyColumn = Annotated[
    str | None, typer.Option(metavar="C", help="Each row's model: the one of this column's value.")
]
ColumnNames = Annotated[
    str | None,
    typer.Option(metavar="A,B,...", help="The features; default: by their names in the model."),
]
Keep = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Columns to pass through as they are.")
]


def transform(
    place: Place,
    files: Files,
    target: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help=".csv, .jsonl or .parquet; or stdout."),
    ] = None,
    key: options.KeyOption = None,
    at: options.At = None,
    key_column: KeyColumn = None,
    columns: ColumnNames = None,
    keep: Keep = None,
    bad_rows: options.BadRowsOption = "fail",
    input_format: options.InputFormat = None,
    output_format: Annotated[
        str | None, typer.Option(metavar="csv|jsonl|parquet", help="By default by the suffix.")
    ] = None,
) -> None:
    """Write the coordinates of rows in the components, row by row, in constant memory."""
    check_format(input_format)
    using = Using(place, key, at, key_column)
    sources = find_sources(files, input_format)
    kept = options.names(keep) or []
    gaps = using.first.settings.get("missing") == "impute"
    names = [f"component_{i + 1}" for i in range(using.n_components)]
    bad = BadRows(bad_rows)
    with Writer(target, output_format) as writer:
        for source in sources:
            chosen = using.columns(source, columns=options.names(columns), kept=kept, gaps=gaps)
            for rows, groups in using.read(source, chosen, bad):
                known = np.zeros(len(rows.values), bool)
                Z = np.full((len(rows.values), len(names)), np.nan, rows.values.dtype)
                for model, where, values in groups:
                    coordinates = model.transform(values)[:, : len(names)]
                    Z[where, : coordinates.shape[1]] = coordinates
                    known[where] = True
                out = {name: _chosen(column, known) for name, column in rows.kept.items()}
                if rows.keys is not None and key_column not in out:
                    out[str(key_column)] = _chosen(rows.keys, known)
                writer.write(out | dict(zip(names, Z[known].T, strict=True)))
    bad.close()


def _chosen(column: object, known: np.ndarray) -> object:
    if known.all():
        return column
    if isinstance(column, list):
        return [value for value, keep in zip(column, known.tolist(), strict=True) if keep]
    return column.filter(known)  # type: ignore[attr-defined]
