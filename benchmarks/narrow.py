"""Rows of few features, and rows one by one: time of one core, as ratios of what took turns."""

from __future__ import annotations

import functools
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.data import covertype
from benchmarks.peers.measure import batched
from benchmarks.peers.methods import BATCH, DENSE, EXACT, Method
from streampca import StreamingPCA

FEATURES = (5, 9, 20, 54, 100, 200, 784)

CALLS = {10_000: 1.5, 1_000: 3.0}
"""Rows of a call, and how many times as long as X'X and the sums of the columns it may take."""

FAR, FAR_ROWS, FAR_WANTED = 1000.0, 10_000, 1.5
"""Means in standard deviations, as those of sensors are, which have to be taken out of the rows."""

ROUNDS, NUMBERS = 9, 8e6

ROW_BY_ROW = {"learn_one": 1.0, "transform_one": 0.5}
"""Share of the time of River's StandardScaler."""


READING = {100: 1.0, 200: 1.0, 300: 1.0}
"""Features, and share of the time of a full decomposition that a row and a reading may take."""


def seconds(work: Callable[[], object]) -> float:
    """Of this process, all threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def fastest(*ways: Callable[[], object]) -> list[float]:
    """Seconds of each, which take turns."""
    turns = [[seconds(way) for way in ways] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*turns, strict=True)]


def over_bare(n: int, rows: int, dtype: str, mean: float = 0.5) -> tuple[float, float]:
    """Learning beside X'X with column sums: those of numpy, and those as a product with ones."""
    calls = max(3, min(60, int(NUMBERS / n / rows)))
    X = np.random.default_rng(0).normal(mean, 1.0, (calls, rows, n)).astype(dtype)
    ones, pca = np.ones(rows, dtype), StreamingPCA(min(3, n), memory="dense")
    pca.partial_fit(X[0])
    ours, bare, by_product = fastest(
        lambda: [pca.partial_fit(block) for block in X],
        lambda: [(block.T @ block, block.sum(axis=0)) for block in X],
        lambda: [(block.T @ block, ones @ block) for block in X],
    )
    return ours / bare, ours / by_product


def each(verb: Callable[[Any], object], rows: list[Any]) -> Callable[[], object]:
    """A verb on row after row."""
    return lambda: [verb(row) for row in rows]


def narrow(claim: Callable[..., None]) -> None:
    """One line for each number of features, rows of a call, and type."""
    print("\nNarrow rows, one thread, time of its core")
    with threadpool_limits(1):
        for rows, wanted in CALLS.items():
            for n in FEATURES:
                for dtype in ("float32", "float64"):
                    bare, by_product = over_bare(n, rows, dtype)
                    said = f"{n} features, {rows:,} rows a call, {dtype}"
                    claim(f"{said}, over X'X and sums", bare, wanted, at_least=False)
                    print(f"{'':16}sums as a product with ones: {by_product:.2f}")
        for n in FEATURES:
            for dtype in ("float32", "float64"):
                found, _ = over_bare(n, FAR_ROWS, dtype, FAR)
                said = f"{n} features, {FAR_ROWS:,} rows a call, {dtype}, means of {FAR:g} spreads"
                claim(f"{said}, over X'X and sums", found, FAR_WANTED, at_least=False)
    beside_peers(claim)


def beside_peers(claim: Callable[..., None]) -> None:
    """Covertype, and as many rows of one normal distribution, beside the quickest exact methods."""
    peers = (EXACT, next(each for each in BATCH if "covariance_eigh" in each.name))
    real = covertype()
    drawn = np.random.default_rng(0).normal(0.5, 1.0, real.shape).astype("float32")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name, X in {"covertype": real, "normal rows": drawn}.items():
            for rows in CALLS:
                batches = batched(X, rows)
                ours, *theirs = fastest(
                    *(functools.partial(_all_of, method, batches) for method in (DENSE, *peers))
                )
                for peer, took in zip(peers, theirs, strict=True):
                    said = f"{name}, 54 features, {rows:,} rows a call, time over that of"
                    claim(f"{said} {peer.name}", ours / took, 1.0, at_least=False)
    torch.set_num_threads(threads)


def _all_of(method: Method, batches: Sequence[NDArray[Any]]) -> object:
    learner = method.make(54, 10)
    for batch in batches:
        learner.learn(batch)
    return learner.components()


def floor_of(rows: list[dict[int, float]], p: int) -> Callable[[], object]:
    """The least that coordinates of dictionaries take with numpy: to an array, a product, back."""
    n = len(rows[0])
    names, pack, memory = itemgetter(*range(n)), struct.Struct(f"{n}d").pack_into, np.empty(n)
    W, into = np.ones((p, n)), memory.data

    def product(row: dict[int, float]) -> dict[int, float]:
        pack(into, 0, *names(row))
        return dict(enumerate(W.dot(memory).tolist()))

    return each(product, rows)


def readings(claim: Callable[..., None]) -> None:
    """Components after every row, beside numpy's decomposition of a matrix of that size."""
    print("\nA row, then the components, one thread, beside one numpy.linalg.eigh")
    for n, wanted in READING.items():
        with threadpool_limits(1):
            ours, full = reading_and_full(n)
        claim(f"a reading after each row, {n} features", ours / full, wanted, at_least=False)


def reading_and_full(n: int) -> tuple[float, float]:
    """Medians of seconds for a row and the components, and for all pairs of one matrix."""
    X = np.random.default_rng(0).normal(size=(2200, n)) * np.arange(1, n + 1.0) ** -0.5
    pca, S = StreamingPCA(10, memory="dense").partial_fit(X[:2000]), np.cov(X.T)
    _ = pca.components_
    ours, full = [], []
    for row in np.split(X[2000:2100], 100):
        start = time.process_time()
        _ = pca.partial_fit(row).components_
        middle = time.process_time()
        np.linalg.eigh(S)
        ours.append(middle - start)
        full.append(time.process_time() - middle)
    return statistics.median(ours), statistics.median(full)


def one(claim: Callable[..., None]) -> None:
    """Rows one by one, in River, and readings after every one."""
    from river.preprocessing import StandardScaler

    from streampca.river import PCA

    print("\nRow by row in River, beside StandardScaler")
    for n in (10, 100, 784):
        X = np.random.default_rng(0).normal(size=(600, n)).tolist()
        rows = [dict(enumerate(row)) for row in X]
        pca, scaler = PCA(n_components=min(10, n // 2)), StandardScaler()
        for row in rows:
            pca.learn_one(row)
            scaler.learn_one(row)
        for verb, wanted in ROW_BY_ROW.items():
            ours, theirs = fastest(
                each(getattr(pca, verb), rows), each(getattr(scaler, verb), rows)
            )
            claim(f"{verb}, {n} features", ours / theirs, wanted, at_least=False)
        bare, theirs = fastest(floor_of(rows, min(10, n // 2)), each(scaler.transform_one, rows))
        print(f"{'':16}one product with numpy alone: {bare / theirs:.2f}")
    readings(claim)
