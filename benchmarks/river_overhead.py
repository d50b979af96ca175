"""Microseconds a call of River's StandardScaler and of our PCA, on the same dictionaries.

    python benchmarks/river_overhead.py [rows]

Folding in minibatches, and solving them where `transform_one` is called, is part of the average.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from river import preprocessing

from streampca.river import PCA


def rows_of(n: int, count: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(count, n)) / np.sqrt(1 + np.arange(n)) + 1.0
    names = [f"f{i}" for i in range(n)]
    return [dict(zip(names, row, strict=True)) for row in X.tolist()]


def learning(model, rows) -> float:
    start = time.perf_counter()
    for x in rows:
        model.learn_one(x)
    return (time.perf_counter() - start) / len(rows) * 1e6


def transforming(model, rows) -> float:
    start = time.perf_counter()
    for x in rows:
        model.transform_one(x)
    return (time.perf_counter() - start) / len(rows) * 1e6


def interleaved(model, rows) -> float:
    start = time.perf_counter()
    for x in rows:
        model.transform_one(x)
        model.learn_one(x)
    return (time.perf_counter() - start) / len(rows) * 1e6


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{count} rows, p = 10, us a call: StandardScaler, PCA, ratio (best of 3)")
    for n in (10, 100, 784):
        rows = rows_of(n, count)
        for label, run in (("learn", learning), ("transform", transforming), ("both", interleaved)):
            best = {"scaler": np.inf, "pca": np.inf}
            for _ in range(3):
                models = {"scaler": preprocessing.StandardScaler(), "pca": PCA(10)}
                for name, model in models.items():
                    if label == "transform":
                        learning(model, rows)
                    best[name] = min(best[name], run(model, rows))
            print(
                f"{n:4d} features  {label:9s} {best['scaler']:7.1f} {best['pca']:7.1f} "
                f"{best['pca'] / best['scaler']:6.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
