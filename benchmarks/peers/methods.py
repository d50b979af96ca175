"""Every method under one face: `learn` a minibatch, read `components()`.

A method's `make(n, p)` gives a fresh learner for n features and p components. Peers are imported
when they are made, so that one that is not installed is missing alone, and by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.decomposition import IncrementalPCA as SklearnIncrementalPCA

from benchmarks.peers.install import load
from benchmarks.peers.measure import Learner, Matrix
from benchmarks.peers.online import CCIPCA, AdaOja, FrequentDirections, HistoryPCA, Oja
from streampca import StreamingPCA


class Method(NamedTuple):
    """A method by name."""

    name: str
    make: Callable[[int, int], Learner]
    note: str = ""


class PartialFit:
    """An estimator that learns by partial_fit and has components_."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.learn: Callable[[Matrix], object] = estimator.partial_fit

    def components(self) -> Matrix:
        return np.asarray(self.estimator.components_)


class TorchPartialFit(PartialFit):
    """The same for one that wants tensors, which share the memory of the rows."""

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.learn = lambda X: estimator.partial_fit(torch.from_numpy(X))


class Collects:
    """A method that wants all minibatches before it starts."""

    def __init__(self) -> None:
        self.batches: list[Matrix] = []
        self.learn = self.batches.append


class TorchDRExact(Collects):
    """TorchDR's exact incremental PCA: one pass for the mean, a second for the covariance."""

    def __init__(self, p: int) -> None:
        super().__init__()
        self.model = load("TorchDR").ExactIncrementalPCA(n_components=p)

    def components(self) -> Matrix:
        batches = [torch.from_numpy(batch) for batch in self.batches]
        self.model.compute_mean(batches)
        return np.asarray(self.model.fit(batches).components_)


class BatchPCA(Collects):
    """scikit-learn's PCA of all rows at once."""

    def __init__(self, p: int, solver: str) -> None:
        super().__init__()
        self.model = PCA(p, svd_solver=solver, random_state=0)

    def components(self) -> Matrix:
        return np.asarray(self.model.fit(np.concatenate(self.batches)).components_)


def ours(memory: str, **options: Any) -> Callable[[int, int], Learner]:
    """StreamingPCA with this kind of memory."""
    return lambda n, p: PartialFit(StreamingPCA(p, memory=memory, **options))


DENSE = Method("streampca, dense", ours("dense"))
FACTORED = Method("streampca, factored", ours("factored"))
INCREMENTAL = Method(
    "scikit-learn IncrementalPCA", lambda n, p: PartialFit(SklearnIncrementalPCA(p))
)
EXACT = Method("TorchDR ExactIncrementalPCA", lambda n, p: TorchDRExact(p), "two passes")
BATCH = (
    Method(
        "scikit-learn PCA, covariance_eigh", lambda n, p: BatchPCA(p, "covariance_eigh"), "batch"
    ),
    Method("scikit-learn PCA, randomized", lambda n, p: BatchPCA(p, "randomized"), "batch"),
)
TORCH = (
    Method(
        "TorchDR IncrementalPCA",
        lambda n, p: TorchPartialFit(load("TorchDR").IncrementalPCA(n_components=p)),
    ),
    Method(
        "torch-incremental-pca",
        lambda n, p: TorchPartialFit(load("torch-incremental-pca").IncrementalPCA(n_components=p)),
    ),
    Method(
        "torch-incremental-pca, gram",
        lambda n, p: TorchPartialFit(
            load("torch-incremental-pca").IncrementalPCA(n_components=p, gram=True)
        ),
    ),
)
INTELEX = Method(
    "scikit-learn-intelex IncrementalPCA",
    lambda n, p: PartialFit(load("scikit-learn-intelex").IncrementalPCA(n_components=p)),
)
OJA = tuple(
    Method(f"Oja, rate {rate:g}/t", lambda n, p, rate=rate: Oja(n, p, rate=rate))  # type: ignore[misc]
    for rate in (1.0, 10.0, 100.0)
)
CCI = Method("CCIPCA", CCIPCA, "row by row")
SKETCH = Method("Frequent Directions, 4 p rows", FrequentDirections)
ADA_OJA, HISTORY = Method("AdaOja", AdaOja), Method("History PCA", HistoryPCA)
REFERENCES = (CCI, *OJA, ADA_OJA, HISTORY, SKETCH)

EVERYTHING = (DENSE, FACTORED, INCREMENTAL, EXACT, INTELEX, *TORCH[:2], *BATCH, *REFERENCES)
FASTEST = (DENSE, FACTORED, INCREMENTAL, EXACT, INTELEX, CCI, HISTORY, SKETCH)
"""For a second look at rows that all have seen."""
WIDE = (FACTORED, INCREMENTAL, *TORCH, CCI, OJA[1], HISTORY, SKETCH)
"""For so many features that nothing n x n can be held."""

FORMS_COVARIANCE = frozenset(m.name for m in (DENSE, EXACT, INTELEX, BATCH[0]))
"""Methods whose limit is X'X; that of all others is the two thin products."""


def limit_of(name: str) -> str:
    """Which bare products a method cannot do without."""
    return "X'X" if name in FORMS_COVARIANCE else "two products"
