"""LearnComponents costs no more than counting; Arrow batches cost a tenth; many keys fit.

    python -m benchmarks.beam_throughput                rows, batches and keys (about four minutes)
    python -m benchmarks.beam_throughput rows --rows 50000

Each pipeline runs on FnApiRunner in this process, in memory. Pairs of pipelines alternate and the
ratio of each pair is reported: the machine may be busy, but not with one of them alone.

Beam ends a bundle on a beat that slows down to 0.2 seconds, so that the times of both move in
steps: what a pipeline gains within one is not seen here, and a step is 0.05 of the ratio.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_pipelines import LearnComponents

WIDTH, N_WINDOWS = 100, 10


def rows_of(m: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    mix = np.linalg.qr(rng.normal(size=(n, n)))[0] * np.arange(n, 0, -1.0)
    return rng.normal(size=(m, n)) @ mix.T + 5.0


MADE: dict[int, np.ndarray] = {}


def made(m: int) -> np.ndarray:
    if m not in MADE:
        MADE.clear()
        MADE[m] = rows_of(m, WIDTH)
    return MADE[m]


class Rows(beam.DoFn):
    """(key, row) elements of rows that are in memory: a source that costs next to nothing."""

    def __init__(self, m: int, batch: int = 0) -> None:
        self._m, self._batch = m, batch

    def process(self, start: int) -> Any:
        X = made(self._m)
        if self._batch:
            for i in range(0, self._m, self._batch):
                part = pa.FixedSizeListArray.from_arrays(
                    pa.array(X[i : i + self._batch].ravel()), WIDTH
                )
                element = (f"key {i // self._batch % 2}", pa.record_batch([part], names=["x"]))
                yield TimestampedValue(element, i * N_WINDOWS // self._m)
        else:
            for i, x in enumerate(X):
                yield TimestampedValue((f"key {i % 2}", x), i * N_WINDOWS // self._m)


def timed(m: int, last: Callable[[Any], Any], batch: int = 0) -> float:
    made(m)
    started = time.perf_counter()
    with beam.Pipeline("FnApiRunner") as p:
        windowed = (
            p
            | beam.Create([0], reshuffle=False)
            | beam.ParDo(Rows(m, batch))
            | beam.WindowInto(FixedWindows(1))
        )
        _ = last(windowed)
    return m / (time.perf_counter() - started)


def count(windowed: Any) -> Any:
    return windowed | beam.combiners.Count.PerKey()


def learn(windowed: Any) -> Any:
    return windowed | LearnComponents(5)


def rows(m: int, repeats: int) -> None:
    """>= 0.9x the rows/s of Count.PerKey in the same place."""
    timed(2000, learn), timed(2000, count)
    pairs = [(timed(m, learn), timed(m, count)) for _ in range(repeats)]
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"\nRows: {m:,} of {WIDTH} floats, 2 keys, {N_WINDOWS} fixed windows, rows/s")
    for (ours, theirs), ratio in zip(pairs, ratios, strict=True):
        print(f"  LearnComponents {ours:9,.0f}   Count.PerKey {theirs:9,.0f}   {ratio:.2f}x")
    print(f"  median of the ratios: {statistics.median(ratios):.2f}x")


def batches(m: int, repeats: int) -> None:
    """>= 10x the rows/s of row by row."""
    timed(20_000, learn, 1000)
    pairs = [(timed(5 * m, learn, 1000), timed(m, learn)) for _ in range(repeats)]
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"\nBatches: Arrow record batches of 1,000 rows of {WIDTH} floats, rows/s")
    for (ours, theirs), ratio in zip(pairs, ratios, strict=True):
        print(f"  in batches      {ours:9,.0f}   row by row   {theirs:9,.0f}   {ratio:.1f}x")
    print(f"  median of the ratios: {statistics.median(ratios):.1f}x")


def keys(n_keys: int, each: int, n: int = 50) -> None:
    """10,000 keys in one run within 2 GiB."""
    base = rows_of(each, n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.perf_counter()
    with beam.Pipeline("FnApiRunner") as p:
        _ = (
            p
            | beam.Create(range(each), reshuffle=False)
            | beam.FlatMap(lambda i: ((key, base[i] * (1 + key % 7)) for key in range(n_keys)))
            | LearnComponents(5)
        )
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nKeys: {n_keys:,} of {n} features, {each} rows each, in {took:.0f} s")
    print(f"  {n_keys * each / took:,.0f} rows/s; peak {peak:.2f} GiB, {before:.2f} before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", default=["keys", "rows", "batches"])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keys", type=int, default=10_000)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} at the start")
    if "keys" in given.which:  # first: memory that is given back is not counted down
        keys(given.keys, 20)
    if "rows" in given.which:
        rows(given.rows, given.repeats)
    if "batches" in given.which:
        batches(given.rows, given.repeats)


if __name__ == "__main__":
    # As an importable module: Beam would pickle what stands in __main__, the rows included.
    from benchmarks import beam_throughput

    beam_throughput.main()
