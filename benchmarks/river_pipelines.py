"""Progressive validation with and without PCA, on streams that need no download.

    python -m benchmarks.river_pipelines

The same learner in each pair; every row is predicted before it is learned. "warmed up": PCA alone
has learned the first 600 rows, and both are judged on the rows after these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from river import (
    compose,
    datasets,
    linear_model,
    metrics,
    naive_bayes,
    neighbors,
    preprocessing,
    stream,
)
from sklearn.datasets import load_digits

from streampca.river import PCA

WARM_UP = 600


class Case(NamedTuple):
    name: str
    rows: Callable[[], Iterable[Any]]
    learner: Callable[[], Any]
    metric: Callable[[], Any]
    p: int
    scaled: bool = True  # whether features need a common unit


def digits() -> Iterable[Any]:
    return stream.iter_sklearn_dataset(load_digits())


def nearest() -> Any:
    return neighbors.KNNClassifier(engine=neighbors.SWINN(graph_k=20, seed=42))


CASES = [
    Case("Digits, naive Bayes", digits, naive_bayes.GaussianNB, metrics.Accuracy, 20, False),
    Case("Digits, neighbours", digits, nearest, metrics.Accuracy, 20, False),
    Case(
        "Phishing, logistic regression",
        datasets.Phishing,
        linear_model.LogisticRegression,
        metrics.Accuracy,
        5,
    ),
    Case(
        "ImageSegments, naive Bayes",
        datasets.ImageSegments,
        naive_bayes.GaussianNB,
        metrics.Accuracy,
        8,
    ),
    Case(
        "TrumpApproval, linear regression",
        datasets.TrumpApproval,
        linear_model.LinearRegression,
        metrics.MAE,
        3,
    ),
]


def score(case: Case, *, pca: bool, warm_up: int) -> float:
    steps: list[Any] = [preprocessing.StandardScaler()] if case.scaled else []
    if pca:
        steps.append(PCA(case.p))
    front, model = compose.Pipeline(*steps), compose.Pipeline(*steps, case.learner())
    metric = case.metric()
    for i, (x, y) in enumerate(case.rows()):
        if i < warm_up:
            if steps:
                front.learn_one(x)
            continue
        predicted = model.predict_one(x)
        if predicted is not None:
            metric.update(y, predicted)
        model.learn_one(x, y)
    return float(metric.get())


def main() -> None:
    print(
        f"{'stream, learner':34}{'metric':9}{'p':>3}{'plain':>8}{'PCA':>8}{'warmed up: plain':>19}"
    )
    for case in CASES:
        cells = [
            score(case, pca=pca, warm_up=warm_up)
            for warm_up in (0, WARM_UP)
            for pca in (False, True)
        ]
        print(
            f"{case.name:34}{case.metric.__name__:9}{case.p:>3}{cells[0]:>8.3f}{cells[1]:>8.3f}"
            f"{cells[2]:>19.3f}{cells[3]:>8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
