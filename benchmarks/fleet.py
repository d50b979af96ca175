"""A fleet of machines: a model for each, a checkpoint for each window, in one store.

    python -m benchmarks.fleet [--keys 100] [--windows 3333] [--jobs 1] [--folder FOLDER]

Keys have a window of six rows of 50 features every ten minutes: 100 of them for three weeks are
333,300 checkpoints. Each part is measured in a process of its own, on FnApiRunner:

- "yardstick": the same rows, grouped by key and window, and one state and one timer for each key.
- "least": the same, and numpy's sums and `eigh` of each window, of which nothing is written.
- "rows": `LearnComponents(moments="last")` and `WriteCheckpoints`, of the same elements.
- "blocks": the same of elements that hold the rows of an hour of a key, as readers of files give
  them.

Direct runners keep all rows of a job in memory. With ``--jobs 7`` the windows are learned by so
many jobs, one after the other, each of which goes on from the store that the last has written.

Then "day" is 24 windows of each key, beside `GroupByKey | count` and writing the same bytes to one
file, with its fsync. With ``--prism PATH`` that is run on Prism, too, with two workers of a pool.

Times are processor time, of all processes that take part; wall time stands beside it. Each
checkpoint's mean, variances and components are compared with those of numpy's `eigh`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder, TupleCoder, VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    TimestampedValue,
)
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

ROWS, FEATURES, COMPONENTS = 6, 50, 2
WINDOW = 600
START = 1_767_225_600
ROW = tuple[str, np.ndarray]


def rows_of(key: int, windows: int) -> np.ndarray[Any, Any]:
    """All rows of a key: three strong directions, and noise."""
    draws = np.random.default_rng(key)
    mix = np.linalg.qr(draws.normal(size=(FEATURES, FEATURES)))[0]
    spread = np.r_[10.0, 6.0, 3.0, np.full(FEATURES - 3, 0.3)]
    X = draws.normal(size=(windows * ROWS, FEATURES)) * spread
    return np.asarray(X @ mix + draws.normal(size=FEATURES))


class Rows(beam.DoFn):
    """The rows of some windows of a key, with their times: one by one, or so many together."""

    def __init__(self, some: slice, windows: int, together: int, seconds: float) -> None:
        self._some, self._windows, self._together = some, windows, together
        self._seconds = seconds

    def process(self, key: int) -> Iterator[TimestampedValue]:
        X = rows_of(key, self._windows)
        for i in range(self._some.start * ROWS, self._some.stop * ROWS, self._together):
            part = X[i] if self._together == 1 else X[i : i + self._together]
            yield TimestampedValue((f"press {key}", part), START + self._seconds * i)


class Stand(beam.DoFn):
    """One state and one timer for each key."""

    STATE = ReadModifyWriteStateSpec("state", BytesCoder())
    TIMER = TimerSpec("timer", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, bytes],
        time: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(STATE),  # noqa: B008
        timer: Any = beam.DoFn.TimerParam(TIMER),  # noqa: B008
    ) -> None:
        state.read()
        state.write(element[1])
        timer.set(time)

    @on_timer(TIMER)
    def fire(
        self,
        key: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        state: Any = beam.DoFn.StateParam(STATE),  # noqa: B008
    ) -> Iterator[tuple[str, int]]:
        yield key, len(state.read())


class Least(beam.DoFn):
    """What no carried model can do without, in plain numpy: none of streampca is in it.

    The rows of windows wait in a bag for one timer of their key. It adds each window up, solves for
    its eigenpairs, and gives the leading ones with the time of the window.
    """

    ROWS = BagStateSpec("rows", TupleCoder([VarIntCoder(), BytesCoder()]))
    TIMER = TimerSpec("timer", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, bytes],
        time: Any = beam.DoFn.TimestampParam,
        rows: Any = beam.DoFn.StateParam(ROWS),  # noqa: B008
        timer: Any = beam.DoFn.TimerParam(TIMER),  # noqa: B008
    ) -> None:
        rows.add((time.micros, element[1]))
        timer.set(GlobalWindow().max_timestamp())

    @on_timer(TIMER)
    def fire(
        self,
        key: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        rows: Any = beam.DoFn.StateParam(ROWS),  # noqa: B008
    ) -> Iterator[TimestampedValue]:
        total, second, n = np.zeros(FEATURES), np.zeros((FEATURES, FEATURES)), 0
        for micros, data in sorted(rows.read()):
            X = np.frombuffer(data).reshape(-1, FEATURES)
            total, second, n = total + X.sum(0), second + X.T @ X, n + len(X)
            mean = total / n
            values, vectors = np.linalg.eigh((second - n * np.outer(mean, mean)) / (n - 1))
            found = mean, values[::-1], np.ascontiguousarray(vectors[:, -COMPONENTS:].T)
            data = b"".join(array.tobytes() for array in found)
            yield TimestampedValue((key, data), Timestamp(micros=micros))
        rows.clear()


def joined(pair: tuple[str, Any]) -> tuple[str, bytes]:
    """The rows of a window of a key as bytes."""
    return pair[0], b"".join(row.tobytes() for row in pair[1])


def counted(pair: tuple[str, Any]) -> tuple[str, int]:
    """How many rows a window of a key has."""
    return pair[0], sum(1 for _ in pair[1])


def build(what: str, rows: Any, folder: str, before: str | None) -> None:
    """Add what is measured to a pipeline; `before` is the store to go on from."""
    if what == "count":
        _ = rows | beam.GroupByKey() | beam.Map(counted)
    elif what in ("yardstick", "least"):
        grouped = rows | beam.GroupByKey() | beam.Map(joined).with_output_types(tuple[str, bytes])
        step = beam.ParDo(Stand() if what == "yardstick" else Least())
        _ = grouped | beam.WindowInto(GlobalWindows()) | step
    else:
        learned = rows | LearnComponents(COMPONENTS, moments="last", resume_from=before)
        _ = learned | WriteCheckpoints(folder)


def measured(
    what: str, keys: int, some: slice, windows: int, folder: str, flags: list[str]
) -> None:
    """Run one part in this process, and print its seconds and memory."""
    together, seconds = 1, WINDOW / ROWS
    if what == "blocks":  # an hour in one element lies in one window: of an hour
        together = ROWS
    begin, cpu = time.perf_counter(), _cpu()
    options = PipelineOptions(flags or ["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        there = (
            pipeline
            | beam.Create(range(keys))
            | beam.ParDo(Rows(some, windows, together, seconds)).with_output_types(ROW)
            | "Windows" >> beam.WindowInto(FixedWindows(WINDOW))
        )
        build(what, there, folder, folder if some.start else None)
    wall = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": _cpu() - cpu, "wall": wall, "peak": peak}))


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def run(
    what: str,
    keys: int,
    windows: int,
    folder: str = "",
    *flags: str,
    some: slice | None = None,
) -> dict[str, float]:
    """Measure a part, of some windows or all, in a process of its own."""
    some = some or slice(0, windows)
    command = [sys.executable, "-m", "benchmarks.fleet", "--part", what, "--keys", str(keys)]
    command += ["--windows", str(windows), "--first", str(some.start), "--stop", str(some.stop)]
    command += ["--folder", folder, *flags]
    found: dict[str, float] = json.loads(
        subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).splitlines()[-1]
    )
    n = keys * (some.stop - some.start)
    _say(
        f"    {what:12}{found['cpu']:10.1f}{1000 * found['cpu'] / n:10.2f}{found['wall']:10.1f}"
        f"{found['peak']:10,.0f}"
    )
    return found


HEAD = f"    {'':12}{'CPU s':>10}{'ms each':>10}{'wall s':>10}{'peak MB':>10}"


def check(folder: str, keys: int, windows: int, some: int) -> float:
    """The largest difference from numpy, relative to its scale, over checkpoints of some keys."""
    worst = 0.0
    store = CheckpointStore(folder)
    for key in np.random.default_rng(0).permutation(keys)[:some]:
        X = rows_of(int(key), windows)
        history = store.history(f"press {key}", moments=False)
        assert [c.n_samples_seen for c in history] == [ROWS * (i + 1) for i in range(windows)]
        total, second = np.zeros(FEATURES), np.zeros((FEATURES, FEATURES))
        for i, checkpoint in enumerate(history):
            part = X[ROWS * i : ROWS * (i + 1)]
            total, second = total + part.sum(0), second + part.T @ part
            worst = max(worst, _difference(checkpoint, total, second, ROWS * (i + 1)))
    return worst


def _difference(checkpoint: Any, total: Any, second: Any, m: int) -> float:
    mean = total / m
    values, vectors = np.linalg.eigh((second - m * np.outer(mean, mean)) / (m - 1))
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS].T
    signs = np.sign((vectors * checkpoint.components).sum(1))[:, None]
    gap = np.abs(np.diff(values)).min() / values[0]
    return max(
        np.abs(checkpoint.mean - mean).max(),
        np.abs(checkpoint.explained_variance / values - 1).max(),
        # rounding turns directions by its share of the gap between their variances
        gap * np.abs(checkpoint.components * signs - vectors).max(),
    )


def ask(folder: str, keys: int, windows: int) -> None:
    """Time the command line's answers, each in a new process."""
    at = np.datetime64(START + WINDOW * (windows // 2), "s").item().isoformat() + "+00:00"
    for name, command in {
        "history": ["history", folder, "--key", f"press {keys // 2}"],
        "components --at": ["components", folder, "--key", f"press {keys // 2}", "--at", at],
    }.items():
        seconds = []
        for _ in range(5):
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "streampca", *command], check=True, capture_output=True
            )
            seconds.append(time.perf_counter() - begin)
        _say(f"    streampca {name}: {np.median(seconds):.2f} s ({min(seconds):.2f} at best)")
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import streampca.cli"], check=True)
    _say(f"    of that starting Python and importing: {time.perf_counter() - begin:.2f} s")


