"""Sparse rows beside the same rows as arrays, and beside the least that each way could take.

Ratios of the time of one core; what is compared takes turns, figures are medians.
"""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks.narrow import seconds
from streampca import StreamingPCA

FEATURES, ROWS, CALL, ROUNDS = 1000, 8000, 1000, 9

WANTED = {0.001: 0.2, 0.01: 0.2, 0.05: 1.0, 0.1: 1.0}
"""Share of entries stored, and the most of the time of dense rows that they may take."""

WIDE, WIDE_STORED, WIDE_ROWS, WIDE_MEMORY = 1_000_000, 1e-4, 2000, 3.0
"""Features, share stored, rows, and GB that may be taken beyond what was there."""


def medians(*ways: Callable[[], object]) -> list[float]:
    """Seconds of each, which take turns, after a first one that is not counted."""
    turns = [[seconds(way) for way in ways] for _ in range(ROUNDS + 1)][1:]
    return [statistics.median(times) for times in zip(*turns, strict=True)]


def pieces(X: Any) -> list[Any]:
    """Calls of as many rows."""
    return [X[start : start + CALL] for start in range(0, X.shape[0], CALL)]


def beside_dense(claim: Callable[..., None], stored: float, wanted: float, dtype: str) -> None:
    """Learning, with scipy's product alone, and products of dense rows with and without toarray."""
    draws = np.random.default_rng(0)
    shape = (ROWS, FEATURES)
    X = sp.random_array(shape, density=stored, format="csr", dtype=dtype, rng=draws)
    few, many = pieces(X), pieces(X.toarray())
    sparse, dense = (StreamingPCA(10, memory="dense") for _ in range(2))
    ours, theirs, product, made, bare = medians(
        lambda: [sparse.partial_fit(block) for block in few],
        lambda: [dense.partial_fit(block) for block in many],
        lambda: [block.T @ block for block in few],
        lambda: [block.toarray() for block in few],
        lambda: [block.T @ block for block in many],
    )
    claim(f"{stored:.1%} stored, {dtype}", ours / theirs, wanted, at_least=False)
    print(
        f"{'':16}scipy's product {product / theirs:.2f}, toarray {made / theirs:.2f}, "
        f"numpy's X'X of dense rows {bare / theirs:.2f}"
    )


def wide_rows(draws: np.random.Generator) -> Iterator[Any]:
    """Blocks of rows with a hundred entries each, ten of them in the same features."""
    m, k = 1000, int(WIDE * WIDE_STORED)
    for _ in range(WIDE_ROWS // m):
        rare = draws.integers(10, WIDE, (m, k - 10))
        columns = np.concatenate([np.tile(np.arange(10), (m, 1)), rare], axis=1).ravel()
        values = draws.normal(size=(m, k)) * np.r_[np.arange(20, 10, -1), np.ones(k - 10)]
        at = (np.repeat(np.arange(m), k), columns)
        yield sp.csr_array((values.ravel().astype("float32"), at), shape=(m, WIDE))


def wide(claim: Callable[..., None]) -> None:
    """A million features in factored memory: what is taken beyond the blocks, and what comes."""
    draws = np.random.default_rng(0)
    blocks = list(wide_rows(draws))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    pca = StreamingPCA(10, memory="factored")
    took = seconds(lambda: [pca.partial_fit(block) for block in blocks])
    components = pca.components_
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    q = pca._learner.options.n_directions  # type: ignore[union-attr]
    print(
        f"  {WIDE:,} features, {WIDE_STORED:.2%} stored: {WIDE_ROWS / took:,.0f} rows/s of one "
        f"core; {peak / 1e6:,.0f} MB at most, {q} directions take {4e-6 * WIDE * q:,.0f} MB"
    )
    claim("memory beyond what was there, GB", (peak - before) / 1e9, WIDE_MEMORY, at_least=False)
    shown = float((components[:, :10] ** 2).sum(axis=1).min())
    claim("share of a component in the ten common features", shown, 0.95)


def sparse(claim: Callable[..., None]) -> None:
    """One line for each share of entries stored and type, then a million features."""
    print(f"\nSparse rows, {FEATURES:,} features, calls of {CALL:,}, beside dense ones, one thread")
    with threadpool_limits(1):
        for dtype in ("float32", "float64"):
            for stored, wanted in WANTED.items():
                beside_dense(claim, stored, wanted, dtype)
        wide(claim)
