"""What the programs of this folder share: rows, numpy's answer, processes, a line of the table.

Each program runs one engine as people install it, kills some of its processes, and says how far the
components are from those of all rows once.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).parents[1] / "results" / "engines.csv"
COLUMNS = ("engine", "version", "what", "rows", "error", "kills", "wall_s", "cpu_s")

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
    stats: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            stats[int(entry.name)] = int(text[1]), sum(map(int, text[11:15]))
    wanted = {os.getpid()}
    while more := {pid for pid, (parent, _) in stats.items() if parent in wanted} - wanted:
        wanted |= more
    return sum(stats[pid][1] for pid in wanted if pid in stats) / os.sysconf("SC_CLK_TCK")


def report(
    engine: str, version: str, what: str, rows: int, off: float | None, kills: int, cost: Cost
) -> None:
    """Print a line of the table in docs/engines.md, and keep it."""
    off_text = "" if off is None else f"{off:.0e}"
    wall, cpu = sum(cost.wall), sum(cost.cpu)
    line = (engine, version, what, f"{rows:,}", off_text, kills, f"{wall:.1f}", f"{cpu:.1f}")
    print("| " + " | ".join(map(str, line)) + " |", flush=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, line] if new else [line])
