"""What the paper leaves for later: eigenvalues that lie close, and minibatches.

Close eigenvalues: the fifth and sixth of 60 differ by a share g of the fifth; how many passes
until every one of p = 8 directions is found? Medians of five starts. Minibatches: ordered
recovery on MNIST, p = 10, by batch size and schedule, ten passes over the rows.

    python -m benchmarks.paper.questions          # about 4 minutes on one core
    python -m benchmarks.paper.questions --draw
"""

from __future__ import annotations

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.data import mnist
from benchmarks.paper.descent import State, adam, full_batch, minibatches
from benchmarks.paper.style import LINES, keep, kept, save
from benchmarks.paper.synthetic import Problem, problem_of
from streampca import StreamingPCA
from streampca.metrics import excess_error, ordered_share
from streampca.moments import make_moments
from streampca.rows import Minibatch
from streampca.solvers.exact import begin, exact_step

GAPS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
LIMIT = 60_000
SIZES = (10, 100, 1000)
SCHEDULES = {
    "1e-2, constant": (1e-2, 1e-2),
    "1e-3 to 1e-6": (1e-3, 1e-6),
    "1e-2 to 1e-5": (1e-2, 1e-5),
}
P, PASSES = 10, 10


# --- close eigenvalues ---------------------------------------------------------------------------


