"""Rows out: CSV, JSON lines or Parquet, to stdout or to a file that appears when it is complete."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from streampca.cli.output import plain
from streampca.files import STDIN, complete, form_of

FORMATS = ("csv", "jsonl", "parquet")


class Writer:
    """Writes tables one after another; use it in a `with` statement.

    Parameters
    ----------
    target : str or None
        A file, whose suffix says the format; "-" or None is stdout.
    form : {"csv", "jsonl", "parquet"}, optional
        By default what the name says, and CSV on stdout.
    """

    def __init__(self, target: str | None, form: str | None = None) -> None:
        if form is not None and form not in FORMATS:
            raise typer.BadParameter(f"--output-format {form}: give one of {', '.join(FORMATS)}")
        self._stdout = target in (None, STDIN)
        self.target = target or STDIN
        self._form = form or ("csv" if self._stdout else form_of(self.target))
        if self._form not in FORMATS:
            raise ValueError(f"{self.target}: is written as {', '.join(FORMATS)} only")
        if self._stdout and self._form == "parquet":
            raise typer.BadParameter("Parquet cannot be written to a pipe; give --output FILE")
        self._stack = ExitStack()
        self._file: Any = None
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def __enter__(self) -> Writer:
        if self._stdout:
            self._file = sys.stdout.buffer
        else:
            self._file = self._stack.enter_context(complete(self.target))
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None and error[0] is None:
            self._writer.close()
        if self._stdout:
            self._file.flush()
        self._stack.__exit__(*error)

    def write(self, columns: dict[str, Any]) -> None:
        """Write rows, the same columns as before.

        Raises
        ------
        ValueError
            If a column changes its type on the way.
        """
        if self._form == "jsonl":
            self._lines(columns)
            return
        table = pa.table({name: pa.array(column) for name, column in columns.items()})
        if self._schema is None:
            self._schema = table.schema
            make = pyarrow.csv.CSVWriter if self._form == "csv" else pq.ParquetWriter
            self._writer = make(self._file, self._schema)
        try:
            self._writer.write_table(table.cast(self._schema))
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{self.target}: a column changes its type between files ({error}); write JSON "
                "lines instead"
            ) from error

    def flush(self) -> None:
        """Hand on what has been written, where somebody may be waiting for it."""
        if self._stdout:
            self._file.flush()

    def _lines(self, columns: dict[str, Any]) -> None:
        lists = [c.to_pylist() if isinstance(c, pa.Array) else plain(c) for c in columns.values()]
        for row in zip(*lists, strict=True):
            line = json.dumps(dict(zip(columns, row, strict=True)), default=str)
            self._file.write(line.encode() + b"\n")
