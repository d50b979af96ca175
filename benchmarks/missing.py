"""What missing entries cost: StreamingPCA(missing="impute") beside others, on a real plant.

    python -m benchmarks.missing                table, and docs/images/missing.png
    python -m benchmarks.missing --no-plot

108 sensors of a plant, every five minutes for eleven days, from the wheel of bibmon (Apache 2.0,
Petrobras); "Bad" and "Inp OutRange" stand where a sensor gave nothing. First as they are; then the
rows that are complete, with gaps made in them, so that the truth is known: entries missing at
random, or sensors that are out for 50 to 200 rows. Each method goes through the rows once, in
minibatches of 100, and is compared with PCA on the rows before the gaps were made.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from streampca import StreamingPCA
from streampca.metrics import principal_angles

Rows = NDArray[np.float64]
P, BATCH = 10, 100
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SEEDS = (0, 1, 2)
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "missing.png"


def plant() -> Rows:
    """The sensors (3169, 108), NaN where one gave nothing."""
    with data.plant_file().open(newline="") as file:
        return np.array([[_number(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def complete(X: Rows) -> Rows:
    """Rows without gaps, of sensors that rarely have one and that vary, at unit variance."""
    X = X[:, np.isnan(X).mean(0) < 0.01]
    X = X[~np.isnan(X).any(1)]
    X = X[:, X.std(0) > 1e-9]
    return (X - X.mean(0)) / X.std(0)


# --- gaps --------------------------------------------------------------------------------------


def scattered(
    shape: tuple[int, int], share: float, draws: np.random.Generator
) -> NDArray[np.bool_]:
    """Entries missing independently of everything."""
    return draws.random(shape) < share


def sensors_out(
    shape: tuple[int, int], share: float, draws: np.random.Generator
) -> NDArray[np.bool_]:
    """Sensors that give nothing for 50 to 200 rows at a time."""
    gaps = np.zeros(shape, bool)
    while gaps.mean() < share:
        start = draws.integers(0, shape[0] - 50)
        gaps[start : start + draws.integers(50, 200), draws.integers(shape[1])] = True
    return gaps


# --- methods -----------------------------------------------------------------------------------


def _batches(X: Rows) -> Iterator[Rows]:
    for start in range(0, len(X), BATCH):
        yield X[start : start + BATCH]


def impute(X: Rows) -> StreamingPCA:
    """Gaps filled through the components so far."""
    pca = StreamingPCA(P, missing="impute", batch_size=BATCH)
    for rows in _batches(X):
        pca.partial_fit(rows)
    return pca


def mean(X: Rows) -> StreamingPCA:
    """Gaps filled with the mean of what was observed so far."""
    pca = StreamingPCA(P, batch_size=BATCH)
    total, count = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for rows in _batches(X):
        seen = ~np.isnan(rows)
        total, count = total + np.where(seen, rows, 0).sum(0), count + seen.sum(0)
        pca.partial_fit(np.where(seen, rows, total / np.maximum(count, 1)))
    return pca


def complete_rows(X: Rows) -> StreamingPCA | None:
    """Rows with gaps left out; None where fewer than 2 p are left."""
    rows = X[~np.isnan(X).any(1)]
    return StreamingPCA(P, batch_size=BATCH).partial_fit(rows) if len(rows) >= 2 * P else None


METHODS: dict[str, Callable[[Rows], StreamingPCA | None]] = {
    "impute": impute,
    "mean": mean,
    "complete rows": complete_rows,
}


# --- how good ------------------------------------------------------------------------------------


class Truth:
    """PCA of the rows without gaps."""

    def __init__(self, X: Rows) -> None:
        D = X - X.mean(0)
        self.Sigma = D.T @ D / (len(X) - 1)
        values, vectors = np.linalg.eigh(self.Sigma)
        self.values, self.components = values[::-1], vectors[:, ::-1].T

    def judge(self, pca: StreamingPCA | None) -> tuple[float, float, float]:
        """Excess error; largest angle in degrees; variance of the components over the true one."""
        if pca is None:
            return np.nan, np.nan, np.nan
        C = pca.components_
        kept, most = float(np.trace(C @ self.Sigma @ C.T)), float(self.values[:P].sum())
        angle = float(np.degrees(principal_angles(C, self.components[:P]).max()))
        share = float(pca.explained_variance_.sum()) / most
        return (most - kept) / float(self.values[P:].sum()), angle, share


def table(X: Rows) -> dict[tuple[str, str, float], NDArray[np.float64]]:
    """(order and gaps, method, share) -> excess, angle, variance: means over seeds."""
    found = {}
    shuffled = X[np.random.default_rng(0).permutation(len(X))]
    for order, rows in (("shuffled", shuffled), ("in time", X)):
        truth = Truth(rows)
        for gaps in (scattered, sensors_out):
            kind = f"{order}, {gaps.__name__.replace('_', ' ')}"
            print(f"\n{kind}\n{'share':>6}", *(f"{name:>32}" for name in METHODS))
            for share in SHARES:
                line = []
                for name, method in METHODS.items():
                    each = []
                    for seed in SEEDS:
                        gone = gaps(rows.shape, share, np.random.default_rng(seed))
                        each.append(truth.judge(method(np.where(gone, np.nan, rows))))
                    found[kind, name, share] = np.mean(each, axis=0)
                    excess, angle, variance = found[kind, name, share]
                    line.append(f"{excess:12.4f} {angle:9.1f} {variance:9.3f}")
                print(f"{share:6.0%}", *line)
    return found


def as_it_is(X: Rows) -> None:
    """How far apart the methods are on the plant's own gaps, where nobody knows the truth."""
    X = X[:, np.nanstd(X, axis=0) > 1e-9]
    X = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    gaps = np.isnan(X)
    print(
        f"as it is: {len(X):,} rows of {X.shape[1]} sensors, {gaps.mean():.2%} of the entries "
        f"missing, {gaps.any(1).sum()} rows with gaps, one sensor without {gaps.mean(0).max():.0%}"
    )
    found = {name: method(X) for name, method in METHODS.items()}
    ours = found["impute"]
    assert ours is not None
    for name, pca in found.items():
        assert pca is not None
        angles = np.degrees(principal_angles(pca.components_, ours.components_))
        print(
            f"{name:>14}: {pca.n_samples_seen_:,} rows used, variance of {P} components "
            f"{pca.explained_variance_.sum():.2f}, at most {angles.max():.1f} degrees from impute"
        )


