"""The ratios that streampca promises on a CPU, in one run of about ten minutes.

    make fast                            all of them
    make fast ARGS="mnist10 wide"        some: mnist10 mnist100 wide busy narrow sparse one

`busy` makes its own load, `narrow`, `sparse` and `one` count the time of one core.

MNIST, 60,000 rows, minibatches of 1,000; then 20,000 rows of 100,000 features. All methods see
the same rows and take turns; figures are medians. "excess" is the extra reconstruction error
relative to batch PCA in float64 on the same rows.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.busy import busy
from benchmarks.data import mnist
from benchmarks.narrow import narrow, one
from benchmarks.peers import install
from benchmarks.peers.limits import own_product, two_products
from benchmarks.peers.measure import Runs, Truth, batched, pinned, time_pass, time_products
from benchmarks.peers.methods import DENSE, EXACT, FACTORED, INCREMENTAL, Method
from benchmarks.peers.wide import WideRows, in_step
from benchmarks.sparse import sparse

ROUNDS = 3
OURS_A_ROUND = 4
"""Ours are short, so that other work on the machine shows: they run more often."""

WIDE_ROWS, WIDE_BATCH, WIDE_P, WIDE_BUDGET = 20_000, 200, 20, 30.0


def claim(
    said: str, found: float, wanted: float, *, at_least: bool = True, fastest: float | None = None
) -> None:
    """One line: what was promised, what was found, and whether they agree."""
    holds = found >= wanted if at_least else found <= wanted
    figure = f"{found:.3g}" if abs(found) < 1e-2 else f"{found:.2f}"
    best = "" if fastest is None else f"; fastest runs {fastest:.2f}"
    sign = ">=" if at_least else "<="
    verdict = "holds" if holds else "FALLS SHORT"
    print(f"  {verdict:<12}{said}: {figure} (wanted {sign} {wanted:g}{best})")


def mnist_claims(p: int, speed: dict[str, float], X: np.ndarray, truth: Truth) -> None:
    """Rates and limits at p components."""
    batches = batched(X, 1000)
    methods = [INCREMENTAL, EXACT, DENSE, FACTORED]
    runs = {method.name: Runs() for method in methods}
    limits: dict[str, list[float]] = {"X'X": [], "two products": []}
    bare = {"X'X": own_product(784), "two products": two_products(784, p, 1000)}
    for method in methods:  # first calls pay for loading and page faults
        time_pass(method.make(784, p), batches[:5])
    for turn in range(ROUNDS):
        if turn < 2:  # a third of its runs would be half of all the time
            _measured(INCREMENTAL, runs, batches, p)
        for _ in range(OURS_A_ROUND):
            for method in methods[1:]:
                _measured(method, runs, batches, p)
            for name, products in bare.items():
                limits[name].append(time_products(products, batches))
    shortest = {name: float(np.median(seconds)) for name, seconds in limits.items()}

    print(f"\nMNIST, p = {p}")
    print(f"  {'':30}{'rows/s':>10}{'slowest':>10}{'fastest':>10}{'ratio':>8}{'excess':>10}  limit")
    base = runs[INCREMENTAL.name].rate
    for method in methods:
        of = runs[method.name]
        limit = "two products" if method is FACTORED else "X'X"
        multiple = f"{of.seconds / shortest[limit]:.1f} x {limit}"
        print(
            f"  {method.name:30}{of.rate:>10,.0f}{of.slowest:>10,.0f}{of.fastest:>10,.0f}"
            f"{of.rate / base:>7.1f}x{truth.excess(of.last.components):>10.1e}"
            f"  {'' if method is INCREMENTAL else multiple}"
        )
    for name, seconds in shortest.items():
        print(f"  {name + ' alone':30}{len(X) / seconds:>10,.0f}")

    exact = {name: truth.excess(runs[name].last.components) for name in runs}

    def ratio(said: str, ours: Method, theirs: Method, wanted: float) -> None:
        a, b = runs[ours.name], runs[theirs.name]
        claim(said, a.rate / b.rate, wanted, fastest=a.fastest / b.fastest)

    def over(said: str, of: Method, limit: str, wanted: float) -> None:
        found, best = runs[of.name], len(X) / runs[of.name].fastest / min(limits[limit])
        claim(said, found.seconds / shortest[limit], wanted, at_least=False, fastest=best)

    ratio("dense against IncrementalPCA", DENSE, INCREMENTAL, speed["dense"])
    claim("dense, excess", exact[DENSE.name], 1e-9, at_least=False)
    ratio("factored against IncrementalPCA", FACTORED, INCREMENTAL, speed["factored"])
    claim("factored, excess", exact[FACTORED.name], 2e-5, at_least=False)
    ratio("dense against ExactIncrementalPCA", DENSE, EXACT, 1.3)
    if p == 10:
        over("dense over its own X'X", DENSE, "X'X", 2.5)
        over("factored over the two products", FACTORED, "two products", 3.0)


def _measured(method: Method, runs: dict[str, Runs], batches: list[np.ndarray], p: int) -> None:
    runs[method.name].timings.append(time_pass(method.make(batches[0].shape[1], p), batches))


def mnist_at(p: int, speed: dict[str, float]) -> None:
    X, _ = mnist()
    mnist_claims(p, speed, X, Truth(X))


def wide() -> None:
    rows, m, p = WideRows(), WIDE_BATCH, WIDE_P
    n, blocks = len(rows.U), WIDE_ROWS // m
    print(f"\nn = {n:,}, p = {p}, {WIDE_ROWS:,} rows in minibatches of {m}")
    learners = {"peer": INCREMENTAL.make(n, p), "ours": FACTORED.make(n, p)}
    found, bare = in_step(rows, learners, p, m, blocks, {"peer": WIDE_BUDGET})
    (peer, shown), (ours, _) = found["peer"], found["ours"]
    prefix = FACTORED.make(n, p)  # ours after the rows that the peer had time for
    for block in range(shown):
        prefix.learn(rows.block(block, m))
    some, every = rows.truth(shown, m), rows.truth(blocks, m)
    theirs, own = some.excess(peer.components), some.excess(prefix.components())
    stopped = "" if peer.whole else f", stopped after {WIDE_BUDGET:.0f} s"
    lines = [
        ("IncrementalPCA", peer.rate, f"excess {theirs:.2e} of {peer.rows:,} rows{stopped}"),
        ("factored", ours.rate, f"excess {own:.2e} of these rows"),
        ("", ours.rate, f"excess {every.excess(ours.components):.2e} of all {WIDE_ROWS:,} rows"),
        ("two products", WIDE_ROWS / bare, f"factored takes {ours.seconds / bare:.1f} times this"),
    ]
    for name, rate, said in lines:
        print(f"  {name:16}{rate:>10,.0f} rows/s, {said}")
    claim("factored against IncrementalPCA", ours.rate / peer.rate, 10)
    claim("excess as a share of IncrementalPCA's", own / theirs, 1.0, at_least=False)


PARTS: dict[str, Callable[[], None]] = {
    "mnist10": lambda: mnist_at(10, {"dense": 30, "factored": 80}),
    "mnist100": lambda: mnist_at(100, {"dense": 15, "factored": 8}),
    "wide": wide,
    "busy": lambda: busy(claim, mnist()[0]),
    "narrow": lambda: narrow(claim),
    "sparse": lambda: sparse(claim),
    "one": lambda: one(claim),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    chosen = parser.parse_args().parts or list(PARTS)
    for requirement, reason in install.install().items():
        print(f"{requirement} does not install: {reason}")
    warnings.simplefilter("error")
    start = time.perf_counter()
    with pinned() as threads:
        print(f"{time.strftime('%Y-%m-%d')}, {threads} threads, numpy {np.__version__}")
        for part in chosen:
            PARTS[part]()
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
