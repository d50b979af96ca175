"""The claims of the core, measured in one run: exact, ordered, fast, and honest about what is not.

    make bench                       everything (about five minutes)
    make bench ARGS="batching beam"  only some of: speed batching statistics memory beam

Each speed is rows per second from the first row to components in hand, as the median of
alternating repeats in this process; peers get copies of the same rows. "excess" is the extra
reconstruction error relative to batch PCA in float64 on the same rows; "ordered" the share of the
p directions found in the right place with |cos| > 0.99.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.decomposition import IncrementalPCA

from beam_pipelines import run
from benchmarks.data import mnist
from benchmarks.peers.measure import PAUSE, Truth
from streampca import CheckpointStore, StreamingPCA
from streampca.metrics import principal_angles

Matrix = NDArray[np.floating]
BATCH = 1000


def batches(X: Matrix) -> Iterator[Matrix]:
    for start in range(0, len(X), BATCH):
        yield X[start : start + BATCH].copy()


def timed(make: Callable[[], object], X: Matrix) -> tuple[float, object]:
    """Rows per second of one pass, the final components included."""
    model, rows = make(), list(batches(X))
    time.sleep(PAUSE)
    start = time.perf_counter()
    for batch in rows:
        model.partial_fit(batch)  # type: ignore[attr-defined]
    _ = model.components_  # type: ignore[attr-defined]
    return len(X) / (time.perf_counter() - start), model


def speed(repeats: int = 3) -> None:
    X, digits = mnist()
    print(f"\nMNIST {X.shape[0]:,} x {X.shape[1]}, one pass, batches of {BATCH:,}")
    by_digit = X[np.argsort(digits, kind="stable")]
    oracle = Truth(X)
    for name, rows in (("as it comes", X), ("sorted by digit", by_digit)):
        for p in (10, 100):
            makers: dict[str, Callable[[], object]] = {
                "IncrementalPCA": lambda p=p: IncrementalPCA(p),
                "dense": lambda p=p: StreamingPCA(p, memory="dense"),
                "factored": lambda p=p: StreamingPCA(p, memory="factored"),
            }
            rates: dict[str, list[float]] = {m: [] for m in makers}
            models = {}
            for make in makers.values():  # first calls pay for loading and page faults
                timed(make, rows[: 5 * BATCH])
            for _ in range(repeats):
                for method, make in makers.items():
                    rate, models[method] = timed(make, rows)
                    rates[method].append(rate)
            print(f"\n  {name}, p = {p}")
            print(
                f"  {'':16}{'rows/s':>10}{'ratio':>8}{'excess':>10}{'ordered':>9}  discarded/total"
            )
            base = statistics.median(rates["IncrementalPCA"])
            for method, model in models.items():
                rate = statistics.median(rates[method])
                lost = ""
                if isinstance(model, StreamingPCA):
                    lost = f"{model.discarded_variance_ / oracle.values.sum():.3g}"
                print(
                    f"  {method:16}{rate:>10,.0f}{rate / base:>7.1f}x"
                    f"{oracle.excess(model.components_):>10.1e}"  # type: ignore[attr-defined]
                    f"{oracle.ordered(model.components_):>9.0%}  {lost:>15}"  # type: ignore[attr-defined]
                )


def batching() -> None:
    X, _ = mnist()
    X = X[:20_000]
    print("\nThe same components from dense moments however the rows arrive (MNIST, 20,000 rows)")
    for p in (10, 100):
        whole = StreamingPCA(p, memory="dense").fit(X)
        ways = {}
        for size in (1, 7, 1000):
            pca = StreamingPCA(p, memory="dense")
            for start in range(0, len(X), size):
                pca.partial_fit(X[start : start + size])
            ways[f"batches of {size:,}"] = pca
        half = len(X) // 2
        ways["merge of halves"] = (
            StreamingPCA(p, memory="dense")
            .fit(X[:half])
            .merge(StreamingPCA(p, memory="dense").fit(X[half:]))
        )
        for name, pca in ways.items():
            span = principal_angles(whole.components_, pca.components_).max()
            one_by_one = (
                np.arcsin(np.linalg.norm(pca.components_ - whole.components_, axis=1).max() / 2) * 2
            )
            print(
                f"  p = {p:<4}{name:<18} largest principal angle {span:.1e}, "
                f"largest angle of one component {one_by_one:.1e}"
            )


def statistics_() -> None:
    d, N, p = 100, 20_000, 10
    spectrum = 1.0 / np.arange(1, d + 1)
    print(
        f"\nR_ex: population excess over batch PCA's (d = {d}, N = {N:,}, p = {p}, 1/i), 5 streams"
    )
    print(f"  {'':22}" + "".join(f"batches of {b:<7}" for b in (1, 10, 100)))
    settings = [
        ("dense", 1.0),
        ("factored", 1.0),
        ("factored, x 1e4", 1e4),
        ("IncrementalPCA", 1.0),
    ]
    for name, scale in settings:
        cells = []
        for size in (1, 10, 100):
            ratios = []
            for seed in range(5):
                draws = np.random.default_rng(seed)
                basis, _ = np.linalg.qr(draws.normal(size=(d, d)))
                X = ((draws.normal(size=(N, d)) * np.sqrt(spectrum)) @ basis.T).astype("float32")
                batch = np.linalg.eigh(np.cov(X.T.astype("float64")))[1][:, ::-1][:, :p]
                X *= np.float32(scale)
                model = (
                    IncrementalPCA(p)
                    if name == "IncrementalPCA"
                    else StreamingPCA(p, memory=name.split(",")[0])
                )
                if name == "IncrementalPCA" and size < p:
                    ratios = [np.nan]  # it refuses batches below p rows
                    break
                for start in range(0, N, size):
                    model.partial_fit(X[start : start + size].copy())
                ratios.append(
                    _population_excess(model.components_.T, basis, spectrum)
                    / _population_excess(batch, basis, spectrum)
                )
            cells.append("refuses" if np.isnan(ratios[0]) else f"{np.mean(ratios):.3f}")
        print(f"  {name:<22}" + "".join(f"{cell:<18}" for cell in cells))


def _population_excess(A: Matrix, basis: Matrix, spectrum: Matrix) -> float:
    Q, _ = np.linalg.qr(A.astype("float64"))
    p = Q.shape[1]
    return float(spectrum[:p].sum() - (spectrum[:, None] * (basis.T @ Q) ** 2).sum())


def memory() -> None:
    n, p, m = 100_000, 20, 500
    draws = np.random.default_rng(0)
    X = draws.normal(size=(m, n)).astype("float32")
    print(f"\nFactored memory at n = {n:,}, p = {p}, minibatches of {m} rows")
    tracemalloc.start()
    pca = StreamingPCA(p, memory="factored")
    for _ in range(3):
        pca.partial_fit(X)
    pca.flush()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    moments = pca._learner.moments  # type: ignore[union-attr]
    q = moments.n_directions  # type: ignore[attr-defined]
    held = sum(array.size for array in moments.state().values())
    print(
        f"  q = {q}; state {held:,} numbers = {held / n / q:.2f} n q (limit 3); "
        f"peak {peak / 2**20:,.0f} MiB, one minibatch is {X.nbytes / 2**20:,.0f} MiB, "
        f"an n x n array would be {n * n * 4 / 2**20:,.0f} MiB"
    )


def beam(window: str = "1h", seconds: int = 3600) -> None:
    from beam_pipelines.demo import write_shuttle

    with tempfile.TemporaryDirectory() as folder:
        rows, store = Path(folder) / "shuttle.parquet", Path(folder) / "store"
        write_shuttle(rows)
        job = ["--input", str(rows), "--timestamp-column", "time", "--output", str(store)]
        start = time.perf_counter()
        if run.main([*job, "--window", window, "--n-components", "4"]):
            sys.exit("the Beam job failed")
        took = time.perf_counter() - start
        history = CheckpointStore(store).history()
        table = pq.read_table(rows).drop(["time"])
    X = np.column_stack([column.to_numpy() for column in table.columns])
    excess, ordered, turned = [], [], []
    for checkpoint in history:
        end = (checkpoint.window_end - history[0].window_start) // 1_000_000  # one row a second
        oracle = Truth(X[:end])
        components = checkpoint.components
        excess.append(abs(oracle.excess(components)))
        ordered.append(oracle.ordered(components))
        turned.append(principal_angles(components, oracle.vectors[:, :4].T).max())
        assert checkpoint.n_samples_seen == min(end, len(X))
    print(f"\nBeam: {len(X):,} rows of River's Shuttle stream, hourly windows, in {took:.1f} s")
    print(
        f"  {len(history)} checkpoints, each against batch PCA of the rows up to its window's end"
    )
    for name, some in (("last", slice(-1, None)), ("worst of the others", slice(0, -1))):
        print(
            f"  {name:<20}excess {max(excess[some]):.1e}, angle {max(turned[some]):.1e}, "
            f"ordered {min(ordered[some]):.0%}"
        )


SECTIONS = {
    "speed": speed,
    "batching": batching,
    "statistics": statistics_,
    "memory": memory,
    "beam": beam,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="default: all")
    chosen = parser.parse_args().sections or list(SECTIONS)
    print(f"{os.cpu_count()} cores, numpy {np.__version__}, {time.strftime('%Y-%m-%d')}")
    warnings.simplefilter("error")
    for section in chosen:
        SECTIONS[section]()


if __name__ == "__main__":
    main()
