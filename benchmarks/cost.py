"""The cost model of streampca/learning/cost.py beside what is measured, and what its choices cost.

    make cost                              four minutes; writes benchmarks/results/cost-<date>.csv
    make cost ARGS="learning reading"      some of: learning reading oversample
    make cost ARGS="--show"                nothing measured: the tables of the latest file
    make cost ARGS="--renew"               measure, then put new prices into learning/cost.py
    make cost ARGS="--show --renew"        the same from the latest file

Learning is in steady state, in minibatches given whole: a sketch is as long as it gets, and whole
sketches are timed. Rows are Gaussian with variances 1/i. Everything is measured in two rounds, each
figure as the median of at least three turns, and the faster one counts: what else the machine does
only adds. "predicted" is the model with the prices in learning/cost.py; the regret of a choice is
its time over the least of all sizes measured.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.cost_figures import (
    FOLDER,
    Point,
    choices,
    directions,
    fitted,
    latest,
    memories,
    read,
    renew,
    write,
)
from benchmarks.data import mnist
from benchmarks.peers.measure import Truth, pinned
from streampca import StreamingPCA
from streampca.learning import cost

Matrix = NDArray[np.floating]

DENSE = ((10, 30, 100, 300, 784, 1000, 2000), (10,))
FACTORED = ((100, 300, 784, 2000, 10_000), (10, 30, 100))
WIDE = 100_000
SIZES = (64, 256, 512, 1024, 2048)
EDGES = (("dense", 1024, 10), ("factored", 1024, 10), ("factored", 2000, 300))
"""Where the choice of memory changes: n, p."""
FLOAT64 = (("dense", 100, 10, 512), ("dense", 784, 10, 512), ("factored", 784, 10, 512))
READ = ((10, 100, 300, 784, 1000, 2000), (10, 100))
ROUNDS = 2
MOST_NUMBERS = 6e7
"""Of one minibatch."""


# --- measuring -----------------------------------------------------------------------------------


def rows_like(n: int, m: int) -> Matrix:
    """Some whole minibatches of rows with variances 1/i; more than the cache holds."""
    count = max(2, min(20_000, 16_000_000 // n) // m)
    draws = np.random.default_rng(0)
    scales = (1.0 / np.sqrt(np.arange(1, n + 1))).astype("float32")
    return draws.standard_normal((count * m, n), "float32") * scales


def learning(memory: str, n: int, p: int, m: int, itemsize: int = 4, seconds: float = 0.2) -> Point:
    """Seconds a row, in steady state."""
    X = rows_like(n, m).astype(f"float{8 * itemsize}")
    q = directions(n, p)
    pca = StreamingPCA(p, memory=memory, batch_size=m)
    seen = 0
    while seen < max(2 * m, 2 * q):
        pca.partial_fit(X[seen % len(X) :][:m])
        seen += m
    sketches = memory == "factored" and m > q
    while sketches and seen < 4 * max(8192, 24 * q):  # as if so many rows had been seen
        pca.merge(copy.deepcopy(pca))
        seen *= 2
    count = cost.sketch_minibatches(q, m) if sketches else 1
    turns, begun, start = [], time.perf_counter(), 0
    while len(turns) < 3 or time.perf_counter() - begun < seconds:
        before = time.perf_counter()
        for _ in range(count):
            pca.partial_fit(X[start : start + m])
            start = (start + m) % len(X)
        turns.append((time.perf_counter() - before) / (count * m))
    return _point("learning", memory, n, p, q, m, turns, itemsize=itemsize)


def reading(memory: str, n: int, p: int) -> Point:
    """Seconds to the first components of 4,096 rows, which nobody has asked for before."""
    m = 512
    X = rows_like(n, m)
    pca = StreamingPCA(p, memory=memory, batch_size=m)
    for start in range(0, 4096, m):
        pca.partial_fit(X[start % len(X) :][:m])
    turns = []
    for _ in range(4):
        fresh = copy.deepcopy(pca)
        before = time.perf_counter()
        _ = fresh.components_
        turns.append(time.perf_counter() - before)
    return _point("reading", memory, n, p, directions(n, p), m, turns[1:])


def _point(
    part: str,
    memory: str,
    n: int,
    p: int,
    q: int,
    m: int,
    turns: Sequence[float],
    *,
    itemsize: int = 4,
    excess: float = float("nan"),
) -> Point:
    middle = statistics.median(turns)
    return Point(part, memory, n, p, q, m, itemsize, middle, min(turns), max(turns), excess)


def all_learning() -> Iterator[Point]:
    for memory, (features, components) in (("dense", DENSE), ("factored", FACTORED)):
        for n in features:
            for p in components:
                q = directions(n, p)
                if memory == "factored" and q == n:
                    continue
                for m in sorted({*SIZES, cost.batch_size(memory, n, q)}):
                    if n * m <= MOST_NUMBERS:
                        yield learning(memory, n, min(p, n), m)
    for m in sorted({64, 128, 256, 512, cost.batch_size("factored", WIDE, directions(WIDE, 10))}):
        yield learning("factored", WIDE, 10, m)
    for memory, n, p in EDGES:
        yield learning(memory, n, p, cost.batch_size(memory, n, directions(n, p)))
    for memory, n, p, m in FLOAT64:
        yield learning(memory, n, p, m, itemsize=8)


def all_reading() -> Iterator[Point]:
    for memory in ("dense", "factored"):
        for n in (*READ[0], 10_000):
            for p in READ[1]:
                q = directions(n, p)
                if p < n and (n <= 2000 if memory == "dense" else q < n):
                    yield reading(memory, n, p)


def oversample() -> Iterator[Point]:
    """Directions kept, MNIST as it comes and sorted by digit: time and excess."""
    X, digits = mnist()
    truth, n = Truth(X), 784
    for part, rows in (("MNIST", X), ("MNIST by digit", X[np.argsort(digits, kind="stable")])):
        for p, others in ((10, (24, 56, 72, 104)), (100, (120, 152, 184, 248, 312))):
            for q in sorted({*others, directions(n, p)}):
                turns, pca = [], StreamingPCA(p)
                for _ in range(3 if p < 100 else 1):
                    pca = StreamingPCA(p, memory="factored", oversample=q - p)
                    before = time.perf_counter()
                    for start in range(0, len(rows), 1000):
                        pca.partial_fit(rows[start : start + 1000])
                    _ = pca.components_
                    turns.append((time.perf_counter() - before) / len(rows))
                excess = truth.excess(pca.components_)
                yield _point(part, "factored", n, p, q, 1000, turns, excess=excess)


PARTS: dict[str, Callable[[], Iterator[Point]]] = {
    "learning": all_learning,
    "reading": all_reading,
    "oversample": oversample,
}


def show(points: Sequence[Point]) -> None:
    """Tables."""
    for part, unit, scale in (("learning", "us a row", 1e6), ("reading", "ms", 1e3)):
        print(f"\n{part}\n{'':10}{'n':>8}{'p':>5}{'m':>6}{unit:>12}{'predicted':>11}{'ratio':>7}")
        shown = [point for point in points if point.part == part]
        for x in shown:
            bits = " float64" if x.itemsize == 8 else ""
            print(
                f"{x.memory:10}{x.n:>8,}{x.p:>5}{x.m:>6}{x.seconds * scale:>12.3f}"
                f"{x.predicted * scale:>11.3f}{x.predicted / x.seconds:>7.2f}{bits}"
            )
        ratios = [x.predicted / x.seconds for x in shown]
        if ratios:
            spread = np.exp(np.sqrt(np.mean(np.log(ratios) ** 2)))
            print(f"from {min(ratios):.2f} to {max(ratios):.2f} times; within x {spread:.2f} rms")
    print(f"\nminibatches chosen\n{'':10}{'n':>8}{'p':>5}{'chosen':>8}{'best':>6}{'regret':>8}")
    for c in choices(points):
        fewer = "" if c.default == c.m else f"  default {c.default}: {c.default_regret:.2f}"
        print(f"{c.memory:10}{c.n:>8,}{c.p:>5}{c.m:>8}{c.best:>6}{c.regret:>8.2f}{fewer}")
    print(
        f"\nmemory chosen\n{'n':>8}{'p':>5}  {'':10}{'dense, us':>10}{'factored':>10}{'ratio':>7}"
    )
    for m in memories(points):
        took = f"{m.dense * 1e6:>10.2f}{m.factored * 1e6:>10.2f}{m.dense / m.factored:>7.2f}"
        print(f"{m.n:>8,}{m.p:>5}  {m.chosen:10}{took}")
    print("\nworst regret of a minibatch with one price changed")
    for name in cost.Work._fields:
        worst = []
        for factor in (0.5, 2.0):
            other = cost.PRICES._replace(**{name: factor * getattr(cost.PRICES, name)})
            worst.append(max((c.regret for c in choices(points, other)), default=1.0))
        print(f"{name:10} half: {worst[0]:.2f}, double: {worst[1]:.2f}")
    print(
        f"\ndirections kept\n{'':16}{'p':>5}{'q':>5}{'us a row':>10}{'predicted':>11}{'excess':>9}"
    )
    for x in points:
        if x.part.startswith("MNIST"):
            mark = " default" if x.q == directions(x.n, x.p) else ""
            took = f"{x.seconds * 1e6:>10.2f}{x.predicted * 1e6:>11.2f}{x.excess:>9.1e}"
            print(f"{x.part:16}{x.p:>5}{x.q:>5}{took}{mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--show", action="store_true", help="only tables of the latest file")
    parser.add_argument("--renew", action="store_true", help="write prices into the model")
    given = parser.parse_args()
    if given.show:
        points = read(latest())
    else:
        path, begun = FOLDER / f"cost-{time.strftime('%Y-%m-%d')}.csv", time.perf_counter()
        points = read(path) if path.exists() else []
        with pinned() as threads:
            print(f"{time.strftime('%Y-%m-%d')}, {threads} threads, numpy {np.__version__}")
            for name in given.parts or list(PARTS):
                rounds = [list(PARTS[name]()) for _ in range(ROUNDS)]
                new = [min(same, key=lambda x: x.seconds) for same in zip(*rounds, strict=True)]
                parts = {point.part for point in new}
                points = [point for point in points if point.part not in parts] + new
                write(points, path)
                print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
    if given.renew:
        renew(prices := fitted(points))
        cost.PRICES = prices
    show(points)


if __name__ == "__main__":
    main()
