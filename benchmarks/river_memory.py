"""Memory of River's PCA and PCAScorer over a million rows.

python -m benchmarks.river_memory [rows]
"""

from __future__ import annotations

import pickle
import resource
import sys

import numpy as np

from streampca.river import PCA, PCAScorer


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 10)) @ rng.normal(size=(10, 10))
    rows = [dict(zip("abcdefghij", row, strict=True)) for row in X.tolist()]
    pca, scorer = PCA(3), PCAScorer(3)
    print(f"{'rows':>10}{'PCA':>14}{'PCAScorer':>14}{'pickles':>16}{'process, MiB':>14}")
    for count in range(1, total + 1):
        x = rows[count % 1000]
        pca.learn_one(x)
        pca.transform_one(x)
        scorer.score_one(x)
        scorer.learn_one(x)
        if count in (1000, 10_000) or count % (total // 5) == 0:
            sizes = f"{len(pickle.dumps(pca)):,} {len(pickle.dumps(scorer)):,}"
            resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{count:>10,}{pca._memory_usage:>14}{scorer._memory_usage:>14}{sizes:>16}"
                f"{resident:>14.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
