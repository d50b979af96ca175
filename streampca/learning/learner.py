"""What estimators do with checked rows: wait, forget, remember, solve.

Rows go one way here: buffer -> moments -> solver -> model. Nothing in this file knows about
data frames, parameters' meanings, checkpoints' files, or what the model is of.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, as_last, as_pays, torch
from streampca.learning.change import Changeable
from streampca.learning.filling import has_gaps
from streampca.learning.gaps import Gaps
from streampca.learning.landing import Landing
from streampca.learning.options import Resolved
from streampca.learning.saved import Saved
from streampca.learning.solver import M, Solver
from streampca.learning.waiting import Waiting
from streampca.moments import Moments, Tally, moments_from_state
from streampca.rows import LARGEST, Minibatch


class Learner(Changeable, Generic[M]):
    """Moments, a solver, and the rows that wait for them.

    Parameters
    ----------
    parameters, options
        The parameters, and what they mean for rows as wide as these.
    moments
        Empty ones, or those to go on from.
    solver
        What reads the model off them.
    n_targets
        How many of a row's features, the last ones, are targets.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        options: Resolved,
        moments: Moments,
        solver: Solver[M],
        n_targets: int = 0,
    ) -> None:
        super().__init__()
        self.n_targets = n_targets
        self.n_features = moments.n_features - n_targets
        self.moments, self.solver = moments, solver
        self._configure(parameters, options)
        self._solved: M | None = None
        self._previous: NDArray[Any] | None = None  # axes of the model read last
        self._gaps = Gaps(moments.n_features)

    @property
    def n_components(self) -> int:
        """Components, or pairs, at most."""
        return self.options.n_components

    def _configure(self, parameters: dict[str, Any], options: Resolved) -> None:
        """Take over what parameters say of rows to come and of readings."""
        self.parameters, self.options = dict(parameters), options
        missing = parameters.get("missing")
        self._impute = missing == "impute"
        moments = self.moments
        n, dtype, device = moments.n_features, moments.dtype, moments.device
        size = options.batch_size if device is None else 0
        self._buffer = Waiting(size, options.largest, n, dtype)
        self._landing: Landing | None = None  # what stands for the buffer on a device
        if device is not None:
            largest = LARGEST if dtype == "float64" else float(np.finfo(dtype).max)
            # rows with gaps, and those that came checked, are not checked again
            self._landing = Landing(
                options.batch_size, n, dtype, device, largest=largest, looks=missing == "error"
            )

    def reconfigure(self, parameters: dict[str, Any], options: Resolved, solver: Solver[M]) -> None:
        """Go on with other parameters; rows that wait are folded in first."""
        with self._changing():
            self._configure(parameters, options)
            self.solver = solver

    # --- rows in ---------------------------------------------------------------------------

    @property
    def looks_at(self) -> Callable[[torch.Tensor], bool] | None:
        """Says which tensors are checked on their way in, so that nobody need wait for that."""
        return None if self._landing is None else self._landing.looks_at

    def wants_squares(self, n_rows: int) -> bool:
        """Whether a call of so many rows is a minibatch, with sums of squares to be kept of it."""
        at_once = self.options.batch_size <= n_rows <= self.options.largest
        equal = self.options.forgetting == 1.0  # else they are needed of the weighted rows
        return at_once and equal and self._buffer.n_held == 0 and self.moments.keeps_squares

    @property
    def n_free(self) -> int:
        """Rows that make a minibatch complete."""
        return self._buffer.n_free if self._landing is None else self._landing.n_free

    def add(self, rows: Minibatch, feature_names: Sequence[str] | None = None) -> None:
        """Learn from rows, however many, or keep them until they make a minibatch.

        Minibatches are cut at fixed places of the stream, however the rows arrive.
        """
        if rows.is_sparse:
            self._add_sparse(rows)
        elif self._landing is not None:
            self._landing.add(rows, feature_names, self)
        else:
            self._buffer.add(rows, self)

    def _add_sparse(self, rows: Minibatch) -> None:
        self.flush()
        largest = self.options.largest_sparse(rows.n_rows, rows.X.shape[1], rows.X.nnz)
        for start in range(0, rows.n_rows, largest):
            with self.lock, self.change:
                self.fold_rows(rows.part(start, start + largest))

    def flush(self) -> None:
        """Fold in the rows that wait."""
        with self.lock:
            self.change.check()
            if self._landing is not None and not self._landing.is_idle:
                with self.change:
                    self._landing.flush(self.fold_rows)
            elif not self._buffer.is_idle:
                with self.change:
                    self._buffer.flush(self)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """For what changes the model; rows that wait are folded in first."""
        with self.lock:
            self.flush()
            with self.change:
                yield
                self.rows_come()

    def settle(self) -> None:
        """Fold in the rows that wait; from now on reading the moments changes nothing in them."""
        with self.lock:
            self.flush()
            self.moments.settle(self.change)

    def fold(self, batch: Minibatch) -> None:
        """Learn from a minibatch; where it has `decay`, call the method `decay` before, too."""
        with self._changing():
            self.fold_rows(batch)

    def fold_rows(self, batch: Minibatch) -> None:
        """Learn from a minibatch; for who holds the lock, and the rows before."""
        if self._impute:
            batch = batch._replace(X=self._imputed(batch.X))
        gamma, m = self.options.forgetting, batch.n_rows
        if gamma < 1.0:
            by_rows = gamma ** np.arange(m - 1, -1, -1.0)
            decay = by_rows if batch.decay is None else batch.decay * by_rows
            batch = batch._replace(decay=decay)
            self.moments.decay(gamma**m)
        kind = f"sparse {self.moments.kind}" if batch.is_sparse else self.moments.kind
        with self._threads(as_pays, kind, self.moments.operations(m)):
            self.moments.update(batch)
        self._folded()

    def _folded(self) -> None:
        self.rows_come()
        self.solver.step(self.moments)

    def rows_come(self) -> None:
        """The model is no longer that of all rows."""
        self._solved = None

    def begin_tally(self, n_parts: int, spare: Tally | None) -> Tally | None:
        """Sums of rows to come, where that is all that is needed of them."""
        exact = self.parameters["solver"] == "exact"  # others take a step with each minibatch
        plain = exact and self.options.forgetting == 1.0 and not self._impute
        return self.moments.tally(n_parts, spare) if plain else None

    def count(self, tally: Tally, X: NDArray[Any]) -> int:
        """Add rows to sums; how many were fit for it."""
        with self._threads(as_pays, self.moments.kind, self.moments.operations(len(X))):
            return tally.add(X)

    def fold_tally(self, tally: Tally) -> None:
        """Learn from a minibatch of which there are sums."""
        self.moments.add_tally(tally)
        self._folded()

    def _threads(
        self, choose: Callable[..., AbstractContextManager[None]], *work: Any
    ) -> AbstractContextManager[None]:
        """Threads of the BLAS as chosen by time; as they are on a device, and with a seed.

        How many there are shows in the last bits of large products, and the same seed gives the
        same bits.
        """
        left = self.moments.device is not None or self.parameters["random_state"] is not None
        return nullcontext() if left else choose(*work)

    def _imputed(self, X: Array) -> Array:
        """X to learn from, its gaps filled by the model so far; at first by its own means."""
        if hasattr(X, "tocsr"):
            return X
        if self.moments.weight == 0:
            return self._gaps.begin(X)
        if self._gaps.first_values(X, self.moments):
            self._solved = None
        if has_gaps(X):
            filled = self.solver.filled(self._model_of_moments(), X)
            return self._gaps.standing(X, filled, self.moments)
        return X

    # --- what else changes moments -----------------------------------------------------------

    def decay(self, factor: float) -> None:
        """Forget, apart from what rows forget of those before them."""
        with self._changing():
            self.moments.decay(factor)

    def merge(self, moments: Moments, unseen: NDArray[np.bool_] | None = None) -> None:
        """Add moments learned elsewhere; `unseen` are features that were gaps in all rows there."""
        if moments.device != self.moments.device:
            moments = moments_from_state(moments.kind, moments.state(), device=self.moments.device)
        with self._changing():
            self.moments = self._gaps.merged(self.moments, moments, unseen)

    def taken(self) -> tuple[Moments, NDArray[np.bool_]]:
        """Copies of the moments of all rows so far, and of which features are unseen.

        Rows that wait go on waiting: later minibatches are cut where they would have been. On a
        device they are folded in.
        """
        with self.lock:
            if self._landing is not None:
                self.flush()
            elif self._buffer.n_held:
                apart = copy.copy(self)  # which is deep: see __getstate__
                apart.flush()
                return apart.moments, apart._gaps.unseen
            self.change.check()
            return self.moments.copy(), self._gaps.unseen.copy()

    # --- the model out ------------------------------------------------------------------------

    def model(self) -> M:
        """The model of all rows so far, solved if anything has changed."""
        with self.lock:
            self.settle()
            return self._model_of_moments()

    def _model_of_moments(self) -> M:
        if self._solved is None:
            with self._threads(as_last, self.moments.n_features):
                solved = self.solver.read(self.moments, self._previous)
            self._previous, self._solved = solved.axes, solved
        return self._solved

    @property
    def previous(self) -> NDArray[Any] | None:
        """Axes of the model read last, whose signs the next one keeps."""
        return self._previous

    @property
    def knows_all(self) -> bool:
        """Whether rows that come are learned as they are: none are forgotten, or filled."""
        return self.options.forgetting == 1.0 and not self._impute and not self._gaps.unseen.any()

    def has_read(self, model: M) -> None:
        """Take a model of the moments as they are now for the one read last."""
        self._solved, self._previous = model, model.axes

    def state(self) -> dict[str, NDArray[Any]]:
        """Moments, the features unseen, the solver's state; waiting rows are folded in."""
        with self.lock:
            self.settle()
            arrays = self.moments.state()
            arrays |= {f"solver.{k}": v for k, v in self.solver.state().items()}
            if self._gaps.unseen.any():
                arrays["unseen"] = self._gaps.unseen.copy()
            return arrays

    def restore(self, saved: Saved) -> None:
        """Go on from a checkpoint: its moments, its solver, and its model as it stands."""
        with self.lock, self.change:
            arrays = dict(saved.moments)
            state = {k[7:]: arrays.pop(k) for k in list(arrays) if k.startswith("solver.")}
            self._gaps.unseen = np.array(arrays.pop("unseen", self._gaps.unseen))
            device = self.moments.device
            self.moments = moments_from_state(saved.moments_kind, arrays, device=device)
            self.solver.load(state)
            self._previous = saved.components
            self._solved = self.solver.restored(saved, self.moments)
