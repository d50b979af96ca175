"""Rows of 100,000 features in blocks, with batch PCA known exactly and at no cost.

Rows are x = U diag(1/sqrt(i)) z with U (n, r) orthonormal and z Gaussian, r = 200: they lie in the
span of U, so their covariance is U S U' with S (r, r) that of the coefficients alone. Nothing
n x n is formed, and no method is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.peers.limits import two_products
from benchmarks.peers.measure import Learner, Matrix, Timing, Truth
from benchmarks.peers.methods import FACTORED, WIDE
from benchmarks.peers.results import Figure


class WideRows:
    """A stream of n features; block i is the same each time it is asked for."""

    def __init__(self, n: int = 100_000, rank: int = 200, seed: int = 0) -> None:
        draws = np.random.default_rng(seed)
        self.U = np.linalg.qr(draws.normal(size=(n, rank)))[0].astype("float32")
        self.scales = (1.0 / np.sqrt(np.arange(1, rank + 1))).astype("float32")
        self.seed = seed

    def coefficients(self, block: int, m: int) -> Matrix:
        """(m, r) of block's rows."""
        draws = np.random.default_rng((self.seed, block))
        return draws.standard_normal((m, len(self.scales)), dtype="float32") * self.scales

    def block(self, block: int, m: int) -> Matrix:
        """(m, n) rows."""
        return self.coefficients(block, m) @ self.U.T

    def truth(self, blocks: int, m: int) -> WideTruth:
        """Batch PCA of the first blocks."""
        return WideTruth(self, np.concatenate([self.coefficients(i, m) for i in range(blocks)]))


class WideTruth(Truth):
    """Sigma is that of the coordinates in an orthonormal basis of the span of U."""

    def __init__(self, rows: WideRows, coefficients: Matrix) -> None:
        # rounded to float32, U is orthonormal to 1e-9 only: R puts that right
        self._basis, R = np.linalg.qr(rows.U.astype("float64"))
        super().__init__(coefficients @ R.T)
        self.vectors = self._basis @ self.vectors

    def kept(self, components: Matrix) -> float:
        Q, _ = np.linalg.qr(components.T.astype("float64"))
        C = self._basis.T @ Q  # (r, p)
        return float(np.einsum("ij,ij->", C, self.Sigma @ C))


class Shown(NamedTuple):
    """What came of one method."""

    timing: Timing
    blocks: int  # that it saw before its budget was spent


def in_step(
    rows: WideRows,
    learners: Mapping[str, Learner],
    p: int,
    m: int,
    n_blocks: int,
    budgets: Mapping[str, float],
) -> tuple[dict[str, Shown], float]:
    """Show blocks of m rows to every learner in turn; and seconds of the two bare products.

    All rows at once would take 8 GB, so methods take turns at each block. One that has spent its
    budget, in seconds, sees no more.
    """
    products = two_products(len(rows.U), p, m)
    spent = dict.fromkeys(learners, 0.0)
    shown = dict.fromkeys(learners, 0)
    bare = 0.0
    for block in range(n_blocks):
        X = rows.block(block, m)
        for name, learner in learners.items():
            if spent[name] < budgets.get(name, np.inf):
                copy = X.copy()
                spent[name] += _clock(lambda: learner.learn(copy))  # noqa: B023
                shown[name] += 1
        bare += _clock(lambda: products(X))  # noqa: B023
    found = {}
    for name, learner in learners.items():
        start = time.perf_counter()
        components = learner.components().astype("float64")
        seconds = spent[name] + time.perf_counter() - start
        whole = shown[name] == n_blocks
        found[name] = Shown(Timing(seconds, shown[name] * m, components, whole), shown[name])
    return found, bare


def _clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(
    n: int = 100_000, p: int = 20, m: int = 200, n_rows: int = 20_000, budget: float = 8.0
) -> list[Figure]:
    """Every method that does not need n x n; each gets `budget` seconds, factored all it needs.

    Excess is that of the rows a method saw, against batch PCA of these rows.
    """
    rows, learners, missing = WideRows(n), {}, []
    at = {"part": "speed", "data": f"n = {n:,}, p = {p}", "n": n, "p": p, "m": m}
    for method in WIDE:
        try:
            learners[method.name] = method.make(n, p)
        except ImportError as error:
            missing.append(
                Figure(
                    method=method.name,
                    measure="rows/s",
                    value=np.nan,
                    note=f"not measured: {error}",
                    **at,
                )
            )  # type: ignore[arg-type]
    budgets = {name: budget for name in learners if name != FACTORED.name}
    blocks = n_rows // m
    found, bare = in_step(rows, learners, p, m, blocks, budgets)
    truths = {shown: rows.truth(shown, m) for shown in {s.blocks for s in found.values()}}
    figures = [
        Figure(
            method="two products",
            measure="rows/s",
            value=n_rows / bare,
            rows=n_rows,
            note="the limit",
            **at,
        ),
        *missing,
    ]  # type: ignore[arg-type]
    for name, (timing, shown) in found.items():
        stopped = "" if timing.whole else f"stopped after {budget:.0f} s, {timing.rows:,} rows"
        truth = truths[shown]
        for measure_, value in (
            ("rows/s", timing.rate),
            ("seconds for all rows", n_rows / timing.rate),
            ("excess", truth.excess(timing.components)),
            ("ordered", truth.ordered(timing.components)),
            ("times two products", n_rows / timing.rate / bare),
        ):
            figures.append(
                Figure(
                    method=name, measure=measure_, value=value, rows=timing.rows, note=stopped, **at
                )
            )  # type: ignore[arg-type]
    return figures
