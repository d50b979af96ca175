"""What continuous integration can afford of Spark: one session, few rows, an executor killed.

make others
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.engines.common import made, quick
from benchmarks.engines.spark import batch, keys, session, written
from benchmarks.engines.spark_stream import measure, stream


def once(which: str, folder: Path) -> int:
    """A stream without kills, in the session that is there."""
    stream(SparkSession.active(), which, folder)
    return 0


def main() -> None:
    X = made(6_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spark = session(folder)
        frame = spark.read.parquet(str(written(X, folder, 4)))
        batch(frame, X, folder, kills=1)
        keys(frame, X)
        measure("batches", X, once, files=2)
        measure("states", X, once, files=2)
        spark.stop()


if __name__ == "__main__":
    if not quick():
        raise SystemExit("its lines are not for the table: give --quick")
    main()
