"""Ten million rows change neither memory, nor speed, nor orthogonality.

    python -m benchmarks.soak                       both, 10^7 rows each
    python -m benchmarks.soak river --rows 100000000

Through River one row at a time, as dictionaries; through Beam in Arrow batches of 1,000 rows, as
files are read (single rows would take minutes there: benchmarks/beam_throughput.py has their
speed), dealt to 1,000 windows that are open from early on. Rows come from a fixed pool over and
over, so that batch PCA of all of them is known. After each twentieth: rows per second of processor
time, resident memory, how far the decoder's columns are from orthonormal, and its subspace from
batch PCA's.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_pipelines import LearnComponents
from streampca.river import PCA

PARTS = 20
WIDTH, P = 20, 5
WINDOWS, BATCH = 1000, 1000

# What is promised, whatever the machine.
ORTHOGONALITY = 1e-5
GROWTH_MIB = 16.0  # of resident memory after a quarter: room for the allocator, not for rows
DECAY = 0.8  # of the speed of the second quarter is left in the last


class Reading(NamedTuple):
    """Where a run stands."""

    rows: int
    seconds: float  # of this process: whatever else the machine does is not counted
    resident: float  # MiB
    orthogonality: float | None
    angle: float | None  # sine of the largest principal angle to batch PCA of the pool


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def pool(m: int, n: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    mix = np.linalg.qr(rng.normal(size=(n, n)))[0] * np.geomspace(10, 0.5, n)
    return (rng.normal(size=(m, n)) @ mix.T + 100).astype(dtype)


def truth(rows: np.ndarray) -> np.ndarray:
    """The first P principal directions (n, P) of the pool, in float64."""
    X = rows.astype("float64")
    return np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:P].T


def off(components: np.ndarray, directions: np.ndarray) -> tuple[float, float]:
    """How far from orthonormal (p, n), and from the span of these directions (n, p)."""
    C = components.astype("float64")
    gram = float(np.abs(C @ C.T - np.eye(len(C))).max())
    return gram, float(np.linalg.norm(C - (C @ directions) @ directions.T, 2))


# --- River ----------------------------------------------------------------------------------------


def through_river(total: int) -> Iterator[Reading]:
    X = pool(20_000, WIDTH, "float64")
    names = [f"x{i}" for i in range(WIDTH)]
    rows = [dict(zip(names, row, strict=True)) for row in X.tolist()]
    directions, pca = truth(X), PCA(P)
    learn, done, spent = pca.learn_one, 0, 0.0
    for part in range(1, PARTS + 1):
        stop = total * part // PARTS
        started = time.process_time()
        while done < stop:
            for row in rows[done % len(rows) : done % len(rows) + stop - done]:
                learn(row)
                done += 1
        C = np.array([[c[name] for name in names] for c in pca.components_.values()])
        spent += time.process_time() - started
        yield Reading(done, spent, resident(), *off(C, directions))


# --- Beam -----------------------------------------------------------------------------------------

SEEN: list[Reading] = []
"""Of the run under way: the runner works in this process."""
POOL: list[np.ndarray] = []


class Batches(beam.DoFn):
    """Record batches of the pool, dealt to windows of a second; notes how far it has come."""

    def __init__(self, total: int, windows: int) -> None:
        self._total = total
        self._windows = windows

    def process(self, _: Any) -> Iterator[TimestampedValue]:
        X, total = POOL[0], self._total
        batches = [
            pa.record_batch(
                [pa.FixedSizeListArray.from_arrays(pa.array(X[i : i + BATCH].ravel()), WIDTH)],
                ["x"],
            )
            for i in range(0, len(X), BATCH)
        ]
        started, part = time.process_time(), 1
        for done in range(0, total, BATCH):
            if done >= total * part // PARTS:
                spent = time.process_time() - started
                SEEN.append(Reading(done, spent, resident(), None, None))
                part += 1
            batch = batches[done // BATCH % len(batches)]
            yield TimestampedValue(("press 4", batch), done // BATCH % self._windows)


class Judge(beam.DoFn):
    """Notes every fiftieth of the checkpoints, which are of all rows so far."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._started = 0.0

    def setup(self) -> None:
        self._directions = truth(POOL[0])
        self._started = time.process_time()

    def process(self, element: Any) -> None:
        checkpoint = element[1]
        if (checkpoint.sequence + 1) % (self._windows // PARTS) == 0:
            judged = off(checkpoint.components, self._directions)
            spent = time.process_time() - self._started
            SEEN.append(Reading(checkpoint.n_samples_seen, spent, resident(), *judged))


def through_beam(total: int, windows: int = WINDOWS) -> Iterator[Reading]:
    """First the reading of the source, fused with the moments of its windows; then checkpoints."""
    if total % (windows * BATCH):
        raise SystemExit(f"--rows must be a multiple of {windows * BATCH:,} for Beam")
    SEEN.clear()
    POOL[:] = [pool(20_000, WIDTH, "float32")]
    started = time.process_time()
    with beam.Pipeline("FnApiRunner") as p:
        _ = (
            p
            | beam.Create([0], reshuffle=False)
            | beam.ParDo(Batches(total, windows))
            | beam.WindowInto(FixedWindows(1))
            | LearnComponents(P)
            | beam.ParDo(Judge(windows))
        )
    yield from SEEN
    last = SEEN[-1]
    yield last._replace(seconds=time.process_time() - started, resident=resident())


# --- what is printed, and what must hold ----------------------------------------------------------


def rates(readings: list[Reading]) -> list[float]:
    """Rows per second between one reading and the next."""
    pairs = zip([Reading(0, 0.0, 0.0, None, None), *readings], readings, strict=False)
    return [(b.rows - a.rows) / max(b.seconds - a.seconds, 1e-9) for a, b in pairs]


def table(title: str, readings: list[Reading]) -> None:
    print(f"\n{title}")
    print(f"{'rows':>12}{'rows/CPU s':>12}{'MiB':>8}{'orthogonality':>15}{'angle':>11}")
    for reading, rate in zip(readings, rates(readings), strict=True):
        shown = ["" if x is None else f"{x:.1e}" for x in (reading.orthogonality, reading.angle)]
        print(
            f"{reading.rows:>12,}{rate:>12,.0f}{reading.resident:>8.0f}{shown[0]:>15}{shown[1]:>11}",
            flush=True,
        )


def growth(readings: list[Reading]) -> float:
    """MiB that were added after the first quarter, when every window has been open for a while."""
    settled = readings[len(readings) // 4]
    return max(each.resident for each in readings) - settled.resident


def verdict(readings: list[Reading], speed: bool = True) -> list[str]:
    """What is not as promised."""
    wrong = []
    worst = max(each.orthogonality or 0.0 for each in readings)
    if worst > ORTHOGONALITY:
        wrong.append(f"orthogonality {worst:.1e} is above {ORTHOGONALITY:.0e}")
    if growth(readings) > GROWTH_MIB:
        wrong.append(f"memory grew by {growth(readings):.0f} MiB after the first quarter")
    quarter = max(1, len(readings) // 4)
    rate = rates(readings)
    early, late = (
        statistics.median(part) for part in (rate[quarter : 2 * quarter], rate[-quarter:])
    )
    if speed and late < DECAY * early:
        wrong.append(f"speed fell from {early:,.0f} to {late:,.0f} rows/CPU s")
    return wrong


def phases(readings: list[Reading]) -> list[list[Reading]]:
    """Beam's readings: of the source, and of the checkpoints."""
    return [
        [each for each in readings[:-1] if each.orthogonality is None],
        [each for each in readings[:-1] if each.orthogonality is not None],
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", default=["river", "beam"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    print(f"{given.rows:,} rows of {WIDTH} features, {P} components")
    wrong: list[str] = []

    def judge(title: str, readings: list[Reading]) -> None:
        table(title, readings)
        wrong.extend(f"{title}: {trouble}" for trouble in verdict(readings))
        print(f"memory after the first quarter: {growth(readings):+.1f} MiB")

    runs: dict[str, Callable[[], None]] = {
        "river": lambda: judge("River, learn_one, float64", list(through_river(given.rows))),
        "beam": lambda: beam_run(given.rows, judge),
    }
    for name in given.which:
        runs[name]()
    print("\n" + ("\n".join(wrong) or "Memory flat, speed kept, decoder orthonormal."))
    return bool(wrong)


def beam_run(total: int, judge: Callable[[str, list[Reading]], None]) -> None:
    readings = list(through_beam(total))
    source, checkpoints = phases(readings)
    judge("Beam, Arrow batches, float32: rows into the moments of 1,000 windows", source)
    judge("Beam: the running model, a checkpoint at the end of each window", checkpoints)
    print(f"all of the pipeline: {total / readings[-1].seconds:,.0f} rows/CPU s")


if __name__ == "__main__":
    # As an importable module: Beam would pickle what stands in __main__.
    from benchmarks import soak

    sys.exit(soak.main())