def size_of(folder: str) -> tuple[int, int]:
    """Bytes and number of the files of a store."""
    found = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    return sum(found), len(found)


def fleet(keys: int, windows: int, jobs: int, checked: int, scratch: str) -> None:
    """The fleet, with rows one by one and in blocks, beside the yardstick."""
    folder = f"{scratch}/fleet"
    _say(f"{keys} keys x {windows:,} windows of {ROWS} rows x {FEATURES} features")
    _say(HEAD)
    stops = [windows * (i + 1) // jobs for i in range(jobs)]
    pieces = [slice(*each) for each in zip([0, *stops[:-1]], stops, strict=True)]
    first, last = pieces[0], pieces[-1]
    base = run("yardstick", keys, windows, some=first)["cpu"]
    least = run("least", keys, windows, some=first)["cpu"] * jobs
    ours = [run("rows", keys, windows, folder, some=some) for some in pieces]
    if jobs > 1:
        base = 0.5 * jobs * (base + run("yardstick", keys, windows, some=last)["cpu"])
        _say(f"    all jobs: CPU {sum(each['cpu'] for each in ours):.1f} s")
    blocks = run("blocks", keys, windows, f"{scratch}/blocks", some=first)["cpu"] * jobs
    n_bytes, n_files = size_of(folder)
    _say(
        f"    CPU {sum(each['cpu'] for each in ours) / base:.2f} times the yardstick's, in blocks "
        f"{blocks / base:.2f} times, the least {least / base:.2f} times; "
        f"{n_bytes / 1e6:,.0f} MB in {n_files} files"
    )
    ask(folder, keys, windows)
    worst = check(folder, keys, windows, checked)
    _say(f"    all checkpoints of {checked} keys are numpy's: largest difference {worst:.1e}")


def day(keys: int, scratch: str, prism: str | None) -> None:
    """24 windows of each key, beside counting rows and writing as many bytes."""
    windows, folder = 24, f"{scratch}/day"
    _say(f"{keys} keys x {windows} windows of {ROWS} rows x {FEATURES} features")
    _say(HEAD)
    base = run("count", keys, windows)
    stand, least = (run(what, keys, windows)["cpu"] for what in ("yardstick", "least"))
    ours = run("rows", keys, windows, folder)
    n_bytes, _ = size_of(folder)
    data = os.urandom(n_bytes)

    def write() -> None:
        with open(f"{scratch}/bytes", "wb") as file:
            file.write(data)
            os.fsync(file.fileno())

    cpu, wall = _cpu(), _timed(write)
    cpu = _cpu() - cpu
    _say(f"    {'bytes':12}{cpu:10.2f}{'':10}{wall:10.2f}    ({n_bytes / 1e6:.1f} MB)")
    ratio = ours["cpu"] / (base["cpu"] + cpu)
    _say(f"    CPU {ratio:.2f} times that of counting and writing the same bytes")
    _say(
        f"    a state and a timer take {stand / base['cpu']:.2f} times that of counting, with "
        f"numpy's eigh {least / base['cpu']:.2f} times: ours is {ours['cpu'] / least:.2f} times "
        "this least"
    )
    if prism is not None:
        on_prism(keys, windows, folder, prism)


def on_prism(keys: int, windows: int, folder: str, prism: str) -> None:
    """The same with two workers of a pool; what they use is read off when they end."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests/support"))
    os.environ["PRISM"] = prism
    import engines

    cpu = _cpu()
    flags = [*engines.flags("prism_pool"), "--sdk_worker_parallelism=2"]
    shutil.rmtree(folder)
    found = run("rows", keys, windows, folder, "--", *flags)
    for server in engines._servers.values():
        server.stop()
    _say(f"    {'on Prism':12}{_cpu() - cpu:10.1f}{'':10}{found['wall']:10.1f}    with its workers")
    n = sum(1 for _ in CheckpointStore(folder).everything(moments=False))
    assert n == keys * windows, n


def _timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Measure all parts, or one of them in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--windows", type=int, default=3333)
    parser.add_argument("--jobs", type=int, default=1, help="of which each goes on from the last")
    parser.add_argument("--checked", type=int, help="keys that are compared with numpy's; all")
    parser.add_argument("--folder", default="", help="where stores are made")
    parser.add_argument("--prism", help="the path of Prism")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--stop", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only-day", action="store_true")
    parser.add_argument("flags", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        some = slice(given.first, given.stop or given.windows)
        measured(given.part, given.keys, some, given.windows, given.folder, given.flags)
        return
    with tempfile.TemporaryDirectory(dir=given.folder or None) as scratch:
        if not given.only_day:
            checked = given.checked or given.keys
            fleet(given.keys, given.windows, given.jobs, checked, scratch)
        day(given.keys, scratch, given.prism)


if __name__ == "__main__":
    main()
