"""Many small models together and one by one: time and memory, and how far answers are apart.

    python -m benchmarks.bank [--keys 10000] [--features 50] [--rows 20] [--components 5]

Both learn the same rows, in turns in one process; ratios are of the sums of all rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from streampca import KeyedPCA, StreamingPCA


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    for name, value in (("keys", 10_000), ("features", 50), ("rows", 20), ("components", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    K, n, m, p = given.keys, given.features, given.rows, given.components
    draws = np.random.default_rng(0)
    X = draws.normal(size=(K * m, n)) * np.geomspace(3, 0.3, n) + draws.normal(size=n)
    keys = draws.permutation(np.repeat(np.arange(K), m))
    few = np.arange(0, K, max(1, K // 500))  # the loop is measured on so many keys
    rows = {int(key): np.flatnonzero(keys == key) for key in few}
    bank = KeyedPCA(p)
    singles = {key: StreamingPCA(p) for key in rows}

    def one_by_one(verb: str) -> None:
        for key, at in rows.items():
            getattr(singles[key], verb)(X[at])

    def read() -> None:
        for single in singles.values():
            _ = single.components_

    def flush() -> None:
        for single in singles.values():
            single.flush()

    def learn() -> None:
        one_by_one("partial_fit")
        flush()

    steps: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = []
    for turn in ("first rows", "more rows"):
        steps.append((f"{turn}: learn", lambda: bank.partial_fit(X, keys), learn))
        steps.append((f"{turn}: solve", lambda: bank._solved.refresh(np.arange(K)), read))
        steps.append(
            (
                f"{turn}: transform",
                lambda: bank.transform(X, keys),
                lambda: one_by_one("transform"),
            )
        )
    print(f"{K:,} keys x {n} features x {m} rows, {p} components; microseconds a key")
    sums = np.zeros(2)
    for name, together, alone in steps:
        times = [_timed(together) / K, _timed(alone) / len(rows)]
        sums += times
        print(f"{name:24}{times[0] * 1e6:10.1f}{times[1] * 1e6:10.1f}{times[1] / times[0]:8.1f}x")
    print(f"{'all':24}{sums[0] * 1e6:10.1f}{sums[1] * 1e6:10.1f}{sums[1] / sums[0]:8.1f}x")
    apart = max(
        float(np.abs(bank[key].explained_variance_ / single.explained_variance_ - 1).max())
        for key, single in singles.items()
    )
    print(f"explained variances are {apart:.0e} apart at most")
    moments = K * min(8 * n * n, 8 * 2 * (m + 1) * n if 2 * (2 * m + 1) < n else 8 * n * n)
    print(f"memory {bank.nbytes / 1e6:.0f} MB; moments are {moments / 1e6:.0f} MB")


def _timed(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
