"""Checkpoints that an older version wrote, and the rows from which it learned them.

    python -m golden FOLDER     # writes them with the streampca that is on the path

Each schema version keeps a folder under tests/checkpoint/golden, written once by the last version
that had it, and never again. Only names that every version has are used here.
"""

import sys
from pathlib import Path

import numpy as np

FIRST, ALL = 120, 200
"""Rows that a checkpoint of the folder holds, and rows once it went on."""

CASES = {
    "dense": {"memory": "dense"},
    "factored": {"memory": "factored"},
    "float32": {"memory": "dense", "dtype": "float32"},
    "forgetting": {"memory": "dense", "half_life": 40.0},
    "factored-forgetting": {"memory": "factored", "half_life": 40.0},
    "gaps": {"memory": "dense", "missing": "impute"},
    "whiten": {"memory": "dense", "whiten": True},
    "all-components": {"memory": "dense", "n_components": None},
}
END = 1_795_759_200_000_000  # microseconds since 1970
KEYS = {"dense": "pump 7", "factored": 7}


def rows(case: str) -> np.ndarray:
    """ALL rows of 9 features: four directions and a little of each other."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(ALL, 4)) * (5, 3, 2, 1) @ rng.normal(size=(4, 9))
    X += 0.1 * rng.normal(size=(ALL, 9)) + np.arange(9)
    if case == "float32":
        return X.astype(np.float32)
    if case == "gaps":
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X


def estimator(case: str):
    from streampca import StreamingPCA

    return StreamingPCA(**({"n_components": 3, "batch_size": 20} | CASES[case]))


def checkpoint(case: str):
    pca = estimator(case).partial_fit(rows(case)[:FIRST])
    return pca.checkpoint(key=KEYS.get(case), window_end=END)


def write(folder: Path) -> None:
    for case in CASES:
        saved = checkpoint(case)
        (folder / f"{case}.bytes").write_bytes(saved.to_bytes())
        (folder / f"{case}.parquet").write_bytes(saved.to_parquet_bytes())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
