"""One table: ordered directions and excess error of every method, by rows seen and by time.

p = 20 on the paper's synthetic rows (2,000 rows, 200 passes) and on MNIST (60,000 rows, 10 passes),
in minibatches of 100. Every rule gets the best of four learning rates, chosen by what it has at
the end, and a rate that falls linearly to nothing: more than a user of a stream could know.

    python -m benchmarks.paper.rivals             # about 6 minutes on one core
    python -m benchmarks.paper.rivals --draw      # table and figure from docs/paper/rivals.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.data import mnist
from benchmarks.paper.references import RULES, Rule
from benchmarks.paper.style import DOCS, keep, kept, save
from benchmarks.paper.synthetic import Problem, paper_rows, problem_of
from streampca import StreamingPCA
from streampca.metrics import excess_error, ordered_share

P = 20
BATCH = 100
RATES = (2.0, 0.7, 0.2, 0.05)
PASSES = {"synthetic": 200, "MNIST": 10}
MARKS = (0.01, 0.1, 1.0)
"""Where measures are taken, as shares of all rows shown."""


def measures(components: Any, problem: Problem) -> dict[str, float]:
    finite = np.isfinite(components).all()
    if not finite:
        return {"ordered": 0.0, "excess": float("inf")}
    return {
        "ordered": ordered_share(components, problem.vectors[:P]),
        "excess": excess_error(components, problem.Sigma),
    }


def shown(problem: Problem, passes: int, seed: int = 0) -> list[np.ndarray]:
    """Indices of the minibatches, each pass in a new order."""
    draws = np.random.default_rng(seed)
    m = len(problem.X)
    orders = [draws.permutation(m) for _ in range(passes)]
    return [order[i : i + BATCH] for order in orders for i in range(0, m, BATCH)]


def run(
    step: Callable[[np.ndarray, float], None],
    read: Callable[[], Any],
    problem: Problem,
    scale: float,
    passes: int,
) -> list[dict[str, float]]:
    """Show all minibatches; measure at the marks, with the clock stopped."""
    batches = shown(problem, passes)
    marks = {round(mark * len(batches)): mark for mark in MARKS}
    X, spent, history = problem.X * np.float32(scale), 0.0, []
    for k, rows in enumerate(batches, start=1):
        batch = X[rows]
        start = time.perf_counter()
        step(batch, 1 - (k - 1) / len(batches))
        if k in marks:
            try:
                components = read()
            except np.linalg.LinAlgError:  # the rate was too high: what was read is not a number
                components = np.full((P, problem.X.shape[1]), np.nan)
        spent += time.perf_counter() - start
        if k in marks:
            row = {"rows": k * BATCH, "seconds": spent, **measures(components, problem)}
            history.append(row)
            if not np.isfinite(row["excess"]):
                break
    return history


def best_of_rates(rule: type[Rule], problem: Problem, passes: int) -> dict[str, Any]:
    scale = problem.values[0] ** -0.5
    best: dict[str, Any] = {}
    for rate in RATES:
        method = rule(problem.X.shape[1], P, dtype="float32")
        with np.errstate(all="ignore"):
            history = run(
                lambda X, share: method.step(X, rate * share),  # noqa: B023
                method.components,
                problem,
                scale,
                passes,
            )
        last = (history[-1]["ordered"], -history[-1]["excess"])
        if not best or last > best["last"]:
            best = {"last": last, "rate": rate, "history": history}
    del best["last"]
    return {"name": rule.name, **best}


def ours(name: str, problem: Problem, passes: int, **options: Any) -> dict[str, Any]:
    pca = StreamingPCA(P, **options)
    history = run(lambda X, _: pca.partial_fit(X), lambda: pca.components_, problem, 1.0, passes)
    return {"name": name, "rate": None, "history": history}


def adam(parameters: list[torch.nn.Parameter], rate: float, steps: int) -> Any:
    optimizer = torch.optim.Adam(parameters, lr=rate)
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 1e-2 ** (1 / steps))


def nested_by_adam(problem: Problem, passes: int) -> dict[str, Any]:
    """The paper's method in minibatches, with the best of three rates."""
    steps = passes * len(problem.X) // BATCH
    runs = []
    for rate in (1e-2, 3e-3, 1e-3):
        found = ours(
            "streampca, minibatch, nested loss by Adam",
            problem,
            passes,
            solver="first_order",
            memory="minibatch",
            batch_size=BATCH,
            optimizer=lambda parameters: adam(parameters, rate, steps),  # noqa: B023
        )
        runs.append({**found, "rate": rate})
    return max(runs, key=lambda run: (run["history"][-1]["ordered"], -run["history"][-1]["excess"]))


def compare(problem: Problem, passes: int) -> list[dict[str, Any]]:
    found = [
        ours("streampca, dense, exact step", problem, passes),
        ours("streampca, factored, exact step", problem, passes, memory="factored"),
        nested_by_adam(problem, passes),
    ]
    for rule in RULES:
        found.append(best_of_rates(rule, problem, passes))
        last = found[-1]["history"][-1]
        print(f"{rule.name}: rate {found[-1]['rate']}, {last}", flush=True)
    return found


def table(results: dict[str, Any]) -> str:
    """Markdown: ordered share and excess at the three marks, seconds for all rows."""
    lines = []
    for data, methods in results.items():
        rows = [f"{row['rows']:,}" for row in methods[0]["history"]]
        lines += [
            f"**{data}**, p = {P}; rows seen: {', '.join(rows)}",
            "",
            f"| method | ordered, after {' / '.join(rows)} rows | excess error | seconds | rate |",
            "|---|---|---|---:|---:|",
        ]
        for method in methods:
            history = method["history"]
            ordered = " / ".join(f"{100 * row['ordered']:.0f} %" for row in history)
            excess = " / ".join(f"{max(row['excess'], 0):.0e}" for row in history)
            rate = "-" if method["rate"] is None else f"{method['rate']:g}"
            lines.append(
                f"| {method['name']} | {ordered} | {excess} | {history[-1]['seconds']:.1f} "
                f"| {rate} |"
            )
        lines.append("")
    return "\n".join(lines)


def draw(results: dict[str, Any]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    markers = "o^vsDPX*<>hpd1234"
    for axis, (data, methods) in zip(axes, results.items(), strict=True):
        for marker, method in zip(markers, methods, strict=False):
            own = method["name"].startswith("streampca")
            axis.plot(
                [row["seconds"] for row in method["history"]],
                [row["ordered"] for row in method["history"]],
                marker=marker,
                color="black" if own else "0.55",
                linestyle="-" if own else ":",
                label=method["name"],
            )
        axis.set(title=data, xscale="log", xlabel="seconds", ylim=(-0.03, 1.05))
    axes[0].set_ylabel(f"share of the {P} directions found in order")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, "rivals")


def main() -> None:
    torch.set_num_threads(1)
    if "--draw" in sys.argv:
        results = kept("rivals")
    else:
        with threadpool_limits(1):
            results = {
                "synthetic": compare(paper_rows(), PASSES["synthetic"]),
                "MNIST": compare(problem_of(mnist()[0]), PASSES["MNIST"]),
            }
        keep("rivals", results)
    text = table(results)
    (DOCS / "rivals.md").write_text(text)
    print(text)
    draw(results)


if __name__ == "__main__":
    main()
