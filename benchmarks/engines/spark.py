"""Spark, two workers of their own processes: batch, keys, scoring, and streams that are killed.

make spark
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyspark
from pyspark.sql import DataFrame, SparkSession

from benchmarks.engines.common import P, check, error, made, measured, report, start
from streampca import Checkpoint, StreamingPCA, merge_all

# --8<-- [start:batch]


def learn(batches):
    """One part of the record batches of a partition, which a filter may have emptied."""
    pca = StreamingPCA(n_components=4)
    for batch in batches:
        pca.partial_fit(batch)
    yield pa.record_batch({"part": [pca.part()]})


def components_of(frame):
    """One model of all rows of a data frame of numbers; arrays are features by name, too."""
    parts = frame.mapInArrow(learn, "part binary").collect()
    return merge_all(row.part for row in parts)


# --8<-- [end:batch]

# --8<-- [start:keys]


def learn_key(key, table):
    """A model for each key: `frame.groupBy("key").applyInArrow(learn_key, ...)`."""
    pca = StreamingPCA(n_components=4).partial_fit(table.drop_columns("key"))
    return pa.table({"key": [key[0].as_py()], "model": [pca.checkpoint().to_bytes()]})


# --8<-- [end:keys]

# --8<-- [start:score]


def scorer(model):
    """What `mapInArrow` calls to give each row its coordinates; the model crosses as bytes."""
    data = model.checkpoint().to_bytes()

    def score(batches):
        checkpoint = Checkpoint.from_bytes(data)
        for batch in batches:
            Z = checkpoint.transform(batch)
            yield pa.record_batch({f"z{j}": Z[:, j] for j in range(Z.shape[1])})

    return score


# --8<-- [end:score]

# --8<-- [start:stream]


class Learner:
    """For `foreachBatch`: a model that is kept with the number of the batch that it has learned.

    Spark may give a batch again after a restart. Both are in one file, which is replaced in one
    step, so that such a batch is known and counts once.
    """

    def __init__(self, path):
        self.path = path

    def __call__(self, batch, number):
        so_far = None
        if self.path.exists():
            so_far = Checkpoint.from_bytes(self.path.read_bytes())
            if number <= so_far.sequence:
                return  # learned before the restart
        parts = batch.mapInArrow(learn, "part binary").collect()
        pca = merge_all([so_far, *(row.part for row in parts)])
        if pca.__sklearn_is_fitted__():
            data = pca.checkpoint(sequence=number).to_bytes()
            fresh = self.path.with_suffix(".new")
            fresh.write_bytes(data)
            os.replace(fresh, self.path)


# --8<-- [end:stream]


ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


def session(folder: Path) -> SparkSession:
    """Two executors, each a process of its own, as on a cluster."""
    for name, value in {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}.items():
        os.environ.setdefault(name, value)
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "900m",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.task.maxFailures": "20",
        "spark.network.timeout": "600s",
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("streampca")
    for name, value in options.items():
        builder = builder.config(name, value)
    made_session = builder.getOrCreate()
    made_session.sparkContext.setLogLevel("OFF")
    return made_session


class Kills:
    """Executors of this program that are ended with SIGKILL, each while one of its tasks runs.

    A task says so by a file, and holds its rows back until all kills are done: how fast a machine
    is does not matter. Spark starts another executor for each, and its tasks anew.
    """

    def __init__(self, times: int, folder: Path) -> None:
        self.times, self.folder, self.done = times, folder, 0
        folder.mkdir()
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def _kill(self) -> None:
        """End the executor above each Python process that has begun a task, once."""
        seen: set[Path] = set()
        until = time.monotonic() + 300.0
        while self.done < self.times and time.monotonic() < until:
            for task in sorted(set(self.folder.glob("task-*")) - seen):
                seen.add(task)
                self.done += _end_executor_above(int(task.name.removeprefix("task-")))
                if self.done == self.times:
                    break
            time.sleep(0.2)
        (self.folder / "over").touch()

    def hold(self) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
        """What `mapInArrow` calls; it crosses to the executors, and knows the folder alone."""
        folder = self.folder

        def held(batches):
            for batch in batches:
                (folder / f"task-{os.getpid()}").touch()
                while not (folder / "over").exists():
                    time.sleep(0.05)
                yield batch

        return held

    def join(self) -> int:
        """How many were ended; it is an error if that is not all."""
        self._thread.join()
        if self.done != self.times:
            raise SystemExit(f"{self.done} of {self.times} executors could be killed")
        return self.done


def _end_executor_above(pid: int) -> bool:
    """Whether the executor of this Python process could be ended: the first Java above it."""
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False  # it ended with the executor that was killed before
        if "(java)" in stat:
            os.kill(pid, signal.SIGKILL)
            return True
        pid = int(stat.rpartition(")")[2].split()[1])
    return False


def batch(frame: DataFrame, X: np.ndarray, folder: Path, kills: int = 2) -> None:
    """Cold, warm, with executors killed; coordinates."""
    version = pyspark.__version__
    for what in ("batch, cold", "batch, warm"):
        with measured() as cost:
            pca = components_of(frame.drop("key"))
        report("Spark", version, what, len(X), check(pca, X), 0, cost)
    killer = Kills(kills, folder / "kills")
    with measured() as cost:
        pca = components_of(frame.drop("key").mapInArrow(killer.hold(), frame.drop("key").schema))
    done = killer.join()
    report("Spark", version, "batch, executors killed", len(X), check(pca, X), done, cost)
    schema = ", ".join(f"z{j} double" for j in range(P))
    with measured() as cost:
        Z = frame.drop("key").mapInArrow(scorer(pca), schema).toPandas().to_numpy()
    off = float(abs(np.sort(Z[:, 0]) - np.sort(pca.transform(X)[:, 0])).max())
    report("Spark", version, "coordinates", len(Z), off, 0, cost)


def theirs(frame: DataFrame, X: np.ndarray) -> None:
    """Spark's own PCA."""
    from pyspark.ml.feature import PCA, VectorAssembler

    columns = [name for name in frame.columns if name != "key"]
    vectors = VectorAssembler(inputCols=columns, outputCol="x").transform(frame)
    for what in ("its own PCA, cold", "its own PCA, warm"):
        with measured() as cost:
            model = PCA(k=P, inputCol="x", outputCol="z").fit(vectors)
        shares = model.explainedVariance.toArray()
        off = error(model.pc.toArray().T, shares * np.cov(X.T).trace(), X)
        report("Spark", pyspark.__version__, what, len(X), off, 0, cost)


