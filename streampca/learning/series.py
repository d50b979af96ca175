"""Models after each of many small windows, learned and read together.

The same as to merge the windows one by one and to read the model after each, which takes twice as
long where features are few: what is checked of a solution is checked of all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import eigh_descending, leading_eigh, one_thread
from streampca.learning.components import ComponentLearner, ExactComponents
from streampca.learning.model import Model
from streampca.moments import DenseMoments, Series, after_each
from streampca.solvers import ORTHONORMAL

__all__ = ["Reading", "read_each", "reads_each"]

Float64 = NDArray[np.float64]

_CLEARLY = 0.8
"""Cosine from which no other of orthonormal components can be nearer: theirs are at most 0.6."""

_LEAST, _MOST = 1e-80, 1e80
"""Variances whose squares lose nothing."""


class Reading(NamedTuple):
    """What is known after a window."""

    model: Model
    after: Series
    number: int  # of the window

    def moments(self) -> DenseMoments:
        """What is remembered then."""
        return self.after.moments(self.number)


def reads_each(learner: ComponentLearner) -> bool:
    """Whether windows of few rows may be learned and read together, as far as the learner goes."""
    moments, solver = learner.moments, learner.solver
    return (
        isinstance(moments, DenseMoments)
        and moments.device is None
        and moments.dtype == "float64"
        and type(solver) is ExactComponents
        and solver.is_plain
        and learner.knows_all
        and moments.solves_directly(solver.n_components)
    )


def read_each(
    learner: ComponentLearner, windows: Sequence[NDArray[np.float64]], decays: Sequence[float]
) -> list[Reading]:
    """Learn the first of these windows (m, n), each after a decay, and read the model after each.

    As many as fit; none, and nothing is learned, where they are to be learned one by one.
    """
    with learner.lock:
        learner.flush()
        moments, solver = learner.moments, learner.solver
        if not reads_each(learner):
            return []
        assert isinstance(moments, DenseMoments)
        assert isinstance(solver, ExactComponents)
        with learner.change:
            after = after_each(moments, windows, decays)
            if after is None:
                return []
            models = _models(after, solver, learner.previous)
            found = [Reading(model, after, i) for i, model in enumerate(models)]
            learner.has_read(found[-1].model)
        return found


class _Solved(NamedTuple):
    """Solutions of each window."""

    C: Float64  # (t, p, n) components, of any sign
    values: Float64  # (t, p)
    residuals: Float64  # (t, p)
    totals: Float64  # (t,)
    plain: NDArray[np.bool_]  # (t,) False: there is more to be said of it
    turned: Float64  # (t, p) cosine between each component and the one of the window before


def _models(
    after: Series, solver: ExactComponents, previous: NDArray[np.float64] | None
) -> Iterator[Model]:
    with one_thread():
        solved = _solutions(after, solver.n_components)
    signs: Float64 | None = None  # of the components before, where these are plain
    for i, C in enumerate(solved.C):
        own = None
        if signs is not None:
            own = solved.turned[i] * signs
        elif previous is not None and previous.shape == C.shape:
            own = (C * previous).sum(axis=1)
        if own is None or not solved.plain[i] or not np.abs(own).min() > _CLEARLY:
            model, signs = solver.read(after.moments(i), previous), None
        else:
            signs = np.sign(own)
            model = _model(after, i, C * signs[:, None], solved)
        previous = model.components
        yield model


def _model(after: Series, i: int, C: Float64, solved: _Solved) -> Model:
    count, values, total = after.counts[i], solved.values[i], float(solved.totals[i])
    weights = np.arange(len(values), 0, -1.0)
    loss = len(values) * total - float(weights @ values)  # of sums of the first k, for each k
    denominator = count.pairs.denominator(count.weight) if after.last.center else count.weight
    return Model(
        mean=after.means[i],
        components=C,
        eigenvalues=values,
        total_variance=total,
        n_samples=count.n_samples,
        n_copies=count.n_copies,
        weight=count.weight,
        effective_rows=count.pairs.effective_rows(count.weight, count.n_samples),
        denominator=denominator,
        decoder=C.T,
        encoder=C,
        loss=loss * (denominator / count.weight),
        residuals=solved.residuals[i],
        discarded_variance=0.0,
    )


def _solutions(after: Series, p: int) -> _Solved:
    S, n = after.scatter, after.scatter.shape[1]
    by = after.denominators
    pairs = [
        (leading_eigh(S[i], p) or eigh_descending(S[i])) if rows is None else rows.leading(p)
        for i, rows in enumerate(after.rows)
    ]
    values = np.array([each[0][:p] for each in pairs]) / by[:, None]
    C = np.ascontiguousarray(np.array([each[1][:, :p] for each in pairs]).transpose(0, 2, 1))
    R = C @ S
    R *= (1.0 / by)[:, None, None]
    R -= C * values[:, :, None]
    first = values[:, :1]
    with np.errstate(all="ignore"):
        residuals = np.sqrt(np.einsum("tkn,tkn->tk", R, R)) / first
    totals = S.reshape(len(S), -1)[:, :: n + 1].sum(axis=1) / by
    G = C @ C.transpose(0, 2, 1)
    G.reshape(len(G), -1)[:, :: p + 1] -= 1.0
    eps = float(np.finfo("float64").eps)
    plain = (
        (np.abs(G).max(axis=(1, 2)) <= ORTHONORMAL["float64"])
        & (values[:, -1] > n * eps * values[:, 0])
        & (values[:, 0] > _LEAST)
        & (values[:, 0] < _MOST)
        & (values.sum(axis=1) <= totals)
        & np.isfinite(residuals).all(axis=1)
    )
    turned = np.zeros_like(values)
    turned[1:] = np.einsum("tkn,tkn->tk", C[1:], C[:-1])
    return _Solved(C, values, residuals, totals, plain, turned)
