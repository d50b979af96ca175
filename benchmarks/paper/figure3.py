"""Figure 3: all 60,000 MNIST images, p = 100; images from all columns and from the first ten.

Adam from 1e-3 to 1e-6 on L and on the MSE, full batch; the exact step beside them.

    python -m benchmarks.paper.figure3            # about 3 minutes on one core
"""

from __future__ import annotations

import time
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.data import mnist
from benchmarks.paper.descent import State, adam, full_batch
from benchmarks.paper.style import NAMES, keep, save
from benchmarks.paper.synthetic import Problem, problem_of
from streampca import StreamingPCA
from streampca.metrics import ratios

P, FEW = 100, 10
ITERATIONS = 12_000


def errors(A: np.ndarray, B: np.ndarray, problem: Problem) -> dict[str, float]:
    """Reconstruction error over that of PCA: of all columns, of the first ten, of their span."""
    X, values = problem.X, problem.values
    total = values.sum()

    def error(A: np.ndarray, B: np.ndarray) -> float:
        return float(((X - (X @ B.T) @ A.T) ** 2).sum(dtype="float64") / len(X))

    Q = np.linalg.qr(A[:, :FEW])[0]
    best_all, best_few = total - values[:P].sum(), total - values[:FEW].sum()
    return {
        "all": error(A, B) / best_all,
        "few": error(A[:, :FEW], B[:FEW]) / best_few,
        "few_span": error(Q, Q.T) / best_few,
        **ratios(A.T, problem.vectors[:P])._asdict(),
    }


def main() -> None:
    torch.set_num_threads(1)
    images = mnist()[0]
    problem = problem_of(images)
    n = images.shape[1]
    models: dict[str, Any] = {}
    results: dict[str, Any] = {"iterations": ITERATIONS}
    for loss in ("nested", "mse"):
        start = time.perf_counter()

        def report(state: State) -> None:
            if state.iteration % 3000 == 0:
                found = ratios(state.A.detach().T, problem.vectors[:P])
                print(f"{loss} {state.iteration}: {found}", flush=True)  # noqa: B023

        state = adam(full_batch(problem.S), n, P, loss, iterations=ITERATIONS, report=report)
        models[loss] = state.A.numpy(), state.B.numpy()
        results[loss] = {"seconds": time.perf_counter() - start}
    start = time.perf_counter()
    pca = StreamingPCA(P)
    for first in range(0, len(images), 1000):
        pca.partial_fit(problem.X[first : first + 1000])
    models["exact"] = pca.decoder_, pca.encoder_
    results["exact"] = {"seconds": time.perf_counter() - start}
    for name, (A, B) in models.items():
        results[name] |= errors(A, B, problem)
        print(name, results[name])
    keep("figure3", results)
    draw(images, problem, models)


def draw(images: np.ndarray, problem: Problem, models: dict[str, Any]) -> None:
    digits = [1, 3, 5, 7, 2, 0, 13, 15]
    mean = images.mean(axis=0)
    scale = np.sqrt(((images - mean) ** 2).sum() / len(images))
    rows: list[tuple[str, np.ndarray]] = [("images", images[digits])]
    for count, how in ((P, "all 100 columns"), (FEW, "first 10 columns")):
        for name, (A, B) in models.items():
            Z = problem.X[digits] @ B[:count].T @ A[:, :count].T
            rows.append((f"{how}:\n{NAMES[name]}", Z * scale + mean))
    figure, axes = plt.subplots(len(rows), len(digits), figsize=(7.6, 6.4))
    for line, (label, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.05, hspace=0.08)
    save(figure, "figure3")


if __name__ == "__main__":
    main()
