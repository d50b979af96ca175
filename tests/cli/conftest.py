"""The command line in this process, and small files of every format."""

import csv
import gzip
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from streampca.cli.commands import app

NAMES = ("oil", "air", "heat", "load")


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Run `streampca ARGUMENTS` in an empty folder; exit code, output, error, JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=None, code=0):
        found = CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)
        assert found.exit_code == code, (found.exit_code, found.stdout, found.stderr)
        assert "Traceback" not in found.stdout + found.stderr
        if code == 2:
            assert found.stdout == ""
            assert found.stderr.startswith("error: ")
            assert found.stderr.count("\n") == 1
        value = json.loads(found.stdout) if "--json" in arguments and code != 2 else None
        return SimpleNamespace(out=found.stdout, err=found.stderr, json=value)

    return run


@pytest.fixture(scope="session")
def rows():
    """Rows (3000, 4) that drift and are off-centre, for `write`."""
    rng = np.random.default_rng(0)
    mix = np.linalg.qr(rng.normal(size=(4, 4)))[0] * [4.0, 3.0, 2.0, 1.0]
    return (rng.normal(size=(3000, 4)) @ mix.T + np.linspace(0, 3, 3000)[:, None] + 50).round(6)


@pytest.fixture
def write(tmp_path):
    """Write rows (m, 4), with more columns in front, to a file of the format its name says."""

    def write(name, X, **more):
        columns = {**more, **dict(zip(NAMES, np.asarray(X).T.tolist(), strict=True))}
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        stem = name.removesuffix(".gz")
        if stem.endswith(".parquet"):
            pq.write_table(pa.table(columns), path, row_group_size=700)
            return name
        records = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        opened = gzip.open if name.endswith(".gz") else open
        with opened(path, "wt", newline="", encoding="utf-8") as file:
            if stem.endswith(".jsonl"):
                file.writelines(json.dumps(record) + "\n" for record in records)
            else:
                writer = csv.writer(file, delimiter="\t" if stem.endswith(".tsv") else ",")
                writer.writerow(columns)
                writer.writerows(record.values() for record in records)
        return name

    return write
