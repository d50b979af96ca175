"""What StreamingReducedRankRegression does with validated rows: wait, forget, remember, solve.

Inputs and targets are remembered as the moments of the stacked rows [x, y]: then centring,
forgetting, weights and merging are those of any moments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, cast, dtype_name, namespace, oriented, to_device
from streampca.learning import options
from streampca.learning.buffer import RowBuffer
from streampca.learning.options import Constraint
from streampca.loss import nested_loss
from streampca.moments import Moments, make_moments
from streampca.solvers import Pairs, solve_pairs

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


class PairLearner:
    """Moments of [x, y], a solver, and the rows that wait for them."""

    def __init__(
        self,
        parameters: dict[str, Any],
        n_features: int,
        n_targets: int,
        dtype: str,
        device: str | None,
    ) -> None:
        first_order = parameters["solver"] == "first_order"
        kind = parameters["memory"]
        if kind == "auto":
            kind = "minibatch" if first_order else "dense"
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
        self.parameters = dict(parameters)
        self.n_features, self.n_targets = n_features, n_targets
        self.n_components = min(n_features, n_targets) if p is None else int(p)
        self.ridge = float(parameters["ridge"])
        half_life = parameters["half_life"]
        gamma = parameters["forgetting_factor"]
        self._forgetting = 0.5 ** (1.0 / half_life) if half_life else float(gamma)
        self._batch_size = parameters["batch_size"] or (256 if kind == "minibatch" else 512)
        n = n_features + n_targets
        self.moments: Moments = make_moments(
            kind, n, center=parameters["fit_intercept"], dtype=dtype, device=device
        )
        self._buffer = RowBuffer(self._batch_size, n, dtype, device)
        self.first_order: FirstOrderPairs | None = None
        if first_order:
            from streampca.solvers import FirstOrderPairs  # imports torch

            self.first_order = FirstOrderPairs(
                n_features,
                n_targets,
                self.n_components,
                optimizer=parameters["optimizer"],
                dtype=dtype,
                device=device,
                seed=parameters["random_state"],
            )
        self._solved: PairModel | None = None
        self._previous: Float64 | None = None  # decoder' of the model read last

    # --- rows in ---------------------------------------------------------------------------

    def add(self, X: Array, Y: Array, weights: Float64 | None) -> None:
        """Learn from rows, or keep them until they make a minibatch.

        Minibatches are cut at fixed places of the stream, however the rows arrive.
        """
        start, stop = 0, X.shape[0]
        while start < stop:
            whole = self._buffer.n_held == 0 and stop - start >= self._batch_size
            size = self._batch_size if whole else self._buffer.n_free
            piece = slice(start, min(stop, start + size))
            rows = self._stacked(X[piece], Y[piece])
            w = None if weights is None else weights[piece]
            if whole:
                self._fold(rows, w)
            else:
                self._buffer.append(rows, w)
                self._solved = None
                if self._buffer.n_free == 0:
                    self.flush()
            start = piece.stop

    def _stacked(self, X: Array, Y: Array) -> Array:
        """Rows [x, y] (m, n' + n); sparse inputs become dense one minibatch at a time."""
        m = self.moments
        X = X.toarray() if hasattr(X, "tocsr") else X
        X, Y = (cast(to_device(V, m.device), m.dtype) for V in (X, Y))
        return namespace(X).concatenate([X, Y], axis=1)

    def flush(self) -> None:
        """Fold in the rows that wait."""
        if self._buffer.n_held:
            waiting = self._buffer.take()
            self._fold(waiting.X, waiting.weights)

    def _fold(self, rows: Array, weights: Float64 | None) -> None:
        gamma, m, decay = self._forgetting, rows.shape[0], None
        if gamma < 1.0:
            decay = gamma ** np.arange(m - 1, -1, -1.0)
            self.moments.decay(gamma**m)
        self.moments.update(rows, weights, decay)
        self._solved = None
        if self.first_order is not None:
            self.first_order.step(self.moments)

    def merge(self, moments: Moments) -> None:
        """Add moments of stacked rows learned elsewhere."""
        self.flush()
        self.moments.merge(moments)
        self._solved = None

    # --- pairs out -----------------------------------------------------------------------------

    def model(self) -> PairModel:
        """The model of all rows so far, solved if anything has changed."""
        self.flush()
        if self._solved is None:
            solve = self._solve if self.first_order is None else self._read
            self._solved = solve()
            self._previous = self._solved.pairs.decoder.T
        return self._solved

    def _solve(self) -> PairModel:
        k = self.n_features
        # the scatter matrix, not the covariance: a ridge means what it does in scikit-learn
        S = self.moments.state()["scatter"]
        Sxx, Syx, total = S[:k, :k], S[k:, :k], float(np.trace(S[k:, k:]))
        if not np.isfinite(S).all():
            raise FloatingPointError(
                "the covariance is not finite: the rows are too large for "
                f"{self.moments.dtype}; scale them or use dtype='float64'"
            )
        pairs = solve_pairs(
            Sxx, Syx, self.n_components, ridge=self.ridge, precision=self.moments.dtype
        )
        A = oriented(pairs.decoder.T, self._previous).T
        signs = np.where((A * pairs.decoder).sum(axis=0) < 0, -1.0, 1.0)
        pairs = pairs._replace(decoder=A, encoder=pairs.encoder * signs[:, None])
        loss = nested_loss(A, pairs.encoder, Sxx, Syx, total)
        per_root = self.moments.denominator**-0.5
        pairs = pairs._replace(singular_values=pairs.singular_values * per_root)
        return self._model_of(pairs, float(loss) / max(self.moments.weight, 1e-300))

    def _read(self) -> PairModel:
        assert self.first_order is not None
        pairs = self.first_order.read_pairs(self.moments)
        per_weight = self.moments.denominator / max(self.moments.weight, 1e-300)
        return self._model_of(pairs, self.first_order.loss(self.moments) * per_weight)

    def _model_of(self, pairs: Pairs, loss: float) -> PairModel:
        mean, variance = self.moments.mean, self.moments.variance
        return PairModel(
            pairs,
            mean[: self.n_features],
            mean[self.n_features :],
            float(variance[self.n_features :].sum()),
            self.moments.denominator,
            loss,
        )
