"""Spark's structured streaming: the program itself is killed with SIGKILL and started again.

make spark
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyspark

from benchmarks.engines.common import check, made, measured, report
from benchmarks.engines.spark import Learner, session
from streampca import Checkpoint, StreamingPCA

FILES = 24


def stream(folder: Path) -> None:
    """Learn all files that are there, a file to a batch, and end."""
    spark = session(folder)
    rows = folder / "rows"
    schema = spark.read.parquet(str(rows)).schema
    source = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(rows))
    query = (
        source.writeStream.foreachBatch(Learner(folder / "model"))
        .option("checkpointLocation", str(folder / "progress"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    spark.stop()


def children(pid: int) -> list[int]:
    """Processes below a process."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    direct = [int(each) for each in found.stdout.split()]
    return [*direct, *(below for each in direct for below in children(each))]


def main(kills: int = 4) -> None:
    """Run it, kill it at random moments once it learns, and run it to its end."""
    X = made()
    draws = random.Random(0)
    with tempfile.TemporaryDirectory() as name, measured() as cost:
        folder = Path(name)
        (folder / "rows").mkdir()
        for i, piece in enumerate(np.array_split(X, FILES)):
            frame = pd.DataFrame(piece, columns=[f"x{j}" for j in range(X.shape[1])])
            frame.to_parquet(folder / "rows" / f"{i:03}.parquet")
        command = [sys.executable, "-m", "benchmarks.engines.spark_stream", str(folder)]
        done = 0
        while True:
            before = learned_by(folder)
            program = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while done < kills and program.poll() is None and learned_by(folder) <= before:
                time.sleep(0.05)
            if done >= kills:
                program.wait()
            time.sleep(draws.uniform(0.0, 1.0))
            if program.poll() is not None:
                break
            for pid in (program.pid, *children(program.pid)):
                os.kill(pid, signal.SIGKILL)
            program.wait()
            done += 1
        if program.returncode:
            raise SystemExit(f"the stream ended with {program.returncode}")
        data = (folder / "model").read_bytes()
    pca = StreamingPCA.from_checkpoint(Checkpoint.from_bytes(data))
    what = "foreachBatch, program killed"
    report("Spark", pyspark.__version__, what, len(X), check(pca, X), done, cost)


def learned_by(folder: Path) -> int:
    """The number of the last batch that is in the model."""
    try:
        return Checkpoint.from_bytes((folder / "model").read_bytes()).sequence
    except FileNotFoundError:
        return -1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        stream(Path(sys.argv[1]))
    else:
        main()
