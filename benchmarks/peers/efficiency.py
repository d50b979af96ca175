"""How much of what the rows know is found: R_ex, directions one by one, changes, shards.

R_ex is the population's excess variance over that of batch PCA on the same rows: 1 is perfect for
anything that sees the rows once. The ratio of a direction is its squared sine to the truth over
that of batch PCA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.peers.measure import Learner, Matrix, Truth, batched
from benchmarks.peers.methods import (
    ADA_OJA,
    CCI,
    DENSE,
    FACTORED,
    HISTORY,
    INCREMENTAL,
    OJA,
    SKETCH,
)
from benchmarks.peers.results import Figure
from streampca import StreamingPCA
from streampca.metrics import excess_variance

N_FEATURES, N_ROWS, P, STREAMS = 100, 20_000, 10, 5
METHODS = (DENSE, FACTORED, INCREMENTAL, CCI, *OJA, ADA_OJA, HISTORY, SKETCH)

SPECTRA = {
    "1/i": 1.0 / np.arange(1, N_FEATURES + 1),
    "spiked": np.concatenate([1 + np.geomspace(20, 2, P), np.ones(N_FEATURES - P)]),
}


class Population(NamedTuple):
    """Gaussian rows whose covariance is known."""

    basis: Matrix  # (n, n) eigenvectors as columns
    spectrum: Matrix  # (n,)

    @property
    def Sigma(self) -> Matrix:
        """The covariance."""
        return (self.basis * self.spectrum) @ self.basis.T

    def draw(self, rows: int, draws: np.random.Generator) -> Matrix:
        """Rows in float32."""
        Z = draws.normal(size=(rows, len(self.spectrum))) * np.sqrt(self.spectrum)
        return (Z @ self.basis.T).astype("float32")

    def excess(self, components: Matrix) -> float:
        """Variance lost by the span of components against the leading directions."""
        return excess_variance(components, self.Sigma)

    def squared_sines(self, components: Matrix) -> Matrix:
        """Of each component to the direction in its place."""
        C = components / np.linalg.norm(components, axis=1, keepdims=True)
        cosines = np.einsum("in,ni->i", C.astype("float64"), self.basis[:, : len(C)])
        return 1.0 - np.minimum(cosines**2, 1.0)


def population(spectrum: Matrix, seed: int) -> tuple[Population, np.random.Generator]:
    """Directions at random."""
    draws = np.random.default_rng(seed)
    basis = np.linalg.qr(draws.normal(size=(len(spectrum), len(spectrum))))[0]
    return Population(basis, spectrum), draws


def learned(learner: Learner, X: Matrix, m: int) -> Matrix:
    for batch in batched(X, m):
        learner.learn(batch.copy())
    return learner.components()


def r_ex(sizes: Sequence[int] = (10, 100), streams: int = STREAMS) -> Iterator[Figure]:
    """R_ex and the ratio of each direction, over some streams."""
    for name, spectrum in SPECTRA.items():
        for m in sizes:
            excess: dict[str, list[float]] = {method.name: [] for method in METHODS}
            sines: dict[str, list[Matrix]] = {method.name: [] for method in METHODS}
            batch_excess, batch_sines, limits = [], [], []
            for seed in range(streams):
                truth, draws = population(spectrum, seed)
                X = truth.draw(N_ROWS, draws)
                batch = Truth(X).vectors[:, :P].T
                batch_excess.append(truth.excess(batch))
                batch_sines.append(truth.squared_sines(batch))
                limits.append(_formula(spectrum, P) / N_ROWS)
                for method in METHODS:
                    found = learned(method.make(N_FEATURES, P), X, m)
                    excess[method.name].append(truth.excess(found))
                    sines[method.name].append(truth.squared_sines(found))
            at = {"data": f"{name}, batches of {m}", "n": N_FEATURES, "p": P, "m": m}
            for method in METHODS:
                ratio = np.array(excess[method.name]) / batch_excess
                each = np.sum(sines[method.name], axis=0) / np.sum(batch_sines, axis=0)
                spread = {"low": float(ratio.min()), "high": float(ratio.max())}
                yield _figure(at, method.name, "R_ex", float(ratio.mean()), **spread)
                spread = {"low": float(each.min()), "high": float(each.max())}
                yield _figure(at, method.name, "directions", float(np.median(each)), **spread)
            formula = float(np.mean(np.array(batch_excess) / limits))
            yield _figure(at, "batch PCA", "excess over formula", formula)


def _formula(spectrum: Matrix, p: int) -> float:
    """N times the expected excess of batch PCA: sum over i <= p < j of l_i l_j / (l_i - l_j)."""
    a, b = spectrum[:p, None], spectrum[None, p:]
    return float((a * b / (a - b)).sum())


# --- an abrupt change ----------------------------------------------------------------------------

HALF_LIFE = 1000.0
AFTER = (200, 500, 1000, 2000, 4000, 8000)
"""Rows after the change at which excess is measured."""


def change(streams: int = STREAMS) -> Iterator[Figure]:
    """8,000 rows of one subspace, then of another: who forgets, and who knows the change.

    Windows are batch PCA of the last rows: "since the change" is told when it was, which nobody
    can know; the fixed one has as many rows as a half-life weighs.
    """
    spectrum = SPECTRA["1/i"]
    gamma = 0.5 ** (1.0 / HALF_LIFE)
    window = round((1 + gamma) / (1 - gamma))
    learners: dict[str, Callable[[], StreamingPCA]] = {
        "dense, half-life 1,000": lambda: StreamingPCA(P, memory="dense", half_life=HALF_LIFE),
        "factored, half-life 1,000": lambda: StreamingPCA(
            P, memory="factored", half_life=HALF_LIFE
        ),
        "dense, nothing forgotten": lambda: StreamingPCA(P, memory="dense"),
    }
    names = [
        *learners,
        INCREMENTAL.name,
        f"window of {window:,} rows",
        "oracle: window since the change",
    ]
    found = {name: np.zeros((streams, len(AFTER))) for name in names}
    for seed in range(streams):
        before, draws = population(spectrum, seed)
        after, _ = population(spectrum, 1000 + seed)
        X = np.concatenate([before.draw(AFTER[-1], draws), after.draw(AFTER[-1], draws)])
        models = {name: make() for name, make in learners.items()}
        peer = INCREMENTAL.make(N_FEATURES, P)
        for start in range(0, len(X), 100):
            batch, seen = X[start : start + 100], start + 100 - AFTER[-1]
            for model in models.values():
                model.partial_fit(batch)
            peer.learn(batch.copy())
            if seen not in AFTER:
                continue
            stop, place = start + 100, AFTER.index(seen)
            components = {name: model.components_ for name, model in models.items()}
            components[INCREMENTAL.name] = peer.components()
            components[names[-2]] = Truth(X[max(0, stop - window) : stop]).vectors[:, :P].T
            components[names[-1]] = Truth(X[stop - seen : stop]).vectors[:, :P].T
            for name in names:
                found[name][seed, place] = after.excess(components[name])
    oracle = found[names[-1]]
    at = {"data": "change", "n": N_FEATURES, "p": P, "m": 100}
    for name in names:
        for place, seen in enumerate(AFTER):
            ratio = found[name][:, place] / oracle[:, place]
            spread = {"low": float(ratio.min()), "high": float(ratio.max()), "rows": seen}
            measure = f"excess over oracle, {seen:,} rows after"
            yield _figure(at, name, measure, float(ratio.mean()), part="change", **spread)


# --- shards --------------------------------------------------------------------------------------


def shards(n_shards: int = 64, streams: int = STREAMS) -> Iterator[Figure]:
    """Many workers, each with its share of the rows, merged, against one that sees all."""
    for memory in ("dense", "factored"):
        ratios, against_batch = [], []
        for seed in range(streams):
            truth, draws = population(SPECTRA["1/i"], seed)
            X = truth.draw(N_ROWS, draws)
            whole = truth.excess(StreamingPCA(P, memory=memory).fit(X).components_)
            merged = truth.excess(_merged(X, n_shards, P, memory).components_)
            ratios.append(merged / whole)
            against_batch.append(merged / truth.excess(Truth(X).vectors[:, :P].T))
        at = {"data": f"{n_shards} shards, 1/i", "n": N_FEATURES, "p": P, "rows": N_ROWS}
        for measure, of in (("over one stream", ratios), ("R_ex", against_batch)):
            spread = {"low": min(of), "high": max(of), "part": "shards"}
            yield _figure(at, f"streampca, {memory}", measure, float(np.mean(of)), **spread)
    X = data.mnist()[0]
    truth_of_rows, p = Truth(X), 10
    for memory in ("dense", "factored"):
        one = truth_of_rows.excess(StreamingPCA(p, memory=memory).fit(X).components_)
        many = truth_of_rows.excess(_merged(X, n_shards, p, memory).components_)
        at = {"data": f"{n_shards} shards, MNIST", "n": 784, "p": p, "rows": len(X)}
        for measure, value in (("excess, one stream", one), ("excess, merged", many)):
            yield _figure(at, f"streampca, {memory}", measure, value, part="shards")


def _merged(X: Matrix, n_shards: int, p: int, memory: str) -> StreamingPCA:
    parts = [StreamingPCA(p, memory=memory).fit(rows) for rows in np.array_split(X, n_shards)]
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    return merged


def _figure(
    at: dict[str, object], method: str, measure: str, value: float, **more: object
) -> Figure:
    return Figure(
        **{"part": "efficiency", "rows": N_ROWS} | at | more,
        method=method,  # type: ignore[arg-type]
        measure=measure,
        value=value,
    )
