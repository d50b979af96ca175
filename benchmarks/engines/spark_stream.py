"""Spark's structured streaming: executors and the program itself are killed, and begun again.

make spark
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
import pyspark
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StatefulProcessor

from benchmarks.engines.common import below, check, killed, made, measured, report
from benchmarks.engines.spark import Learner, session, written
from streampca import Checkpoint, StreamingPCA, merge_all

# --8<-- [start:state]


class KeyState(StatefulProcessor):
    """A model for each key, whose part is the state that Spark keeps and brings back."""

    def init(self, handle):
        self.part = handle.getValueState("part", "part binary")

    def handleInputRows(self, key, rows, timerValues):
        pca = StreamingPCA(n_components=4)
        if self.part.exists():
            pca = merge_all([self.part.get()[0]])
        for frame in rows:
            pca.partial_fit(frame.drop(columns="key"))
        self.part.update((pca.part(),))
        model = pca.checkpoint().to_bytes()
        yield pd.DataFrame({"key": [key[0]], "seen": [pca.n_samples_seen_], "model": [model]})


# --8<-- [end:state]


class Watched(Learner):
    """Notes batches that came again, and lingers between its file and Spark's note of the batch."""

    def __call__(self, batch, number):
        before = sequence(self.path)
        super().__call__(batch, number)
        if number <= before:
            with self.path.with_suffix(".again").open("a") as file:
                file.write(f"{number}\n")
        else:
            time.sleep(1.0)


def sequence(path: Path) -> int:
    """The number of the last batch that is in the model."""
    return Checkpoint.from_bytes(path.read_bytes()).sequence if path.exists() else -1


def batches(folder: Path, source):
    return source.drop("key").writeStream.foreachBatch(Watched(folder / "model"))


def states(folder: Path, source):
    schema = "key string, seen long, model binary"
    models = source.groupBy("key").transformWithStateInPandas(KeyState(), schema, "Append", "None")
    return models.writeStream.format("parquet").option("path", str(folder / "models"))


def stream(spark: SparkSession, which: str, folder: Path) -> None:
    """Learn all files that are there, a file to a batch, and end."""
    rows = folder / "rows"
    schema = spark.read.parquet(str(rows)).schema
    source = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(rows))
    writer = {"batches": batches, "states": states}[which](folder, source)
    progress = writer.option("checkpointLocation", str(folder / "progress"))
    progress.trigger(availableNow=True).start().awaitTermination()


def program(which: str, folder: Path, executors: int) -> None:
    """What is killed and begun again: a stream in a session of its own, that loses executors."""
    spark = session(folder)
    done: list[int] = []
    thread = threading.Thread(target=end_executors, args=(executors, done))
    thread.start()
    stream(spark, which, folder)
    thread.join()
    (folder / "executors").write_text(str(len(done)))
    spark.stop()


def end_executors(times: int, done: list[int]) -> None:
    """End one of this program's executors with SIGKILL now and then; Spark starts another."""
    for _ in range(times):
        time.sleep(6.0)
        for pid in below(os.getpid()):
            with suppress(OSError):  # it may end meanwhile
                if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    done.append(pid)
                    break


def through_kills(which: str, folder: Path, kills: int = 2, executors: int = 1) -> int:
    """Run it to its end; how often it or an executor was killed at a random moment on the way."""
    draws = random.Random(0)
    noted = {
        "batches": lambda: sequence(folder / "model"),
        "states": lambda: len(list((folder / "progress" / "commits").glob("[0-9]*"))),
    }[which]
    command = [sys.executable, "-m", "benchmarks.engines.spark_stream", which, str(folder)]
    for i in range(kills + 1):
        before = noted()
        last = i == kills
        process = subprocess.Popen(
            [*command, str(executors if last else 0)], stderr=(folder / f"log{i}").open("wb")
        )
        while process.poll() is None and (last or noted() <= before):
            time.sleep(0.05)
        if not last:
            time.sleep(draws.uniform(0.0, 1.0))
            if process.poll() is None:
                killed(process.pid)
                process.wait()
                continue
        if process.returncode or not last:
            print((folder / f"log{i}").read_text()[-3000:])
            raise SystemExit(f"the stream ended with {process.returncode} after {i} kills")
    return kills + int((folder / "executors").read_text())


def measure(which: str, X: np.ndarray, run: Callable[[str, Path], int], files: int) -> None:
    """A line of the table, of a run that says how many kills it met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(X, folder, files)
        with measured() as cost:
            done = run(which, folder)
        off, what = {"batches": judged_batches, "states": judged_states}[which](folder, X)
    what = f"{what}, program and executors killed" if done else what
    report("Spark", pyspark.__version__, what, len(X), off, done, cost)


def judged_batches(folder: Path, X: np.ndarray) -> tuple[float, str]:
    again = folder / "model.again"
    times = len(again.read_text().split()) if again.exists() else 0
    model = Checkpoint.from_bytes((folder / "model").read_bytes())
    off = check(StreamingPCA.from_checkpoint(model), X)
    return off, f"foreachBatch ({times} batches came again)"


def committed(folder: Path) -> list[str]:
    """The files that Spark says are there; a task that was killed leaves others behind."""
    lines = [
        json.loads(line)
        for note in (folder / "_spark_metadata").iterdir()
        if not note.name.startswith(".")
        for line in note.read_text().splitlines()[1:]
    ]
    return sorted({unquote(urlparse(line["path"]).path) for line in lines})


def judged_states(folder: Path, X: np.ndarray) -> tuple[float, str]:
    """The last model of each key; a model is never given twice."""
    models = pd.concat(map(pd.read_parquet, committed(folder / "models")))
    if models.duplicated(["key", "seen"]).any():
        raise SystemExit("a model was given twice")
    last = models.sort_values("seen").groupby("key").last()["model"]
    parts = {key: Checkpoint.from_bytes(data) for key, data in last.items()}
    for key, part in parts.items():
        check(StreamingPCA.from_checkpoint(part), X[int(key) :: 3])
    return check(merge_all(parts.values()), X), "transformWithStateInPandas, 3 keys"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        program(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        for each in sys.argv[1:] or ("batches", "states"):
            measure(each, made(), through_kills, files=6)
