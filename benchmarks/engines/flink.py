"""Flink on a cluster of its own: a model for each key in keyed state, a task manager killed.

make flink
"""

from __future__ import annotations

import base64
import tempfile
import time
from pathlib import Path

import numpy as np
import pyflink.version
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import Encoder
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink, FileSource, StreamFormat
from pyflink.datastream.functions import KeyedProcessFunction
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from benchmarks.engines.common import check, made, measured, report, start
from benchmarks.engines.flink_cluster import Cluster
from streampca import Checkpoint, StreamingPCA, merge_all

# --8<-- [start:keyed]


class Learn(KeyedProcessFunction):
    """A model for each key: a part is its state, beside rows that wait until there are enough.

    Takes (key, numbers of a row), gives (key, rows learned, checkpoint).
    """

    def open(self, context):
        data, row = Types.PRIMITIVE_ARRAY(Types.BYTE()), Types.PRIMITIVE_ARRAY(Types.DOUBLE())
        self.part = context.get_state(ValueStateDescriptor("part", data))
        self.rows = context.get_list_state(ListStateDescriptor("rows", row))
        self.waiting = context.get_state(ValueStateDescriptor("waiting", Types.LONG()))

    def process_element(self, value, context):
        self.rows.add(value[1])
        waiting = (self.waiting.value() or 0) + 1
        self.waiting.update(waiting)
        context.timer_service().register_event_time_timer(2**63 - 1)  # when the stream ends
        if waiting == 200:  # state is read and written as bytes: that costs milliseconds
            yield self.learn(context.get_current_key())

    def on_timer(self, timestamp, context):
        if self.waiting.value():
            yield self.learn(context.get_current_key())

    def learn(self, key):
        part = self.part.value()
        pca = merge_all([part]) if part else StreamingPCA(n_components=4)
        pca.partial_fit(np.array(list(self.rows.get())))
        self.part.update(pca.part())
        self.rows.clear()
        self.waiting.clear()
        return key, pca.n_samples_seen_, pca.checkpoint().to_bytes()


SETTINGS = {
    "execution.checkpointing.interval": "1s",
    # A checkpoint does not wait for rows that are on their way to a slow operator, ...
    "execution.checkpointing.unaligned.enabled": "true",
    # ... but it does for the rows that Python has been given: no more than these, and not longer.
    "python.fn-execution.bundle.size": "50",
    "python.fn-execution.bundle.time": "100",
}
# --8<-- [end:keyed]


def row_of(line: str, seconds: float) -> tuple[str, list[float]]:
    """A key and numbers of a line, which may take its time: so there is something to kill."""
    time.sleep(seconds)
    key, *numbers = line.split(",")
    return key, [float(number) for number in numbers]


def text_of(answer: tuple[str, int, bytes]) -> str:
    return f"{answer[0]},{answer[1]},{base64.b64encode(answer[2]).decode()}"


def submitted(cluster: Cluster, folder: Path, seconds: float):
    """Submit the job; the client of it."""
    config = Configuration()
    for name, value in SETTINGS.items():
        config.set_string(name, value)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    env.set_parallelism(2)
    lines = FileSource.for_record_stream_format(
        StreamFormat.text_line_format(), str(folder / "rows")
    ).build()
    pair = Types.TUPLE([Types.STRING(), Types.PRIMITIVE_ARRAY(Types.DOUBLE())])
    data = Types.PRIMITIVE_ARRAY(Types.BYTE())
    model = Types.TUPLE([Types.STRING(), Types.LONG(), data])
    sink = FileSink.for_row_format(str(folder / "models"), Encoder.simple_string_encoder()).build()
    (
        env.from_source(lines, WatermarkStrategy.no_watermarks(), "rows")
        .map(lambda line: row_of(line, seconds), pair)
        .key_by(lambda row: row[0], Types.STRING())
        .process(Learn(), model)
        .map(text_of, Types.STRING())
        .sink_to(sink)
    )
    return env.execute_async("streampca")


def run(cluster: Cluster, folder: Path, X: np.ndarray, what: str, kills: int = 0) -> None:
    """One job; a task manager is killed whenever two more checkpoints are there."""
    with measured() as cost:
        client = submitted(cluster, folder, 0.002 if kills else 0.0)
        job = str(client.get_job_id())
        for _ in range(kills):
            cluster.wait_for_checkpoints(job, cluster.checkpoints(job) + 2)
            cluster.kill_one()
        client.get_job_execution_result().result()
    if (restored := cluster.restored(job)) < kills:
        raise SystemExit(f"{kills} task managers killed, but state was restored {restored} times")
    if not cluster.unaligned(job):
        raise SystemExit("checkpoints were aligned: a setting was not taken")
    off = judged(folder / "models", X)
    report("Flink", pyflink.version.__version__, what, len(X), off, kills, cost)


def judged(models: Path, X: np.ndarray) -> float:
    """The error of the last models of all keys together; no answer may have come twice."""
    answers = [
        line.split(",")
        for path in models.rglob("*")
        if path.is_file() and not path.name.startswith(".")
        for line in path.read_text().splitlines()
    ]
    counts = [(key, int(count)) for key, count, _ in answers]
    if len(set(counts)) != len(counts):
        raise SystemExit("an answer came twice")
    last = {key: data for key, _, data in sorted(answers, key=lambda each: int(each[1]))}
    parts = [Checkpoint.from_bytes(base64.b64decode(data)) for data in last.values()]
    for key, part in zip(last, parts, strict=True):
        check(StreamingPCA.from_checkpoint(part), X[int(key) :: 3])
    return check(merge_all(parts), X)


JOBS = {"cold": 0, "warm": 0, "task managers killed": 2}
"""Kills of each."""


def main() -> None:
    """Cold, warm, and with task managers killed; the client's JVM starts with the cold job."""
    X = made()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows").mkdir()
        for i, piece in enumerate(np.array_split(np.arange(len(X)), 8)):
            lines = [f"{k % 3}," + ",".join(map(repr, X[k].tolist())) for k in piece]
            (folder / "rows" / f"{i}.csv").write_text("\n".join(lines) + "\n")
        with Cluster(folder / "flink", managers=2) as cluster:
            for i, (what, kills) in enumerate(JOBS.items()):
                place = folder / str(i)
                place.mkdir()
                (place / "rows").symlink_to(folder / "rows")
                run(cluster, place, X, f"keyed state of 3 keys, {what}", kills)
    version = pyflink.version.__version__
    start("Flink", version, "numpy, pyarrow, pyflink.fn_execution.beam.beam_boot")


if __name__ == "__main__":
    main()
