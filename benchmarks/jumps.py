"""Where costs jump: one number changes at a time, and neighbours are compared.

    python -m benchmarks.jumps                 all walks, some minutes of one core
    python -m benchmarks.jumps features keys   some: features components rows call reading keys

Seconds of one core for each row are divided by what the work is expected to grow with. A step of
twice or more between neighbours, up or down, is marked; each of the two is measured again first.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.narrow import seconds
from streampca import StreamingPCA

LEAST, JUMP, REPEATS = 0.02, 2.0, 3
"""Seconds that are measured at least, the step that is marked, and runs, of which the median
is taken."""


class Walk(NamedTuple):
    """What is timed at each value, and what seconds a row are divided by there."""

    said: str
    values: Sequence[int]
    measured: Callable[[int], float]
    expected: Callable[[int], float]


def rows_of(m: int, n: int) -> np.ndarray:
    """Rows whose variances fall as 1/i."""
    X = np.random.default_rng(0).normal(size=(m, n)) * np.arange(1, n + 1.0) ** -0.5
    return X.astype("float32")


def a_row(work: Callable[[], int]) -> float:
    """Seconds a row, of work that says how many it did; the first time is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        took = done = 0.0
        while took < LEAST:
            counts: list[int] = []
            took += seconds(lambda counts=counts: counts.append(work()))  # type: ignore[misc]
            done += counts[0]
        times.append(took / done)
    return statistics.median(times)


def learning(n: int, p: int, m: int, memory: str, **more: object) -> float:
    """Minibatches of m rows at a time."""
    pca = StreamingPCA(p, memory=memory, **more)  # type: ignore[arg-type]
    X = rows_of(m, n)

    def work() -> int:
        for _ in range(max(1, 256 // m)):
            pca.partial_fit(X)
        return max(1, 256 // m) * m

    return a_row(work)


def reading(n: int, p: int) -> float:
    """A row, then the components."""
    pca, X = StreamingPCA(p, memory="dense").partial_fit(rows_of(2 * n, n)), rows_of(64, n)

    def work() -> int:
        for row in X[:4]:
            _ = pca.partial_fit(row[None]).components_
        return 4

    return a_row(work)


def keyed(keys: int) -> float:
    """Rows of so many keys in turn, 20 features."""
    from streampca.bank import KeyedPCA

    bank, X = KeyedPCA(3), rows_of(4096, 20)
    names = np.arange(4096) % keys

    def work() -> int:
        bank.partial_fit(X, keys=names)
        return len(X)

    return a_row(work)


WALKS = {
    "features": Walk(
        "dense, p = 10, 1,000 rows a call: n features, over n (n + 200)",
        (
            5,
            10,
            20,
            50,
            100,
            127,
            128,
            129,
            160,
            200,
            255,
            256,
            300,
            500,
            784,
            1000,
            1024,
            1100,
            1500,
        ),
        lambda n: learning(n, min(10, n), 1000, "dense"),
        lambda n: n * (n + 200.0),
    ),
    "factored": Walk(
        "factored, p = 10, 1,000 rows a call: n features, over n + 200",
        (100, 200, 500, 1000, 1024, 1100, 2000, 4096, 5000, 10_000),
        lambda n: learning(n, 10, 1000, "factored"),
        lambda n: n + 200.0,
    ),
    "components": Walk(
        "factored, 1,000 features, 1,000 rows a call: p components, over p + 20",
        (1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500),
        lambda p: learning(1000, p, 1000, "factored"),
        lambda p: p + 20.0,
    ),
    "rows": Walk(
        "dense, 300 features, batch_size rows as given: over 1 + 50 / rows",
        (1, 2, 3, 10, 100, 256, 512, 1000, 2000, 5000, 10_000),
        lambda m: learning(300, 10, m, "dense", batch_size=m),
        lambda m: 1.0 + 50.0 / m,
    ),
    "call": Walk(
        "dense, 1,500 features, rows a call: over 1 + 2 / rows",
        (1, 2, 3, 4, 10, 30, 100, 300),
        lambda m: learning(1500, 10, m, "dense"),
        lambda m: 1.0 + 2.0 / m,
    ),
    "reading": Walk(
        "a row and a reading, p = 10: n features, over n^2 (n + 150)",
        (20, 50, 100, 128, 129, 200, 300, 383, 384, 385, 500, 700),
        lambda n: reading(n, 10),
        lambda n: n * n * (n + 150.0) + 3e6,
    ),
    "keys": Walk(
        "4,096 rows of so many keys, 20 features",
        (1, 2, 10, 50, 100, 500, 1000, 4000),
        keyed,
        lambda keys: 1.0 + keys / 500.0,
    ),
}


def walk(of: Walk) -> None:
    """One line for each value."""
    print(f"\n{of.said}")
    costs = [of.measured(value) / of.expected(value) for value in of.values]
    for i, j in pairwise(range(len(costs))):
        if not 1 / JUMP < costs[j] / costs[i] < JUMP:  # by chance?
            for k in (i, j):
                again = of.measured(of.values[k]) / of.expected(of.values[k])
                costs[k] = min(costs[k], again)
    for i, value in enumerate(of.values):
        step = costs[i] / costs[i - 1] if i else 1.0
        mark = "" if 1 / JUMP < step < JUMP else "  JUMP"
        micro = costs[i] * of.expected(value) * 1e6
        print(
            f"  {value:>7,}{micro:>11.2f} us a row{step:>8.2f} of the neighbour's{mark}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("walks", nargs="*", choices=[[], *WALKS], help="default: all")
    with threadpool_limits(1):
        for name in parser.parse_args().walks or WALKS:
            walk(WALKS[name])


if __name__ == "__main__":
    main()
