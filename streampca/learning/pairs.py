"""What StreamingReducedRankRegression's learner is made of: pairs read off moments.

Inputs and targets are remembered as the moments of the stacked rows [x, y]: then centring,
forgetting, weights and merging are those of any moments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, cast, dtype_name, namespace, oriented, to_device
from streampca.learning import options
from streampca.learning.learner import Learner
from streampca.learning.options import Constraint, Resolved
from streampca.learning.solver import Solver
from streampca.learning.stepping import Stepped
from streampca.loss import nested_loss
from streampca.moments import DenseMoments, Moments, make_moments
from streampca.rows import Minibatch
from streampca.solvers import Pairs, solve_pairs

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from streampca.solvers import FirstOrderPairs

Float64 = NDArray[np.float64]

_SHARED = (
    "batch_size",
    "solver",
    "optimizer",
    "forgetting_factor",
    "half_life",
    "dtype",
    "random_state",
)
CONSTRAINTS = {name: options.CONSTRAINTS[name] for name in _SHARED} | {
    "n_components": Constraint(
        lambda v: v is None or options.is_int(v, 1), "a whole number of at least 1, or None"
    ),
    "ridge": Constraint(lambda v: options.is_real(v) and v >= 0, "a finite number of at least 0"),
    "memory": options.one_of("auto", "dense", "minibatch"),
    "fit_intercept": Constraint(lambda v: isinstance(v, bool), "True or False"),
}


@dataclass(frozen=True)
class PairModel:
    """Ordered pairs with everything that is read off them; immutable."""

    pairs: Pairs
    mean: Float64  # (n',) of the inputs; zero without an intercept
    target_mean: Float64  # (n,)
    target_variance: float  # total
    denominator: float
    loss: float

    @property
    def axes(self) -> Float64:
        """Columns of the decoder (p, n), whose signs the next model keeps."""
        return self.pairs.decoder.T

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: vars(self)[field.name] for field in fields(self)}  # no caches

    @cached_property
    def coef(self) -> Float64:
        """A B, (n, n')."""
        return np.asarray(self.pairs.decoder @ self.pairs.encoder)

    def coordinates(self, X: Array) -> Array:
        """B (x - mean) of each row, (m, p), in the dtype and on the device of X."""
        return self._affine(X, self.pairs.encoder, np.zeros(len(self.pairs.encoder)))

    def predict(self, X: Array) -> Array:
        """A B (x - mean) + target mean of each row, (m, n)."""
        return self._affine(X, self.coef, self.target_mean)

    def _affine(self, X: Array, M: Float64, offset: Float64) -> Array:
        # float64 inside: a mean a million times the spread leaves float32 nothing to subtract
        if hasattr(X, "tocsr"):
            return (np.asarray(X @ M.T) + (offset - M @ self.mean)).astype(X.dtype)
        place = None if namespace(X) is np else str(X.device)
        mean, M, offset = (to_device(v, place) for v in (self.mean, M, offset))
        return cast((cast(X, "float64") - mean) @ M.T + offset, dtype_name(X))


PairLearner: TypeAlias = Learner[PairModel]


class ExactPairs(Solver[PairModel]):
    """Pairs in closed form, from dense moments of [x, y]."""

    def __init__(self, n_features: int, n_components: int, *, ridge: float) -> None:
        self.n_features, self.n_components, self.ridge = n_features, n_components, ridge

    def read(self, moments: Moments, previous: NDArray[Any] | None) -> PairModel:
        k = self.n_features
        # the scatter matrix, not the covariance: a ridge means what it does in scikit-learn
        assert isinstance(moments, DenseMoments)
        S = moments.scatter
        Sxx, Syx, total = S[:k, :k], S[k:, :k], float(np.trace(S[k:, k:]))
        if not np.isfinite(S).all():
            raise FloatingPointError(
                "the covariance is not finite: the rows are too large for "
                f"{moments.dtype}; scale them or use dtype='float64'"
            )
        pairs = solve_pairs(Sxx, Syx, self.n_components, ridge=self.ridge, precision=moments.dtype)
        A = oriented(pairs.decoder.T, previous).T
        signs = np.where((A * pairs.decoder).sum(axis=0) < 0, -1.0, 1.0)
        pairs = pairs._replace(decoder=A, encoder=pairs.encoder * signs[:, None])
        loss = nested_loss(A, pairs.encoder, Sxx, Syx, total)
        per_root = moments.denominator**-0.5
        pairs = pairs._replace(singular_values=pairs.singular_values * per_root)
        return _model(moments, k, pairs, float(loss) / max(moments.weight, 1e-300))


class SteppedPairs(Stepped[PairModel]):
    """Pairs that a first-order solver moves with each minibatch."""

    _first_order: FirstOrderPairs

    def read(self, moments: Moments, previous: NDArray[Any] | None) -> PairModel:
        pairs = self._first_order.read_pairs(moments)
        per_weight = moments.denominator / max(moments.weight, 1e-300)
        loss = self._first_order.loss(moments) * per_weight
        return _model(moments, self._first_order.n_features, pairs, loss)


def _model(moments: Moments, k: int, pairs: Pairs, loss: float) -> PairModel:
    mean, variance = moments.mean, moments.variance
    total = float(variance[k:].sum())
    return PairModel(pairs, mean[:k], mean[k:], total, moments.denominator, loss)


# --- learners ------------------------------------------------------------------------------------


def learner_of_pairs(
    parameters: dict[str, Any], n_features: int, n_targets: int, dtype: str, device: str | None
) -> PairLearner:
    """A learner of rows [x, y] that has seen none."""
    chosen = _resolved(parameters, n_features, n_targets)
    n, p, center = n_features + n_targets, chosen.n_components, parameters["fit_intercept"]
    moments = make_moments(chosen.memory, n, center=center, dtype=dtype, device=device)
    if parameters["solver"] != "first_order":
        exact = ExactPairs(n_features, p, ridge=float(parameters["ridge"]))
        return Learner(parameters, chosen, moments, exact, n_targets)
    from streampca.solvers import FirstOrderPairs  # imports torch

    first_order = FirstOrderPairs(
        n_features,
        n_targets,
        p,
        optimizer=parameters["optimizer"],
        dtype=dtype,
        device=device,
        seed=parameters["random_state"],
    )
    return Learner(parameters, chosen, moments, SteppedPairs(first_order), n_targets)


def _resolved(parameters: dict[str, Any], n_features: int, n_targets: int) -> Resolved:
    """What the parameters mean for rows [x, y] of so many features and targets."""
    first_order = parameters["solver"] == "first_order"
    kind = parameters["memory"]
    why = "as asked for"
    if kind == "auto":
        kind = "minibatch" if first_order else "dense"
        why = "for first-order steps" if first_order else "for the closed form"
    if kind == "minibatch" and not first_order:
        raise ValueError(
            "memory='minibatch' keeps the last minibatch alone, which solver='exact' cannot "
            "solve: use memory='dense', or solver='first_order'"
        )
    p = parameters["n_components"]
    if p is not None and p > n_targets:
        raise ValueError(
            f"n_components={p} is more than the {n_targets} targets, and the decoder has one "
            f"column of {n_targets} entries for each component: use at most {n_targets}"
        )
    count = min(n_features, n_targets) if p is None else int(p)
    size = parameters["batch_size"] or (256 if kind == "minibatch" else 512)
    return Resolved(kind, why, count, 0, size, size, options.forgetting(parameters))


def add_pairs(learner: PairLearner, X: Array, Y: Array, weights: Float64 | None) -> None:
    """Learn from inputs and their targets, stacked one minibatch at a time.

    So sparse inputs are never made dense all at once.
    """
    start, stop = 0, X.shape[0]
    while start < stop:
        piece = slice(start, min(stop, start + learner.n_free))
        rows = _stacked(X[piece], Y[piece], learner.moments)
        learner.add(Minibatch(rows, None if weights is None else weights[piece]))
        start = piece.stop


def _stacked(X: Array, Y: Array, like: Moments) -> Array:
    """Rows [x, y] (m, n' + n) in the type and on the device of these moments."""
    X = X.toarray() if hasattr(X, "tocsr") else X
    X, Y = (cast(to_device(V, like.device), like.dtype) for V in (X, Y))
    return namespace(X).concatenate([X, Y], axis=1)
