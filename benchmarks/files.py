"""Reading files costs little beside what is learned from them.

    python -m benchmarks.files            # 2,000,000 x 50 Parquet, and CSV beside an older version
    python -m benchmarks.files --old REF  # the commit whose CSV reader is the other one

Parquet: `streampca fit` beside reading the same file with pyarrow and summing X'X alone, in turns.
CSV: `streampca fit` of this tree and of an older commit, each in a process of its own, in turns.
Ratios of medians; both sides of a ratio run in the same minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
LIMIT = 1.3


def write_parquet(path: Path, n_rows: int, n: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(n)]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(n_rows // 100_000):
            X = rng.normal(size=(n, 100_000))
            writer.write_table(pa.table(dict(zip(names, X, strict=True))))


def write_csv(path: Path, n_rows: int, n: int) -> None:
    X = np.random.default_rng(0).normal(size=(10_000, n))
    block = "\n".join(",".join(map("{:.6f}".format, row)) for row in X.tolist()) + "\n"
    with path.open("w") as file:
        file.write(",".join(f"f{i}" for i in range(n)) + "\n")
        for _ in range(n_rows // 10_000):
            file.write(block)


def bare(path: Path) -> float:
    """Seconds to read a file with pyarrow, in batches of its own size, and to sum X'X."""
    started = time.perf_counter()
    S, total = 0.0, 0.0
    for batch in pq.ParquetFile(path).iter_batches():
        X = np.stack([column.to_numpy() for column in batch.columns])  # (n, m): plain copies
        S, total = S + X @ X.T, total + X.sum(axis=1)
    return time.perf_counter() - started


def fit(path: Path) -> float:
    """Seconds of the whole command in this process."""
    from typer.testing import CliRunner

    from streampca.cli.commands import app

    started = time.perf_counter()
    said = CliRunner().invoke(app, ["fit", str(path), "-n", "5", "--quiet", "--json"])
    seconds = time.perf_counter() - started
    assert said.exit_code == 0, said.stderr
    return seconds


CODE = """
import sys, time
from typer.testing import CliRunner
from streampca.cli.commands import app
started = time.perf_counter()
said = CliRunner().invoke(app, ["fit", sys.argv[1], "-n", "5", "--quiet", "--json"])
assert said.exit_code == 0, said.output
print(time.perf_counter() - started)
"""


def fit_of(tree: Path, path: Path) -> float:
    """Seconds of the command of a tree, without its imports."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", CODE, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextlib.contextmanager
def older(commit: str):
    """A tree of an older commit."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder, "old"))
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", place, commit], check=True, capture_output=True)
        try:
            yield Path(place)
        finally:
            subprocess.run([*git, "remove", "--force", place], check=True, capture_output=True)


def compared(name: str, one, other, turns: int) -> float:
    """The ratio of the medians of two, run in turns."""
    one(), other()  # files in the cache, threads started
    pairs = [(one(), other()) for _ in range(turns)]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{name}: {a:.2f} s beside {b:.2f} s, ratio {a / b:.2f}", flush=True)
    return a / b


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", metavar="REF", help="compare CSV with this commit, too")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--csv-rows", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.parquet")
        write_parquet(path, given.rows, 50)
        found = compared(
            f"Parquet {given.rows:,} x 50, fit beside reading and X'X", lambda: fit(path),
            lambda: bare(path), given.turns,
        )  # fmt: skip
        print(f"limit {LIMIT}: {'kept' if found <= LIMIT else 'missed'}")
        path.unlink()
        if given.old:
            path = Path(folder, "x.csv")
            write_csv(path, given.csv_rows, 20)
            with older(given.old) as tree:
                compared(
                    f"CSV {given.csv_rows:,} x 20, fit beside that of {given.old}",
                    lambda: fit_of(ROOT, path), lambda: fit_of(tree, path), given.turns,
                )  # fmt: skip


if __name__ == "__main__":
    main()
