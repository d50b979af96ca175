"""How methods are compared: same rows, one run, taking turns, threads pinned, copies for each.

A method learns minibatch by minibatch with the clock running only while it does; reading its
components at the end counts too. What it learns from is a copy made with the clock stopped, since
some peers change their input. Each begins on a machine that is idle: threads of torch and of the
BLAS libraries spin for a tenth of a second or more after their work, on the cores of the next.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from streampca.metrics import ordered_share

Matrix = NDArray[np.floating[Any]]

PAUSE = 0.3
"""Seconds before each run, in which threads that the method before keeps spinning fall asleep."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pinned(threads: int | None = None) -> Iterator[int]:
    """Every library on the same number of threads; by default all cores."""
    count = threads or cores()
    torch = sys.modules.get("torch")  # who measures it has imported it
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield count
    finally:
        if torch is not None:
            torch.set_num_threads(before)


class Learner(Protocol):
    """What every method is wrapped as."""

    learn: Callable[[Matrix], object]
    """Called with every minibatch."""

    def components(self) -> Matrix:
        """The p directions as rows, strongest first."""
        ...


@dataclass(frozen=True)
class Timing:
    """One run of one method."""

    seconds: float
    rows: int
    components: Matrix
    whole: bool  # False: the time budget was spent before the rows were

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def time_pass(learner: Learner, batches: Iterable[Matrix], budget: float = np.inf) -> Timing:
    """Show all minibatches, or as many as the time budget allows, and read the components."""
    copies = [batch.copy() for batch in batches]
    time.sleep(PAUSE)
    shown, start = 0, time.perf_counter()
    for batch in copies:
        learner.learn(batch)
        shown += 1
        if time.perf_counter() - start > budget:
            break
    components = np.asarray(learner.components())
    spent = time.perf_counter() - start
    rows = sum(len(batch) for batch in copies[:shown])
    return Timing(spent, rows, components.astype("float64"), shown == len(copies))


def time_products(products: Callable[[Matrix], object], batches: Iterable[Matrix]) -> float:
    """Seconds that bare products with every minibatch take."""
    copies = [batch.copy() for batch in batches]
    time.sleep(PAUSE)
    start = time.perf_counter()
    for batch in copies:
        products(batch)
    return time.perf_counter() - start


@dataclass
class Runs:
    """All runs of one method on the same rows."""

    timings: list[Timing] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median seconds."""
        return statistics.median(timing.seconds for timing in self.timings)

    @property
    def rate(self) -> float:
        """Median rows per second."""
        return statistics.median(timing.rate for timing in self.timings)

    @property
    def slowest(self) -> float:
        """Rows per second of the slowest run."""
        return min(timing.rate for timing in self.timings)

    @property
    def fastest(self) -> float:
        """Rows per second of the fastest run."""
        return max(timing.rate for timing in self.timings)

    @property
    def last(self) -> Timing:
        """The last run."""
        return self.timings[-1]


class Truth:
    """Batch PCA in float64 of the rows themselves."""

    def __init__(self, X: Matrix) -> None:
        rows = X.astype("float64")
        rows -= rows.mean(axis=0)
        self.Sigma = rows.T @ rows / (len(rows) - 1)
        values, vectors = np.linalg.eigh(self.Sigma)
        self.values, self.vectors = values[::-1], vectors[:, ::-1]

    def kept(self, components: Matrix) -> float:
        """Variance that the span of components keeps."""
        Q, _ = np.linalg.qr(components.T.astype("float64"))
        return float(np.einsum("ij,ij->", Q, self.Sigma @ Q))

    def excess(self, components: Matrix) -> float:
        """Extra reconstruction error, relative to that of batch PCA."""
        if not np.isfinite(components).all():
            return np.inf
        p = len(components)
        return (float(self.values[:p].sum()) - self.kept(components)) / self.values[p:].sum()

    def ordered(self, components: Matrix) -> float:
        """Share of the directions found in their own place, |cos| > 0.99."""
        if not np.isfinite(components).all():
            return 0.0
        return ordered_share(components, self.vectors[:, : len(components)].T)


def batched(X: Matrix, size: int) -> list[Matrix]:
    """X in minibatches (views)."""
    return [X[start : start + size] for start in range(0, len(X), size)]
