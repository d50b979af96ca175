"""What an engine costs: the main job on Prism with one and two workers, beside this process.

    python -m benchmarks.beam_engines            (ROWS=48000 TURNS=1: few rows, once)

100 keys, 24 windows of an hour, 20 features: wall time, and CPU time of all processes of a job.
Each way runs three times in turn; the median is printed. Prism and the pool start anew each time,
but before the clock does. On a machine that does other work, only CPU times can be compared.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
import engines

from beam_pipelines import run

KEYS, HOURS, FEATURES = 100, 24, 20
TURNS = int(os.environ.get("TURNS", "3"))
ROWS = int(os.environ.get("ROWS", "480000"))


def write(folder: Path) -> None:
    """Eight files of rows of all keys, in the order of their times."""
    rng = np.random.default_rng(0)
    each = ROWS // 8
    for i in range(8):
        seconds = np.sort(rng.integers(0, HOURS * 3600 // 8, each)) + i * HOURS * 3600 // 8
        columns = {"time": seconds, "key": rng.integers(0, KEYS, each).astype(str)}
        X = rng.normal(size=(each, FEATURES)) * np.linspace(3, 1, FEATURES)
        columns |= {f"x{j}": X[:, j] for j in range(FEATURES)}
        pq.write_table(pa.table(columns), folder / f"rows{i}.parquet")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and those that it has started, ended ones too."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    total += sum(map(int, fields[11:15])) / ticks
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                total += cpu_of(int(stat.parent.name))
        except OSError:
            continue
    return total


def measure(folder: Path, way: str) -> tuple[float, float]:
    """Wall and CPU seconds of one job."""
    servers = [] if way == "direct" else [engines.start_prism(), engines.start_pool()]
    flags = engines.flags("direct")
    if servers:
        prism, pool = servers
        flags = ["--runner=PortableRunner", f"--job_endpoint=localhost:{prism.port}"]
        flags += ["--environment_type=EXTERNAL", f"--environment_config=localhost:{pool.port}"]
        flags += [f"--sdk_worker_parallelism={way[0]}"]
    store = tempfile.mkdtemp(dir=folder)
    given = ["--input", f"{folder}/rows*.parquet", "--timestamp-column", "time", "--key-column"]
    given += ["key", "--timestamp-unit", "s", "--window", "1h", "--n-components", "3", "--output"]
    pids = [os.getpid(), *(server.process.pid for server in servers)]
    try:
        before, begun = [cpu_of(pid) for pid in pids], time.perf_counter()
        assert run.main([*given, store, *flags]) == 0
        wall = time.perf_counter() - begun
        cpu = sum(cpu_of(pid) for pid in pids) - sum(before)
    finally:
        for server in servers:
            server.stop()
    n_files = len(list(Path(store).rglob("*.parquet")))
    if n_files != KEYS * HOURS:
        print(f"{way}: {n_files:,} checkpoints and not {KEYS * HOURS:,}")
    return wall, cpu


def main() -> None:
    """Run every way in turn, and print a table."""
    ways = ["direct", "1 worker on Prism", "2 workers on Prism"]
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as text:
        write(Path(text))
        for _ in range(TURNS):
            for way in ways:
                found[way].append(measure(Path(text), way))
    print(f"{ROWS:,} rows, {KEYS} keys, {HOURS} windows: {KEYS * HOURS:,} checkpoints")
    print(f"{os.cpu_count()} cores; processes that want them: {os.getloadavg()[0]:.1f}")
    print("| way | wall, s | CPU, s |\n|---|---|---|")
    for way, times in found.items():
        wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
        print(f"| {way} | {wall:.1f} | {cpu:.1f} |")


if __name__ == "__main__":
    main()
