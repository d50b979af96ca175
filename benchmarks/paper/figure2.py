"""Figure 2: on the synthetic rows Adam finds the ordered eigenvectors by L, and none by the MSE.

n = 1000, m = 2000, p = 100, covariance diag(1..1000); Adam from 1e-3 to 1e-6 over 40,000
full-batch iterations; the exact step beside it.

    python -m benchmarks.paper.figure2            # about 10 minutes on one core
    python -m benchmarks.paper.figure2 --draw     # the figure again from docs/paper/figure2.json
"""

from __future__ import annotations

import sys
import time
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.paper.descent import State, adam, full_batch, losses
from benchmarks.paper.style import LINES, NAMES, keep, kept, save
from benchmarks.paper.synthetic import Problem, paper_rows
from streampca.metrics import ratios
from streampca.moments import make_moments
from streampca.rows import Minibatch
from streampca.solvers.exact import begin, exact_step

P = 100
ITERATIONS = 40_000


def descend(problem: Problem, loss: str, iterations: int = ITERATIONS) -> list[dict[str, float]]:
    """The paper's run; one row of measures for every 1,000 iterations."""
    S, truth = problem.S, problem.vectors[:P]
    history: list[dict[str, float]] = []
    start = time.perf_counter()

    def report(state: State) -> None:
        found = ratios(state.A.detach().T, truth)
        nested, mse = losses(state.A, state.B, S)
        history.append(
            {
                "iteration": state.iteration,
                "nested": nested,
                "mse": mse,
                "TP": found.true_positive,
                "FP": found.false_positive,
                "seconds": time.perf_counter() - start,
            }
        )
        if state.iteration % 5000 == 0:
            print(f"{loss} {state.iteration}: TP {found.true_positive:.2f}", flush=True)

    n = len(S)
    adam(full_batch(S), n, P, loss, iterations=iterations, every=1000, report=report)
    return history


def exact(problem: Problem, guards: int, seed: int = 0) -> list[dict[str, float]]:
    """Exact steps from a random start; a step is one product with Sigma, one pass over the rows."""
    truth, n = problem.vectors[:P], problem.X.shape[1]
    moments = make_moments("dense", n, center=False, dtype="float64")
    moments.update(Minibatch(problem.X.astype("float64")))
    draws = np.random.default_rng(seed)
    state = begin(moments, np.linalg.qr(draws.normal(size=(n, P + guards)))[0])
    history = []
    for passes in range(1, 31):  # the start is a product too
        found = ratios(state.A[:, :P].T, truth)
        A = torch.from_numpy(np.ascontiguousarray(state.A[:, :P]))
        nested, mse = losses(A, A.T, torch.from_numpy(problem.Sigma))
        history.append(
            {
                "passes": passes,
                "nested": nested,
                "mse": mse,
                "TP": found.true_positive,
                "FP": found.false_positive,
            }
        )
        if found.true_positive == 1.0:
            break
        state, _ = exact_step(state, moments)
    return history


def main() -> None:
    torch.set_num_threads(1)
    if "--draw" in sys.argv:
        draw(kept("figure2"))
        return
    problem = paper_rows()
    weights = np.arange(P, 0, -1.0)
    results: dict[str, Any] = {
        "optimum": {
            "nested": float(P - weights @ problem.values[:P]),
            "mse": float(1 - problem.values[:P].sum()),
        },
        "exact": {str(guards): exact(problem, guards) for guards in (0, 20, 100)},
    }
    for guards, history in results["exact"].items():
        print(f"exact step, {guards} guards: TP {history[-1]['TP']} in {len(history)} passes")
    for loss in ("nested", "mse"):
        results[loss] = descend(problem, loss)
    keep("figure2", results)
    draw(results)


def draw(results: Any) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    for loss in ("nested", "mse"):
        run = results[loss]
        x = [max(row["iteration"], 1) for row in run]
        own = [row[loss] / results["optimum"][loss] for row in run]
        style = {**LINES[loss], "markevery": 4}
        left.plot(x, np.array(own) - 1, label=NAMES[loss], **style)
        right.plot(x, [row["TP"] for row in run], label=f"{NAMES[loss]}: TP", **style)
        right.plot(
            x,
            [row["FP"] for row in run],
            label=f"{NAMES[loss]}: FP",
            **{**style, "markerfacecolor": "white"},
        )
    guards = "100"  # as many as StreamingPCA keeps by default: q = 2 p
    run = results["exact"][guards]
    x = [row["passes"] for row in run]
    left.plot(
        x,
        [max(row["nested"] / results["optimum"]["nested"] - 1, 1e-12) for row in run],
        label=NAMES["exact"],
        **LINES["exact"],
    )
    right.plot(x, [row["TP"] for row in run], label=f"{NAMES['exact']}: TP", **LINES["exact"])
    left.set(xscale="log", yscale="log", ylim=(1e-7, 30))
    left.set(xlabel="passes over the data", ylabel="own loss / its optimum, less 1")
    right.set(xscale="log", ylim=(-0.03, 1.05))
    right.set(xlabel="passes over the data", ylabel="share of the 100 directions")
    left.legend(loc="upper right", fontsize=8)
    right.legend(loc="center", bbox_to_anchor=(0.47, 0.55), fontsize=8)
    save(figure, "figure2")


if __name__ == "__main__":
    main()