def close_pair(gap: float, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A covariance whose fifth and sixth eigenvalues are close, and its eigenvectors as rows."""
    values = 0.9 ** np.arange(n)
    values[5] = values[4] * (1 - gap)
    values[6:] *= values[5] * 0.9 / values[6]
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    return (basis * values / values.sum()) @ basis.T, basis.T


class Found(Exception):
    """Every direction is in its place."""


def first_order_passes(Sigma: np.ndarray, truth: np.ndarray, how: str, seed: int) -> float:
    """Iterations until all directions are found; infinite where `LIMIT` is not enough."""
    p = len(truth)
    last = 0

    def report(state: State) -> None:
        nonlocal last
        last = state.iteration
        if ordered_share(state.A.detach().T, truth) == 1.0:
            raise Found

    S = torch.from_numpy(Sigma.astype("float32"))
    # the largest stable rate of plain gradient descent: L's curvature is about 4 p lambda_1
    sgd = 0.25 / (p * float(np.linalg.eigvalsh(Sigma)[-1]))
    options = {
        "gradient descent": {"optimizer": torch.optim.SGD, "rates": (sgd, sgd)},
        "Adam": {"rates": (1e-3, 1e-3)},
    }[how]
    try:
        adam(
            full_batch(S),
            len(S),
            p,
            "nested",
            iterations=LIMIT,
            initial_sd=0.1,
            every=50,
            report=report,
            seed=seed,
            **options,
        )
    except Found:
        return float(last)
    return float("inf")


def exact_passes(Sigma: np.ndarray, truth: np.ndarray, seed: int, guards: int = 8) -> float:
    """Products with Sigma until all directions are found by the exact step."""
    p, n = truth.shape
    moments = make_moments("dense", n, center=False, dtype="float64")
    moments.update(Minibatch(np.linalg.cholesky(Sigma * n).T))  # n rows whose covariance is Sigma
    start = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, p + guards)))[0]
    state, passes = begin(moments, start), 1
    while ordered_share(state.A[:, :p].T, truth) < 1.0:
        state, _ = exact_step(state, moments)
        passes += 1
    return float(passes)


def rows_needed(gap: float, seeds: int = 5) -> int | None:
    """Rows until batch PCA itself has the two directions: the limit for every method."""
    Sigma, vectors = close_pair(gap)
    root = np.linalg.cholesky(Sigma)
    for rows in 10 ** np.arange(2, 7.01, 0.25):
        good = 0
        for seed in range(seeds):
            # the scatter of many Gaussian rows, drawn as a Wishart matrix: O(n^3) for any number
            draws = np.random.default_rng(seed)
            n, m = len(Sigma), int(rows)
            T = np.tril(draws.normal(size=(n, n)), -1)
            T[np.diag_indices(n)] = np.sqrt(draws.chisquare(m - np.arange(n)))
            scatter = root @ T @ T.T @ root.T
            found = np.linalg.eigh(scatter)[1][:, ::-1].T[:8]
            good += ordered_share(found, vectors[:8]) == 1.0
        if good > seeds / 2:
            return int(rows)
    return None


def close_eigenvalues() -> list[dict[str, Any]]:
    results = []
    for gap in GAPS:
        Sigma, vectors = close_pair(gap)
        row: dict[str, Any] = {"gap": gap}
        taken = {
            how: [first_order_passes(Sigma, vectors[:8], how, seed) for seed in range(5)]
            for how in ("gradient descent", "Adam")
        }
        taken["exact step"] = [exact_passes(Sigma, vectors[:8], seed) for seed in range(5)]
        for how, passes in taken.items():
            median = float(np.median(passes))
            row[how] = median if np.isfinite(median) else None
        row["rows"] = rows_needed(gap)
        print(row, flush=True)
        results.append(row)
    return results


# --- minibatches ---------------------------------------------------------------------------------


def minibatch_runs(problem: Problem) -> list[dict[str, Any]]:
    X, truth = torch.from_numpy(problem.X), problem.vectors[:P]
    results: list[dict[str, Any]] = []
    for size in SIZES:
        for name, rates in SCHEDULES.items():
            steps = PASSES * len(X) // size
            history: list[tuple[int, float]] = []

            def report(state: State) -> None:
                share = ordered_share(state.A.detach().T, truth)
                history.append((state.iteration * size, share))  # noqa: B023

            state = adam(
                minibatches(X, size),
                X.shape[1],
                P,
                "nested",
                iterations=steps,
                rates=rates,
                initial_sd=1e-2,
                every=steps // 12,
                report=report,
            )
            excess = excess_error(state.A.numpy().T, problem.Sigma)
            row = {"size": size, "schedule": name, "excess": excess, "history": history}
            print(size, name, history[-1], f"{excess:.1e}", flush=True)
            results.append(row)
        for memory in ("factored", "dense"):
            pca, history = StreamingPCA(P, memory=memory, batch_size=size), []
            for start in range(0, len(X), 10_000):
                pca.partial_fit(problem.X[start : start + 10_000])
                history.append((start + 10_000, ordered_share(pca.components_, truth)))
            excess = excess_error(pca.components_, problem.Sigma)
            row = {"size": size, "schedule": f"exact step, {memory}", "excess": excess}
            results.append({**row, "history": history})
            print(size, memory, history[-1], f"{excess:.1e}", flush=True)
    return results


def main() -> None:
    torch.set_num_threads(1)
    if "--draw" in sys.argv:
        results = kept("questions")
    else:
        results = {
            "close": close_eigenvalues(),
            "minibatch": minibatch_runs(problem_of(mnist()[0])),
        }
        keep("questions", results)
    draw(results)


def draw(results: dict[str, Any]) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.9))
    named = {
        "gradient descent": LINES["mse"],
        "Adam": LINES["nested"],
        "exact step": LINES["exact"],
        "rows": LINES["other"],
    }
    labels = {"rows": "rows that batch PCA needs", "exact step": "passes: exact step"}
    for how, style in named.items():
        points = [(row["gap"], row[how]) for row in results["close"] if row[how] is not None]
        label = labels.get(how, f"passes: {how} on L")
        left.plot(*zip(*points, strict=True), label=label, **style)
    left.set(xscale="log", yscale="log", xlabel="gap between two eigenvalues / eigenvalue")
    left.set(ylabel="until all 8 directions are found", ylim=(1, 3e8))
    left.legend(fontsize=8, loc="upper right")
    fills = {10: "white", 100: "0.6", 1000: "black"}
    dashes = {"1e-2, constant": ":", "1e-3 to 1e-6": "-", "1e-2 to 1e-5": "--"}
    for row in results["minibatch"]:
        rows, shares = zip(*row["history"], strict=True)
        exact = row["schedule"].startswith("exact")
        if exact and row["size"] != 100:
            continue
        right.plot(
            np.array(rows) / 1000,
            shares,
            linestyle=(0, (1, 1)) if exact else dashes[row["schedule"]],
            color="0.4" if exact else "black",
            marker=("^" if "factored" in row["schedule"] else "v") if exact else "o",
            markerfacecolor="0.4" if exact else fills[row["size"]],
            linewidth=1,
            label=row["schedule"] if exact else f"Adam, {row['schedule']}, {row['size']} rows",
        )
    right.set(xlabel="MNIST images seen, thousands", ylabel=f"share of {P} directions in order")
    right.set(ylim=(-0.03, 1.05))
    right.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.subplots_adjust(wspace=0.25)
    save(figure, "questions")


if __name__ == "__main__":
    main()
