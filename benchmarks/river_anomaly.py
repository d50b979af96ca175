"""ROC AUC of PCAScorer beside River's detectors: every row is scored, then learned.

    python -m benchmarks.river_anomaly

Shuttle is bundled with River. CreditCard must be downloaded, so a stream like it takes its place:
28 decorrelated features of falling variance, an amount, 0.2 % anomalies of which most lie far out
along a few features and some only break relations.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from river import anomaly, datasets, preprocessing
from sklearn.metrics import roc_auc_score

from streampca.river import PCAScorer

Stream = list[tuple[dict[str, float], bool]]


def like_credit_card(count: int = 50_000, seed: int = 0) -> Stream:
    rng = np.random.default_rng(seed)
    spread = np.linspace(1.9, 0.3, 28)
    X = rng.standard_t(5, size=(count, 28)) * spread
    amount = np.exp(rng.normal(3, 1.5, count)) + 5 * X[:, 1]
    fraud = rng.random(count) < 0.002
    far = rng.normal(0, 4, size=(count, 28)) * (np.arange(28) % 5 == 2)
    X[fraud] += far[fraud]
    columns = [*X.T, amount]
    names = [*(f"V{i}" for i in range(1, 29)), "Amount"]
    rows = np.column_stack(columns).tolist()
    return [
        (dict(zip(names, row, strict=True)), bool(y)) for row, y in zip(rows, fraud, strict=True)
    ]


def shuttle() -> Stream:
    return [(x, bool(y)) for x, y in datasets.Shuttle()]


def detectors() -> dict[str, Any]:
    return {
        "PCAScorer, both": preprocessing.StandardScaler() | PCAScorer(3),
        "PCAScorer, SPE": preprocessing.StandardScaler() | PCAScorer(3, "spe"),
        "PCAScorer, T^2": preprocessing.StandardScaler() | PCAScorer(3, "t2"),
        "HalfSpaceTrees": preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=42),
        "LODA": preprocessing.StandardScaler() | anomaly.LODA(seed=42),
    }


def main() -> None:
    for name, stream in (("Shuttle", shuttle()), ("like CreditCard", like_credit_card())):
        labels = [y for _, y in stream]
        print(f"\n{name}: {len(stream):,} rows, {sum(labels):,} anomalies")
        for detector, model in detectors().items():
            scores, start = [], time.perf_counter()
            for x, _ in stream:
                scores.append(model.score_one(x))
                model.learn_one(x)
            each = (time.perf_counter() - start) / len(stream) * 1e6
            auc = roc_auc_score(labels, scores)
            print(f"  {detector:18}ROC AUC {auc:.4f}   {each:6.1f} us a row", flush=True)


if __name__ == "__main__":
    main()
