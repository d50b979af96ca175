"""DuckDB's and pyarrow's readers of CSV and JSON lines on files that are hard to read.

    python -m benchmarks.readers

For each file what either makes of it when it has to find out by itself; docs/files.md draws the
conclusion.
"""

from __future__ import annotations

import bz2
import gzip
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json

ROWS = "".join(f"{i},{i + 0.5},{i * 2}\n" for i in range(5))
CSV = {
    "plain": "a,b,c\n" + ROWS,
    "a sign at the end of rows": "a,b,c\n" + ROWS.replace("\n", ",\n"),
    "a sign at the end of all lines": "a,b,c,\n" + ROWS.replace("\n", ",\n"),
    "ragged": "a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n7,8,9\n",
    "newlines in cells": 'a,b,c\n1,2,"x\ny"\n3,4,"z"\n5,wet,"q"\n',
    "units": "a,b,c\n[s],[bar],[K]\n1,2,3\n4,5,6\n",
    "preamble": "# made by X\n# 2026\na,b,c\n1,2,3\n4,5,6\n",
    "CR": "a,b,c\r1,2,3\r4,5,6\r",
    "UTF-16": "a,b,ü\n1,2,3\n4,5,6\n".encode("utf-16"),
    "latin-1": "a,b,ü\n1,2,3\n4,5,6\n".encode("latin-1"),
    "names twice": "a,a,c\n1,2,3\n",
    "decimal comma": "a;b;c\n1,5;2,5;3\n4,5;5;6\n",
    "keys": "k,b\nNA,1\nnull,3\n,5\n1,7\n1.0,9\n",
    "one bad cell": "a,b,c\n1,2,3\n4,wet,6\n7,8,9\n",
    "random bytes": np.random.default_rng(0).bytes(10_000),
    "gzip cut short": gzip.compress(("a,b,c\n" + ROWS * 1000).encode())[:-200],
    "bzip2": bz2.compress(("a,b,c\n" + ROWS).encode()),
}
JSON = {
    "a later member": '{"a": 1}\n{"a": 2, "b": 3}\n',
    "NaN": '{"a": NaN}\n{"a": 1}\n',
    "half a line": '{"a": 1}\n{"a":',
    "a member twice": '{"a": 1, "a": 2}\n',
    "deep": '{"a": ' + "[" * 200 + "]" * 200 + "}\n",
    "two objects in a line": '{"a": 1}{"a": 2}\n',
}


def shown(rows: object) -> str:
    return str(rows)[:150]


def by_duckdb(path: Path, query: str) -> str:
    connection = duckdb.connect()
    try:
        found = connection.sql(query.format(path))
        rows = found.fetchall()
        said = f"{found.columns} {shown(rows[:3])}, {len(rows)} rows"
        if "store_rejects" in query:
            rejected = connection.sql("select line, error_type from reject_errors").fetchall()
            said += f", rejected {rejected[:2]}" if rejected else ""
    except duckdb.Error as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
    return said


def by_arrow_csv(path: Path) -> str:
    bad: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        bad.append(row.number)
        return "skip"

    try:
        found = pyarrow.csv.read_csv(
            path,
            pyarrow.csv.ReadOptions(use_threads=False),
            pyarrow.csv.ParseOptions(invalid_row_handler=note, newlines_in_values=True),
        )
        return f"{found.column_names} {shown(found.slice(0, 3).to_pylist())}, bad rows {bad[:3]}"
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"


def by_arrow_json(path: Path) -> str:
    try:
        return shown(pyarrow.json.read_json(path).to_pylist()[:3])
    except (pa.ArrowInvalid, ValueError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in CSV.items():
            ending = {"gzip cut short": ".csv.gz", "bzip2": ".csv.bz2"}.get(name, ".csv")
            path = Path(folder, "x" + ending)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
            print(f"CSV, {name}")
            query = "select * from read_csv('{}', store_rejects=true)"
            print(f"  duckdb   {by_duckdb(path, query)}\n  pyarrow  {by_arrow_csv(path)}")
        for name, text in JSON.items():
            path = Path(folder, "x.jsonl")
            path.write_text(text)
            print(f"JSON lines, {name}")
            query = "select * from read_json('{}', format='newline_delimited')"
            print(f"  duckdb   {by_duckdb(path, query)}\n  pyarrow  {by_arrow_json(path)}")


if __name__ == "__main__":
    main()
