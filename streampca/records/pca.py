"""StreamingPCA for rows that are dictionaries: rows wait, features come, components are kept.

Between the buffer of records and the learner; knows nothing of River.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import one_thread
from streampca.estimators import StreamingPCA
from streampca.learning import (
    ComponentLearner,
    Model,
    check_parameters,
    learner_of_components,
    resolve_parameters,
    unfinished,
    widened,
)
from streampca.records.buffer import Records
from streampca.records.clock import Clock, next_solve
from streampca.records.layout import Record
from streampca.rows import Minibatch

Float64 = NDArray[np.float64]


_DIGITS = 1e4
"""Times the spread along a component that a mean may be where centring waits for the product."""


class View:
    """Arrays of a model for single rows, computed once until the next model is solved."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.n_features = int(model.components.shape[1])
        self.mean = model.mean  # (n,) zeros where rows are not centred
        self.scale = model.scale  # (n,) or None
        # directions without variance are any: they give 0 instead of something arbitrary
        shown = model.eigenvalues[:, None] > 0
        self.components: Float64 = np.where(shown, model.components, 0.0)  # (p, n)

    def centred(self, rows: Float64) -> Float64:
        """Rows (..., n) less the mean, in units of the scale."""
        D = rows - self.mean
        return D if self.scale is None else D / self.scale

    def placed(self, D: Float64) -> Float64:
        """Rows (..., n) of what `centred` made of them."""
        return self.mean + (D if self.scale is None else D * self.scale)

    def folded(self, directions: Float64) -> Float64 | None:
        """What a row beside a 1 is multiplied with: (k + 1, n + 1) for directions (k, n).

        Its products are the coordinates, centred in the product, and the sum of all numbers. None
        where that costs coordinates more than four of their 16 digits, since means are far above
        the spread: then the mean is taken away first.
        """
        by = directions if self.scale is None else directions / self.scale
        reach = np.sqrt(self.model.eigenvalues)  # of the components as they are
        lengths = np.linalg.norm(directions, axis=1)[: len(reach)]
        lost = (np.abs(by) @ np.abs(self.mean))[: len(reach)]
        if (lost > _DIGITS * reach * lengths).any():
            return None
        k, n = by.shape
        folded = np.ones((k + 1, n + 1))
        folded[:k, :n], folded[:k, n] = by, -(by @ self.mean)
        folded[k, n] = 0.0
        return folded


class RecordPCA:
    """Learns from dictionaries and gives a view of its components.

    Parameters
    ----------
    parameters : dict
        Of `StreamingPCA`. `n_components` may exceed the number of features. "missing" says what
        None and NaN are; features that are absent from a row are filled always. "half_life" may be
        a timedelta: then each row comes with its time.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        half_life, by_rows = parameters.get("half_life"), parameters
        self._clock = None
        if isinstance(half_life, dt.timedelta):  # the learner itself then forgets nothing
            self._clock, by_rows = Clock(half_life), parameters | {"half_life": 1.0}
            parameters = parameters | {"half_life": None}
        elif isinstance(half_life, str):  # such as "1h", which files and Beam take
            raise ValueError(
                f"half_life={half_life!r} is not accepted: it must be a number of rows above 0, a "
                "datetime.timedelta, or None"
            )
        check_parameters(StreamingPCA(**by_rows).get_params())
        self._parameters = parameters
        self.records = Records(
            self._batch_size, allow_missing=parameters.get("missing") == "impute"
        )
        self.view: View | None = None
        self._learner: ComponentLearner | None = None
        self._due = 1  # rows at which the view is renewed

    @property
    def n_seen(self) -> int:
        """Rows seen."""
        return self.records.n_taken + self.records.n_held

    def _for_width(self, n_features: int) -> dict[str, Any]:
        p = self._parameters["n_components"]
        if isinstance(p, int):
            p = min(p, n_features)
        return StreamingPCA(
            **self._parameters | {"n_components": p, "missing": "impute"}
        ).get_params()

    def _batch_size(self, n_features: int) -> int:
        return resolve_parameters(self._for_width(n_features), n_features).batch_size

    # --- learning --------------------------------------------------------------------------------

    def learn(self, x: Record, t: Any = None) -> None:
        """Learn from a row, which came at time t where forgetting goes by time."""
        if self._clock is None:
            full = self.records.append(x)
        else:
            self._clock.note(self.records.n_held, [self._clock.read(t)])
            full = self.records.append(x)
        if full:
            self.fold()

    def learn_rows(self, values: Float64, features: Sequence[Hashable], t: Any = None) -> None:
        """Learn from rows (m, k) of checked numbers; NaN where a feature is absent."""
        observed = ~np.isnan(values).all(axis=1)
        seconds = None
        if self._clock is not None:
            seconds = np.asarray(self._clock.read_all(t, len(values)))[observed]
        values = values[observed]
        start = 0
        while start < len(values):
            if self._clock is not None and seconds is not None:
                self._clock.note(self.records.n_held, seconds[start:].tolist())
            stop = start + self.records.extend(values[start:], features)
            if self.records.is_full:
                self.fold()
            start = stop

    def fold(self) -> None:
        """Hand the rows that wait to the learner."""
        if self.records.n_held == 0:
            return
        with unfinished(self, "records") as records:
            self._fold(records)

    def _fold(self, records: Records) -> None:
        n = records.layout.n
        X = records.take()
        if self._learner is None:
            self._learner = learner_of_components(self._for_width(n), n, "float64", None)
        elif n > self._learner.n_features:
            means = np.nanmean(X[:, self._learner.n_features :], axis=0)
            self._learner = widened(self._learner, self._for_width(n), means)
        remembered = None
        if self._clock is not None:
            since, remembered = self._clock.take(len(X))
            self._learner.decay(since)
        # who hands over row after row works on one core, often beside others that do the same:
        # there, BLAS threads that wait for each other made a minibatch take ten times as long
        with one_thread():
            self._learner.fold(Minibatch(X, decay=remembered))

    # --- using -----------------------------------------------------------------------------------

    def recent(self) -> View | None:
        """A view that is at most a minibatch old; None before any row."""
        if self.n_seen >= self._due:
            self.renew()
        return self.view

    def newest(self) -> View | None:
        """A view of all rows so far; None before any row."""
        if self.view is None or self.view.model.n_samples < self.n_seen:
            self.renew()
        return self.view

    def renew(self) -> None:
        """Fold in and solve everything."""
        self.fold()
        if self._learner is None:
            return
        with one_thread():
            self.view = View(self._learner.model())
        self._due = next_solve(self.n_seen, self._learner.options.batch_size)

    def row(self, x: Record, view: View) -> Float64:
        """A row (n,) without gaps; the next call may overwrite it."""
        row, complete = self.records.row(x, view.n_features)
        return row if complete else np.asarray(view.model.fill(row[None])[0])

    def rows(self, values: Float64, features: Sequence[Hashable], view: View) -> Float64:
        """Rows (m, n) without gaps from rows (m, k) of some features."""
        aligned = self.records.aligned(values, features)
        return np.asarray(view.model.fill(aligned[:, : view.n_features]))