def plot(found: dict[tuple[str, str, float], NDArray[np.float64]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(kind for kind, _, _ in found))
    figure, axes = plt.subplots(2, len(kinds), figsize=(12, 5.5), sharex=True, sharey="row")
    for column, kind in zip(axes.T, kinds, strict=True):
        for name in METHODS:
            values = np.array([found[kind, name, share] for share in SHARES])
            for row, which in zip(column, (0, 2), strict=True):
                row.plot(np.array(SHARES) * 100, values[:, which], "o-", label=name, ms=3)
        column[0].set_title(kind, fontsize=10)
        column[0].set_yscale("log")
        column[1].axhline(1.0, color="0.7", lw=1)
        column[1].set_xscale("log")
        column[1].set_xticks([1, 5, 10, 50], ["1", "5", "10", "50"])
        column[1].set_xlabel("% missing")
    axes[0, 0].set_ylabel("excess error")
    axes[1, 0].set_ylabel("variance / true variance")
    axes[1, 0].set_ylim(0, 1.5)
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-plot", action="store_true")
    arguments = parser.parse_args()
    rows = plant()
    as_it_is(rows)
    X = complete(rows)
    print(f"complete: {len(X):,} rows of {X.shape[1]} sensors, p = {P}")
    print("each column: excess error, largest angle in degrees, variance over the true one")
    found = table(X)
    if not arguments.no_plot:
        plot(found)


if __name__ == "__main__":
    main()
