"""What the programs of this folder share: rows, numpy's answer, processes, a line of the table.

Each program runs one engine as people install it, kills some of its processes, and says how far the
components are from those of all rows once.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.engines import table

P = 4
"""Components."""


def made(n_rows: int = 24_000, n: int = 16, seed: int = 0) -> np.ndarray:
    """Rows with variances of all sizes and a mean that is not zero."""
    draws = np.random.default_rng(seed)
    mixing = np.linalg.qr(draws.normal(size=(n, n)))[0] * 3.0 ** -np.arange(n)
    return draws.normal(size=(n_rows, n)) @ mixing.T + np.arange(n)


def error(components: Any, variances: Any, X: np.ndarray) -> float:
    """How far components (p, n) and variances (p,) are from those of all rows, each once.

    Of the largest variance: the difference of the variances, and what the covariance does to a
    component beyond scaling it.
    """
    covariance = np.cov(X.T)
    true = np.linalg.eigvalsh(covariance)[::-1][: len(variances)]
    beyond = components @ covariance - np.asarray(variances)[:, None] * components
    return float(max(np.abs(variances - true).max(), np.abs(beyond).max()) / true[0])


def check(pca: Any, X: np.ndarray) -> float:
    """The error of an estimator that has to have learned these rows, each once."""
    if pca.n_samples_seen_ != len(X):
        raise SystemExit(f"{pca.n_samples_seen_} rows were learned, not {len(X)}")
    off = error(pca.components_, pca.explained_variance_, X)
    if not off < 1e-12:
        raise SystemExit(f"components are off by {off:.1e}")
    return off


class Cost(NamedTuple):
    """Seconds, filled in when what is measured ends."""

    wall: list[float]
    cpu: list[float]


@contextmanager
def measured() -> Iterator[Cost]:
    """Wall time, and CPU time of this process and of all below it, those that ended included."""
    cost, wall, cpu = Cost([], []), time.perf_counter(), _cpu()
    yield cost
    cost.wall.append(time.perf_counter() - wall)
    cost.cpu.append(_cpu() - cpu)


def _cpu() -> float:
    """CPU seconds of this process and its descendants; of an orphan's children only while alive."""
    stats = _stats()
    seconds = (sum(map(int, stats[pid][11:15])) for pid in below(os.getpid(), stats))
    return sum(seconds) / os.sysconf("SC_CLK_TCK")


def _stats() -> dict[int, list[str]]:
    """What the kernel says of each process, from its state on."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
    return stats


def below(pid: int, stats: dict[int, list[str]] | None = None) -> set[int]:
    """A process and its descendants, as far as they run."""
    stats = _stats() if stats is None else stats
    wanted = {pid} & set(stats)
    while more := {each for each, stat in stats.items() if int(stat[1]) in wanted} - wanted:
        wanted |= more
    return wanted


def killed(pid: int) -> None:
    """End a process and all below it with SIGKILL, as a machine that fails ends them."""
    for each in below(pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def quick() -> bool:
    """Whether the command line asks for the small sizes that continuous integration can afford."""
    parser = argparse.ArgumentParser(description="Run an engine; its lines go into the table.")
    parser.add_argument("--quick", action="store_true", help="few rows and kills; keep no lines")
    return bool(parser.parse_args().quick)


def start(engine: str, version: str, imports: str, learned: str = "numpy.eye(8)") -> None:
    """What a worker's start takes: what the engine imports there anyway, and streampca with it."""
    ours = f"from streampca import StreamingPCA; StreamingPCA(2).partial_fit({learned}).part()"
    for what, line in {"without": "", "with": ours}.items():
        code = f"import time, pathlib, {imports}\n{line}\nprint(time.process_time())\n"
        code += "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
        begun = time.perf_counter()
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        cost = Cost([time.perf_counter() - begun], [float(answer.stdout.split()[0])])
        memory = int(answer.stdout.split()[1]) / 1024
        report(engine, version, f"start of a worker, {what} streampca", 0, None, 0, cost, memory)


def report(
    engine: str,
    version: str,
    what: str,
    rows: int,
    off: float | None,
    kills: int,
    cost: Cost,
    memory: float | None = None,
) -> None:
    """Print a line of the table in docs/engines.md, and keep it in the place of an older one."""
    off_text = "" if off is None else f"{off:.0e}"
    memory_text = "" if memory is None else f"{memory:.0f}"
    wall, cpu = sum(cost.wall), sum(cost.cpu)
    values = (engine, version, what, f"{rows:,}", off_text, kills, f"{wall:.1f}", f"{cpu:.1f}")
    line = dict(zip(table.COLUMNS, map(str, (*values, memory_text)), strict=True))
    print(table.row(line), flush=True)
    if "--quick" not in sys.argv:
        table.keep(line)
