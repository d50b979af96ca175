"""The tables of docs/choosing.md: memory, oversampling, calls, solver, forgetting and windows.

    python -m benchmarks.choosing                  print all of them (about two minutes)
    python -m benchmarks.choosing memory calls     only some
    python -m benchmarks.choosing --write          put them into docs/choosing.md

Speeds are rows per second from the first row to components in hand, the median of three. "excess"
is the reconstruction error beyond that of batch PCA on the same rows, relative to it; "ordered" the
share of the p directions found in the right place with |cos| > 0.99.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data import mnist
from streampca import CheckpointStore, StreamingPCA
from streampca.metrics import excess_error, ordered_share, principal_angles

PAGE = Path(__file__).parent.parent / "docs" / "choosing.md"
Matrix = NDArray[np.floating]
Table = tuple[Sequence[str], list[Sequence[str]]]


def pieces(X: Matrix, size: int) -> Iterator[Matrix]:
    for start in range(0, len(X), size):
        yield X[start : start + size]


def rate(make: Callable[[], StreamingPCA], X: Matrix, size: int) -> tuple[float, StreamingPCA]:
    """Rows per second of one pass, components included; the median of three."""
    rates = []
    for _ in range(3):
        pca, start = make(), time.perf_counter()
        for rows in pieces(X, size):
            pca.partial_fit(rows)
        _ = pca.components_
        rates.append(len(X) / (time.perf_counter() - start))
    return statistics.median(rates), pca


def covariance(X: Matrix) -> Matrix:
    D = X.astype("float64") - X.mean(axis=0, dtype="float64")
    return D.T @ D / (len(D) - 1)


def leading(Sigma: Matrix, p: int) -> Matrix:
    return np.linalg.eigh(Sigma)[1][:, ::-1][:, :p].T


def judged(pca: StreamingPCA, Sigma: Matrix) -> tuple[str, str]:
    p = pca.n_components_
    excess = excess_error(pca.components_, Sigma)
    shown = f"{excess:.0e}" if excess > 1e-12 else "< 1e-12"
    return shown, percent(ordered_share(pca.components_, leading(Sigma, p)))


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def decaying(n_rows: int, n: int) -> Matrix:
    """Gaussian rows whose variances fall as 1/i, in a random order of features."""
    draws = np.random.default_rng(0)
    spread = draws.permutation(np.arange(1, n + 1) ** -0.5)
    return (draws.normal(size=(n_rows, n)) * spread).astype("float32")


def remembered(pca: StreamingPCA) -> str:
    held = sum(np.asarray(part).nbytes for part in pca.checkpoint().moments.values())
    return f"{held / 2**20:.2g} MiB" if held >= 2**20 else f"{held / 2**10:.0f} KiB"


def memory() -> Table:
    """Dense and factored memory by the number of features; p = 10, calls of 1,000 rows."""
    rows = []
    for n, m in ((50, 60_000), (200, 60_000), (784, 60_000), (2000, 10_000), (20_000, 4_000)):
        X = mnist()[0] if n == 784 else decaying(m, n)
        Sigma = covariance(X) if n <= 2000 else None
        for kind in ("dense", "factored"):
            if kind == "dense" and n > 2000:
                rows.append((f"{n:,}", kind, "-", f"{8 * n * n / 2**30:.1f} GiB", "-", "-"))
                continue
            speed, pca = rate(lambda kind=kind: StreamingPCA(10, memory=kind), X, 1000)
            quality = judged(pca, Sigma) if Sigma is not None else ("-", "-")
            rows.append((f"{n:,}", kind, f"{speed:,.0f}", remembered(pca), *quality))
    return ("features", "memory", "rows/s", "remembered", "excess", "ordered"), rows


def oversample() -> Table:
    """Factored memory on a stream that drifts: MNIST sorted by digit, p = 10."""
    X, digits = mnist()
    X = X[np.argsort(digits, kind="stable")]
    Sigma = covariance(X)
    total, rows = float(np.trace(Sigma)), []
    for extra in (0, 10, 20, 40, 100):
        options = {"memory": "factored", "oversample": extra}
        speed, pca = rate(lambda options=options: StreamingPCA(10, **options), X, 1000)
        bound = percent(pca.discarded_variance_ / total)
        rows.append((str(extra), f"{speed:,.0f}", *judged(pca, Sigma), bound))
    head = ("oversample", "rows/s", "excess", "ordered", "discarded_variance_ / total")
    return head, rows


def calls() -> Table:
    """Rows per call, 100 features, p = 10: learning alone, and components read after every call."""
    X, rows = decaying(20_000, 100), []
    for size in (1, 10, 100, 1000):
        alone, _ = rate(lambda: StreamingPCA(10), X, size)
        some = X[: min(len(X), 500 * size)]
        pca, start = StreamingPCA(10), time.perf_counter()
        for piece in pieces(some, size):
            _ = pca.partial_fit(piece).components_
        reading = len(some) / (time.perf_counter() - start)
        rows.append((f"{size:,}", f"{alone:,.0f}", f"{reading:,.0f}"))
    return ("rows per call", "learning, rows/s", "reading after every call, rows/s"), rows


def solver() -> Table:
    """One and ten passes over MNIST, p = 10: the exact step and stochastic gradient descent."""
    X, _ = mnist()
    Sigma, rows = covariance(X), []

    def adam(lr: float) -> Callable[[list[Any]], torch.optim.Optimizer]:
        return lambda parameters: torch.optim.Adam(parameters, lr=lr)

    for name, options in (
        ("exact, dense", {"memory": "dense"}),
        ("exact, factored", {"memory": "factored"}),
        ("first_order, Adam 1e-2", {"solver": "first_order", "optimizer": adam(1e-2)}),
        ("first_order, Adam 1e-3 (default)", {"solver": "first_order"}),
    ):
        StreamingPCA(10, **options).fit(X[:3000]).flush()  # first calls pay for loading
        pca, start, cells = StreamingPCA(10, random_state=0, **options), time.perf_counter(), []
        for passes in range(1, 11):
            for piece in pieces(X, 1000):
                pca.partial_fit(piece)
            if passes in (1, 10):
                cells += judged(pca, Sigma)
                cells.append(f"{time.perf_counter() - start:.1f}")
        rows.append((name, *cells))
    one, ten = ("excess", "ordered", "s"), ("excess, 10 passes", "ordered", "s")
    return ("solver", *one, *ten), rows


def forgetting() -> Table:
    """A plane of 20 features that turns by 60 degrees at row 10,000 of 20,000; five streams."""
    n, change = 20, 10_000
    rows = []
    for half_life in (None, 10_000, 3_000, 1_000, 300, 100):
        before, needed, after = [], [], []
        for seed in range(5):
            draws = np.random.default_rng(seed)
            Q = np.linalg.qr(draws.normal(size=(n, 4)))[0]
            turn = np.radians(60)
            planes = (Q[:, :2], Q[:, :2] * np.cos(turn) + Q[:, 2:] * np.sin(turn))
            pca, late = StreamingPCA(2, half_life=half_life), None
            for start in range(0, 2 * change, 50):
                plane = planes[start >= change]
                X = draws.normal(size=(50, 2)) @ plane.T * [2.0] + draws.normal(size=(50, n))
                pca.partial_fit(X)
                if start + 50 == change:
                    before.append(off(pca, plane))
                elif start >= change and late is None and off(pca, plane) < 15:
                    late = start + 50 - change
            needed.append(late if late is not None else np.inf)
            after.append(off(pca, planes[1]))
        wait = statistics.median(needed)
        rows.append(
            (
                "never" if half_life is None else f"{half_life:,}",
                f"{statistics.median(before):.1f}°",
                f"{wait:,.0f}" if np.isfinite(wait) else "more than 10,000",
                f"{statistics.median(after):.1f}°",
            )
        )
    head = ("half-life, rows", "off before the turn", "rows until off < 15°", "off at the end")
    return head, rows


def off(pca: StreamingPCA, plane: Matrix) -> float:
    return float(np.degrees(principal_angles(pca.components_, plane.T).max()))


def windows() -> Table:
    """What windows of a size give: one row a second, 20 features, a plane that stays."""
    n, day = 20, 86_400
    draws = np.random.default_rng(0)
    plane = np.linalg.qr(draws.normal(size=(n, 2)))[0]
    X = draws.normal(size=(day, 2)) @ plane.T * 2.0 + draws.normal(size=(day, n))
    rows = []
    for name, size in (("1 min", 60), ("10 min", 600), ("1 h", 3600), ("6 h", 21_600)):
        running, own = StreamingPCA(2), []
        with tempfile.TemporaryDirectory() as folder:
            store = CheckpointStore(folder)
            for i, piece in enumerate(pieces(X, size)):
                running.partial_fit(piece)
                store.write(running.checkpoint(window_end=(i + 1) * size * 1_000_000))
                own.append(off(StreamingPCA(2).fit(piece), plane))
                if i == 0:
                    first = off(running, plane)
            stored = sum(f.stat().st_size for f in Path(folder).rglob("*.parquet"))
        megabytes = f"{stored / 2**20:.2g} MiB"
        angles = f"{np.median(own):.1f}°", f"{first:.1f}°", f"{off(running, plane):.1f}°"
        rows.append((name, f"{len(own):,}", megabytes, *angles))
    running_off = "off, carry=True: first window", "last window"
    return ("window", "checkpoints a day", "stored", "off, carry=False", *running_off), rows


SECTIONS: dict[str, Callable[[], Table]] = {
    "memory": memory,
    "oversample": oversample,
    "calls": calls,
    "solver": solver,
    "forgetting": forgetting,
    "windows": windows,
}


def markdown(table: Table) -> str:
    head, rows = table
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="default: all")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args()
    for name in given.sections or list(SECTIONS):
        table = markdown(SECTIONS[name]())
        print(f"\n{SECTIONS[name].__doc__}\n\n{table}", flush=True)
        if given.write:
            between = re.compile(rf"(?<=<!-- choosing: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
            page = PAGE.read_text()
            if not between.search(page):
                raise SystemExit(f"{PAGE} has no lines <!-- choosing: {name} --> and <!-- end -->")
            PAGE.write_text(between.sub(lambda _, table=table: table + "\n", page, count=1))


if __name__ == "__main__":
    main()
