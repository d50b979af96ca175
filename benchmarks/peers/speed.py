"""Rows per second and excess error of every method on the same rows, beside the bare products.

Each method runs over all rows once, within a time budget; the fast ones again and again and the
slow ones on the first rows only, in turns, for the median and the spread of the rate. Excess is
measured after the whole run.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.peers.limits import own_product, two_products
from benchmarks.peers.measure import Matrix, Runs, Truth, batched, time_pass, time_products
from benchmarks.peers.methods import EVERYTHING, FASTEST, Method, limit_of
from benchmarks.peers.results import Figure

BATCH = 1000


class DataSet(NamedTuple):
    """Rows and the numbers of components to find in them."""

    name: str
    rows: Callable[[], Matrix]
    components: tuple[int, ...]
    methods: tuple[Method, ...] = EVERYTHING


def by_digit() -> Matrix:
    """MNIST sorted by digit: a stream that drifts."""
    X, digits = data.mnist()
    return X[np.argsort(digits, kind="stable")]


DATA = (
    DataSet("MNIST", lambda: data.mnist()[0], (10, 100)),
    DataSet("MNIST by digit", by_digit, (10, 100), FASTEST),
    DataSet("Fashion-MNIST", data.fashion_mnist, (100,)),
    DataSet("GloVe", data.glove, (10,)),
    DataSet("covertype", data.covertype, (10,)),
    DataSet("Indian Pines", data.indian_pines, (10,)),
)


class Budget(NamedTuple):
    """Seconds that one run of one method may take, and how many runs there are."""

    whole: float = 10.0  # of the run after which excess is measured
    again: float = 0.7  # of each further run
    rounds: int = 3


def compare(
    name: str, X: Matrix, p: int, methods: Sequence[Method], budget: Budget
) -> Iterator[Figure]:
    """All figures of one table."""
    n, batches, truth = X.shape[1], batched(X, BATCH), Truth(X)
    runs: dict[str, Runs] = {}
    missing: dict[str, str] = {}
    whole, notes = {}, {}
    for method in methods:  # first calls pay for loading and page faults
        try:
            time_pass(method.make(n, p), batches[:3])
        except ImportError as error:
            missing[method.name] = f"not measured: {error}"
        else:
            runs[method.name] = Runs()
    bare = {"X'X": own_product(n), "two products": two_products(n, p, BATCH)}
    limits: dict[str, list[float]] = {key: [] for key in bare}
    for turn in range(budget.rounds):
        for method in methods:
            if method.name in missing:
                continue
            seconds = budget.whole if turn == 0 else budget.again
            gc.collect()
            timing = time_pass(method.make(n, p), batches, seconds)
            runs[method.name].timings.append(timing)
            if turn == 0:
                whole[method.name] = timing
                stopped = "" if timing.whole else f"stopped after {seconds:.0f} s"
                notes[method.name] = "; ".join(filter(None, (method.note, stopped)))
        for _ in range(3):
            for key, products in bare.items():
                limits[key].append(time_products(products, batches))

    at = {"part": "speed", "data": f"{name}, p = {p}", "n": n, "p": p, "m": BATCH, "rows": len(X)}
    # a limit is the least that it can be: other work on the machine only adds to it
    shortest = {key: min(seconds) / len(X) for key, seconds in limits.items()}
    for key, seconds in limits.items():
        rates = [len(X) / spent for spent in seconds]
        yield _figure(at, key, "rows/s", np.median(rates), min(rates), max(rates), "the limit")
    for method in methods:
        if method.name in missing:
            yield _figure(at, method.name, "rows/s", np.nan, note=missing[method.name])
            continue
        of, last, note = runs[method.name], whole[method.name], notes[method.name]
        here = {**at, "rows": last.rows}
        yield _figure(here, method.name, "rows/s", of.rate, of.slowest, of.fastest, note)
        yield _figure(here, method.name, "seconds for all rows", len(X) / of.rate, note=note)
        yield _figure(here, method.name, "excess", truth.excess(last.components), note=note)
        yield _figure(here, method.name, "ordered", truth.ordered(last.components), note=note)
        for key, per_row in shortest.items():
            yield _figure(here, method.name, f"times {key}", 1.0 / of.rate / per_row, note=note)


def _figure(
    at: dict[str, object],
    method: str,
    measure: str,
    value: float,
    low: float = np.nan,
    high: float = np.nan,
    note: str = "",
) -> Figure:
    return Figure(
        method=method,
        measure=measure,
        value=float(value),
        low=float(low),
        high=float(high),
        note=note,
        **at,  # type: ignore[arg-type]
    )


def table(figures: Sequence[Figure]) -> str:
    """What `compare` found, as text."""
    lines = [f"{'':38}{'rows/s':>10}{'from':>10}{'to':>10}{'excess':>10}{'ordered':>9}{'limit':>7}"]
    for method in dict.fromkeys(figure.method for figure in figures):
        of = {figure.measure: figure for figure in figures if figure.method == method}
        rate = of["rows/s"]
        if not np.isfinite(rate.value):
            lines.append(f"{method:38}{rate.note}")
            continue
        line = f"{method:38}{rate.value:>10,.0f}{rate.low:>10,.0f}{rate.high:>10,.0f}"
        if "excess" in of:
            line += f"{of['excess'].value:>10.1e}{of['ordered'].value:>9.0%}"
            line += f"{of[f'times {limit_of(method)}'].value:>6.1f}x"
        lines.append(f"{line}  {rate.note}")
    return "\n".join(lines)


def measure(chosen: Sequence[str], budget: Budget = Budget()) -> Iterator[list[Figure]]:  # noqa: B008
    """The tables of the data sets chosen (all by default), one by one."""
    for data_set in DATA:
        if chosen and data_set.name not in chosen:
            continue
        X = data_set.rows()
        for p in data_set.components:
            start = time.perf_counter()
            figures = list(compare(data_set.name, X, p, data_set.methods, budget))
            print(
                f"\n{data_set.name} {X.shape[0]:,} x {X.shape[1]}, p = {p}, minibatches of "
                f"{BATCH:,} ({time.perf_counter() - start:.0f} s)\n{table(figures)}",
                flush=True,
            )
            yield figures