def keys(frame: DataFrame, X: np.ndarray) -> None:
    """A model for each key."""
    with measured() as cost:
        schema = "key string, model binary"
        models = frame.groupBy("key").applyInArrow(learn_key, schema).collect()
    off = max(
        check(StreamingPCA.from_checkpoint(Checkpoint.from_bytes(row.model)), X[int(row.key) :: 3])
        for row in models
    )
    if len(models) != 3:
        raise SystemExit(f"{len(models)} models of 3 keys")
    report("Spark", pyspark.__version__, "a model for each of 3 keys", len(X), off, 0, cost)


def written(X: np.ndarray, folder: Path, files: int) -> Path:
    """The rows and a key, one of three, in files."""
    table = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    table["key"] = [str(i % 3) for i in range(len(X))]
    (folder / "rows").mkdir()
    for i, piece in enumerate(np.array_split(np.arange(len(X)), files)):
        table.iloc[piece].to_parquet(folder / "rows" / f"{i:03}.parquet", index=False)
    return folder / "rows"


def main() -> None:
    """All of it, in a folder of its own."""
    X = made()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spark = session(folder)
        frame = spark.read.parquet(str(written(X, folder, 8)))
        batch(frame, X, folder)
        keys(frame, X)
        theirs(frame, X)
        spark.stop()
    start("Spark", pyspark.__version__, "numpy, pandas, pyarrow, pyspark.worker")


if __name__ == "__main__":
    main()
