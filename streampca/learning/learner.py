"""What StreamingPCA does with validated rows: wait, forget, remember, solve.

Rows go one way here: buffer -> moments -> solver -> model. Nothing in this file knows about
data frames, parameters' names or checkpoints' files.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, completed, namespace, oriented, to_device, to_numpy, torch
from streampca.learning.buffer import RowBuffer
from streampca.learning.landing import Checked, Landing
from streampca.learning.lock import Lock
from streampca.learning.model import Model, Saved, cast_components, has_gaps
from streampca.learning.options import (
    CHANGEABLE,
    Resolved,
    check_parameters,
    refuse_changes,
    resolve_parameters,
)
from streampca.moments import FactoredMoments, Look, Moments, make_moments, moments_from_state
from streampca.rows import LARGEST
from streampca.solvers import ROUNDING, holds, solve, within_total

if TYPE_CHECKING:
    from streampca.solvers import FirstOrder


class Learner:
    """Moments, a solver, and the rows that wait for them."""

    def __init__(
        self,
        parameters: dict[str, Any],
        n_features: int,
        dtype: str,
        device: str | None,
        memory: str | None = None,  # of moments that are there already
    ) -> None:
        self.lock = Lock()  # held while a minibatch is folded in, read, or copied
        self.n_features = n_features
        self._device, self._dtype = device, dtype
        options = resolve_parameters(parameters, n_features, device, memory=memory)
        self._configure(parameters, options)
        self.moments: Moments = make_moments(
            self.options.memory,
            n_features,
            n_directions=self.options.n_directions,
            center=parameters["center"],
            dtype=dtype,
            device=device,
        )
        self.first_order: FirstOrder | None = None
        if parameters["solver"] == "first_order":
            from streampca.solvers import FirstOrder  # imports torch

            self.first_order = FirstOrder(
                n_features,
                self.options.n_components,
                optimizer=parameters["optimizer"],
                dtype=dtype,
                device=device,
                seed=parameters["random_state"],
            )
        self._solved: Model | None = None
        self._previous: NDArray[Any] | None = None  # components of the model read last
        self._unseen = np.zeros(n_features, bool)  # features that have been gaps in every row

    def _configure(self, parameters: dict[str, Any], options: Resolved) -> None:
        """Take over what parameters say of rows to come and of readings."""
        self.parameters, self.options = dict(parameters), options
        share = parameters["n_components"]
        self._share: float | None = share if isinstance(share, float) else None
        self._varies = share is None or self._share is not None
        self._impute = parameters["missing"] == "impute"
        size, dtype, device = options.batch_size, self._dtype, self._device
        self._buffer = RowBuffer(size if device is None else 0, self.n_features, dtype, None)
        self._landing: Landing | None = None  # what stands for the buffer on a device
        if device is not None:
            largest = LARGEST if dtype == "float64" else float(np.finfo(dtype).max)
            self._landing = Landing(
                size, self.n_features, dtype, device, largest=largest, looks=not self._impute
            )

    def adopt(self, parameters: dict[str, Any]) -> None:
        """Go on with other parameters; those that rows so far were learned with must be the same.

        Raises
        ------
        ValueError
            If they are not, or memory is too small for more components; nothing has changed.
        """
        check_parameters(parameters)
        refuse_changes(self.parameters, parameters, CHANGEABLE)
        with self.lock:
            before = self.options
            kept = {**parameters, "memory": before.memory}
            options = resolve_parameters(kept, self.n_features, self._device)
            fixed = self.first_order is not None and options.n_components != before.n_components
            more = options.n_components > before.n_components
            if fixed or (more and self.moments.kind == "factored"):
                raise ValueError(
                    f"n_components cannot change from {self.parameters['n_components']!r} to "
                    f"{parameters['n_components']!r}: {self.moments.kind} memory of rows so "
                    "far holds no more. Set it back, or call fit, which forgets them"
                )
            self.flush()
            self._configure(
                parameters, replace(options, n_directions=before.n_directions, why=before.why)
            )
            self._solved = None

    # --- rows in ---------------------------------------------------------------------------

    @property
    def looks_at(self) -> Callable[[torch.Tensor], bool] | None:
        """Says which tensors are looked at on their way in, so that nobody need wait for that."""
        return None if self._landing is None else self._landing.looks_at

    def wants_squares(self, n_rows: int) -> bool:
        """Whether a call of so many rows is a minibatch, with sums of squares to be kept of it."""
        at_once = self.options.batch_size <= n_rows <= self.options.largest
        equal = self.options.forgetting == 1.0  # else they are needed of the weighted rows
        return at_once and equal and self._buffer.n_held == 0 and self.moments.keeps_squares

    def add(
        self,
        X: Array,
        weights: NDArray[np.float64] | None,
        feature_names: Sequence[str] | None = None,
        squares: NDArray[np.float64] | None = None,
    ) -> None:
        """Learn from rows, or keep them until they make a minibatch.

        `squares` are the sum of all squares of X, or (n,) of those of each feature, where known.
        """
        if hasattr(X, "tocsr"):
            self.flush()
            largest = self.options.largest
            for start in range(0, X.shape[0], largest):
                piece = slice(start, start + largest)
                with self.lock:
                    self._fold(X[piece], None if weights is None else weights[piece])
            return
        if self._landing is not None:
            self._landing.add(X, weights, feature_names, self.lock, self._fold_checked)
            return
        start, stop = 0, X.shape[0]
        most = np.array(np.inf if squares is None else squares.sum())
        while start < stop:
            with self.lock:  # not for all of them: who reads need not wait so long
                if self._buffer.n_held == 0 and stop - start >= self.options.batch_size:
                    piece = slice(start, min(stop, start + self.options.largest))
                    w = None if weights is None else weights[piece]
                    whole = piece == slice(0, X.shape[0])
                    self._fold(X[piece], w, squares=squares if whole else most)
                else:
                    piece = slice(start, min(stop, start + self._buffer.n_free))
                    w = None if weights is None else weights[piece]
                    self._buffer.append(X[piece], w, float(most))
                    self._solved = None
                    if self._buffer.n_free == 0:
                        self.flush()
            start = piece.stop

    def _fold_checked(self, minibatch: Checked) -> None:
        self._fold(minibatch.X, minibatch.weights, seen=minibatch.seen)

    def flush(self) -> None:
        """Fold in the rows that wait."""
        with self.lock:
            if self._landing is not None:
                self._landing.flush(self._fold_checked)
            elif self._buffer.n_held:
                waiting = self._buffer.take()
                self._fold(waiting.X, waiting.weights, squares=np.array(waiting.squares))

    def decay(self, factor: float) -> None:
        """Forget, apart from what rows forget of those before them."""
        with self.lock:
            self.flush()
            self.moments.decay(factor)
            self._solved = None

    def merge(self, moments: Moments) -> None:
        """Add moments learned elsewhere."""
        with self.lock:
            self.flush()
            if not self._unseen.any():
                self.moments.merge(moments)
            else:  # as in `_imputed`: features unseen here stand where they stand there
                ours = self.moments.copy()
                ours.move_mean(np.where(self._unseen, moments.mean, 0.0))
                ours.merge(moments)
                self.moments = ours
                self._unseen &= (moments.mean == 0) & (moments.variance == 0)
            self._solved = None

    def fold(self, X: Array, remembered: NDArray[np.float64] | None = None) -> None:
        """Learn from a minibatch at once; `remembered` (m,) is what is left of each row's weight.

        For forgetting that does not go by rows: `decay` by what has been forgotten since first.
        """
        with self.lock:
            self.flush()
            self._fold(X, None, remembered)

    def _fold(
        self,
        X: Array,
        weights: NDArray[np.float64] | None,
        decay: NDArray[np.float64] | None = None,
        seen: Look | None = None,
        squares: NDArray[np.float64] | None = None,
    ) -> None:
        if self._impute:
            X = self._imputed(X)
        gamma, m = self.options.forgetting, X.shape[0]
        if gamma < 1.0:
            by_rows = gamma ** np.arange(m - 1, -1, -1.0)
            decay = by_rows if decay is None else decay * by_rows
            self.moments.decay(gamma**m)
        self.moments.update(X, weights, decay, seen, squares)
        self._solved = None
        if self.first_order is not None:
            self.first_order.step(self.moments)

    def widened(self, parameters: dict[str, Any], means: NDArray[np.float64]) -> Learner:
        """A learner of k more features that goes on from here; they stand last.

        Rows so far count as having had the new features' means (k,): a feature that was not there
        says nothing about variance, and its mean is best estimated from where it was there. Old
        components keep their loadings and their signs, and have no loadings on the new features.
        """
        with self.lock:
            self.flush()
            old, n = self.moments, self.n_features
            outgrown = "factored" if old.kind == "factored" else None
            wider = Learner(parameters, n + len(means), old.dtype, old.device, outgrown)
            wider.moments = old.widened(np.arange(n), np.concatenate([old.mean, means]))
            if wider.options.memory == "factored":  # n has outgrown dense memory, or there are more
                wider.moments = FactoredMoments.of(wider.moments, wider.options.n_directions)
            wider._unseen[:n] = self._unseen
            if self._previous is not None:
                wider._previous = np.pad(self._previous, ((0, 0), (0, len(means))))
            return wider

    def filled(self, X: Array) -> Array:
        """X with its gaps filled by the current model."""
        with self.lock:
            return self._model_of_moments().filled(X) if has_gaps(X) else X

    def _imputed(self, X: Array) -> Array:
        """X to learn from: the first minibatch's gaps are filled by its own means.

        A feature that no row has had yet stands at zero, without variance. Its first values say
        where it stands; since nothing varied with it so far, moving its mean there changes
        nothing else.
        """
        if hasattr(X, "tocsr"):
            return X
        if self.moments.weight > 0 and not self._unseen.any():
            return self.filled(X)
        host = to_numpy(X)
        seen = ~np.isnan(host)
        means = np.where(seen, host, 0).sum(axis=0, dtype="float64")
        means /= np.maximum(seen.sum(axis=0), 1)
        if self.moments.weight > 0:
            new = self._unseen & seen.any(axis=0)
            self.moments.move_mean(np.where(new, means, 0.0))
            self._solved = None if new.any() else self._solved
            self._unseen &= ~new
            return self.filled(X)
        self._unseen = ~seen.any(axis=0)
        filled = np.where(seen, host, means.astype(host.dtype))
        return filled if namespace(X) is np else to_device(filled, str(X.device))

    def __getstate__(self) -> dict[str, Any]:
        # A copy: what pickles this looks at the arrays after the lock is gone.
        with self.lock:
            return copy.deepcopy({k: v for k, v in self.__dict__.items() if k != "lock"})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self.lock = Lock()

    # --- components out ----------------------------------------------------------------------

    def model(self) -> Model:
        """The model of all rows so far, solved if anything has changed."""
        with self.lock:
            self.flush()
            return self._model_of_moments()

    def state(self) -> dict[str, NDArray[Any]]:
        """Moments, the features unseen, the solver's state; waiting rows are folded in."""
        with self.lock:
            self.flush()
            arrays = self.moments.state()
            if self.first_order is not None:
                arrays |= {f"solver.{k}": v for k, v in self.first_order.state().items()}
            if self._unseen.any():
                arrays["unseen"] = self._unseen.copy()
            return arrays

    def restore(self, saved: Saved) -> None:
        """Go on from a checkpoint: its moments, its solver, and its components as they stand."""
        with self.lock:
            arrays = dict(saved.moments)
            solver = {k[7:]: arrays.pop(k) for k in list(arrays) if k.startswith("solver.")}
            self._unseen = np.array(arrays.pop("unseen", self._unseen))
            device = self.moments.device
            self.moments = moments_from_state(saved.moments_kind, arrays, device=device)
            if self.first_order is not None:
                self.first_order.load(solver)
            weights = np.arange(saved.components.shape[0], 0, -1.0)
            loss = len(weights) * saved.total_variance - float(weights @ saved.explained_variance)
            if self.first_order is not None:
                loss = self.first_order.read(self.moments).loss
            self._solved = self._model_with(
                components=saved.components,
                eigenvalues=saved.explained_variance,
                decoder=saved.decoder,
                encoder=saved.encoder,
                loss=loss,
                residuals=saved.residuals,
            )
            self._previous = saved.components
            exact_ = self.first_order is None and self.moments.of_all_rows
            if exact_ and not holds(
                saved.components, saved.explained_variance, saved.total_variance
            ):
                self._solved = None  # written when this was not made sure of: solved again

    def _model_of_moments(self) -> Model:
        if self._solved is None:
            solve = self._solve_exactly if self.first_order is None else self._read_first_order
            self._solved = solve()
            self._previous = self._solved.components
        return self._solved

    def _solve_exactly(self) -> Model:
        moments, count = self.moments, self.options.n_components
        start = None
        if self._previous is not None and not self._varies and len(self._previous) >= count:
            # torch takes no reversed arrays
            guess = np.ascontiguousarray(self._previous.T, "float64")
            start = to_device(guess, moments.device)
        solution = solve(moments, count, start)
        values = to_numpy(solution.eigenvalues)
        if not np.isfinite(values).all():
            raise FloatingPointError(
                "the covariance is not finite: the rows are too large for "
                f"{moments.dtype}; scale them or use dtype='float64'"
            )
        # below this there is only the rounding of the eigenvalue solver itself
        rounding = self.n_features * np.finfo("float64").eps * max(float(values[0]), 0.0)
        values = np.where(values > rounding, values, 0.0)
        excess = 0.0
        if moments.of_all_rows:
            values, excess = within_total(values, moments.total_variance)
        if self._share is not None:
            explained = np.cumsum(values) / max(float(values.sum()), np.finfo(float).tiny)
            count = min(int(np.searchsorted(explained, self._share, side="right")) + 1, count)
        values = values[:count]
        A = to_numpy(solution.A)[:, :count].astype("float64", copy=False)
        # without variance a direction is what rounding made of it: the same rows give the same
        A = completed(np.where(values > 0, A, 0.0))
        C = oriented(A.T, self._previous)
        components = cast_components(C.T, moments.dtype)
        weights = np.arange(count, 0, -1.0)
        loss = count * moments.total_variance - float(weights @ values)
        return self._model_with(
            components=components,
            eigenvalues=values,
            decoder=components.T,
            encoder=components,
            loss=loss,
            residuals=to_numpy(solution.residuals)[:count],
            excess=excess,
        )

    def _read_first_order(self) -> Model:
        assert self.first_order is not None
        reading = self.first_order.read(self.moments)
        A = completed(reading.directions)
        C = oriented(A.T, self._previous)
        return self._model_with(
            components=cast_components(C.T, self.moments.dtype),
            eigenvalues=reading.eigenvalues,
            decoder=reading.decoder,
            encoder=reading.encoder,
            loss=reading.loss,
            residuals=reading.residuals,
        )

    def _model_with(self, *, loss: float, excess: float = 0.0, **solved: Any) -> Model:
        m = self.moments
        if excess <= ROUNDING[m.dtype] * m.total_variance:
            excess = 0.0
        per_weight = m.denominator / m.weight if m.weight else 0.0
        return Model(
            mean=m.mean,
            total_variance=m.total_variance,
            n_samples=m.n_samples,
            n_copies=m.n_copies,
            weight=m.weight,
            denominator=m.denominator,
            loss=loss * per_weight,
            discarded_variance=m.discarded_variance + excess,
            **solved,
        )
