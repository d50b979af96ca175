"""What a row costs, against the number of features, components, rows of a minibatch, and rows seen.

Each sweep changes one number of a common point: 1,000 features, 10 components, minibatches of
1,000 rows. A row's cost is the time of some minibatches after the first ones, and of reading the
components once, over their rows: with the number of rows seen it must not grow.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.peers.limits import own_product, two_products
from benchmarks.peers.measure import Matrix, time_products
from benchmarks.peers.methods import DENSE, FACTORED, INCREMENTAL, Method
from benchmarks.peers.results import Figure

POINT = {"n": 1000, "p": 10, "m": 1000}
SWEEPS: dict[str, tuple[int, ...]] = {
    "n": (50, 100, 200, 500, 1000, 2000, 5000, 20_000, 100_000),
    "p": (1, 3, 10, 30, 100, 300),
    "m": (1, 10, 100, 1000, 10_000),
}
MARKS = (10_000, 20_000, 50_000, 100_000, 200_000)
"""Rows seen at which the cost of the next ones is measured."""

RUNS = 7
"""Of bare products."""

METHODS = (DENSE, FACTORED, INCREMENTAL)
MOST_DENSE = 3000
"""Features: beyond, the direct solution of dense memory takes minutes."""


def possible(method: Method, n: int, p: int, m: int) -> bool:
    """What a method refuses, or what would take minutes."""
    if method is DENSE:
        return n <= MOST_DENSE
    if method is INCREMENTAL:
        return m >= p and n * m <= 2_000_000
    return True


def rows_like(n: int, m: int, count: int) -> list[Matrix]:
    """Minibatches with a 1/i spectrum."""
    draws = np.random.default_rng(0)
    scales = (1.0 / np.sqrt(np.arange(1, n + 1))).astype("float32")
    return [draws.standard_normal((m, n), "float32") * scales for _ in range(count)]


def seconds_a_row(method: Method, n: int, p: int, m: int, seconds: float) -> float:
    """Seconds, in steady state."""
    pool = rows_like(n, m, 3)
    learner = method.make(n, p)
    shown = 0
    while shown < 2 * m or shown < 2 * p or (m < 100 and shown < 1000):
        learner.learn(pool[0].copy())
        shown += m
    learner.components()
    start, rows = time.perf_counter(), 0
    spent = 0.0
    while rows == 0 or spent < seconds:
        batch = pool[(rows // m) % 3].copy()
        before = time.perf_counter()
        learner.learn(batch)
        spent += time.perf_counter() - before
        rows += m
        if time.perf_counter() - start > 3 * seconds:
            break
    before = time.perf_counter()
    learner.components()
    return (spent + time.perf_counter() - before) / rows


def bare_seconds_a_row(products: Callable[[Matrix], object], batches: list[Matrix]) -> float:
    """Seconds that bare products take, the median of some runs."""
    time_products(products, batches[:3])
    runs = [time_products(products, batches) for _ in range(RUNS)]
    return statistics.median(runs) / sum(len(batch) for batch in batches)


def measure(
    sweeps: Sequence[str] = (*SWEEPS, "rows"), seconds: float = 1.0, marks: Sequence[int] = MARKS
) -> Iterator[Figure]:
    """Every sweep, all methods at each of its points in turn."""
    for name in sweeps:
        if name == "rows":
            yield from _by_rows_seen(marks)
            continue
        for value in SWEEPS[name]:
            at = {**POINT, name: value}
            n, p, m = at["n"], at["p"], at["m"]
            here = {"part": "cost", "data": f"against {name}", **at}
            for method in METHODS:
                if possible(method, n, p, m):
                    cost = seconds_a_row(method, n, p, m, seconds)
                    yield Figure(method=method.name, measure="seconds a row", value=cost, **here)  # type: ignore[arg-type]
            pool = rows_like(n, m, 3)
            bare = {"two products": two_products(n, p, m)}
            if n <= MOST_DENSE:
                bare["X'X"] = own_product(n)
            for limit, products in bare.items():
                cost = bare_seconds_a_row(products, pool * max(1, 3000 // (3 * m)))
                yield Figure(method=limit, measure="seconds a row", value=cost, **here)  # type: ignore[arg-type]


def _by_rows_seen(marks: Sequence[int]) -> Iterator[Figure]:
    n, p, m = POINT["n"], POINT["p"], POINT["m"]
    pool = rows_like(n, m, 5)
    for method in (DENSE, FACTORED):
        learner, seen = method.make(n, p), 0
        for mark in marks:
            batches = [pool[i % 5] for i in range((mark - seen) // m)]
            start = time.perf_counter()
            for batch in batches:
                learner.learn(batch)
            learner.components()
            cost = (time.perf_counter() - start) / (m * len(batches))
            seen = mark
            yield Figure(
                "cost", "against rows", method.name, "seconds a row", cost, n=n, p=p, m=m, rows=mark
            )
