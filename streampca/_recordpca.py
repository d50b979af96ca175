"""StreamingPCA for rows that are dictionaries: rows wait, features come, components are kept.

Between the buffer of records and the estimator; knows nothing of River.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import _options
from streampca._model import Model
from streampca._records import Record, Records
from streampca._widen import widened
from streampca.estimator import StreamingPCA

Float64 = NDArray[np.float64]


class View:
    """What is read off a model for row after row, until the next one is solved."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.n_features = int(model.components.shape[1])
        self.mean = model.mean  # (n,) zeros where rows are not centred
        # directions without variance are any: they give 0 instead of something arbitrary
        shown = model.eigenvalues[:, None] > 0
        self.components: Float64 = np.where(shown, model.components, 0.0)  # (p, n)


class RecordPCA:
    """Learns from dictionaries and gives a view of its components.

    Parameters
    ----------
    parameters : dict
        Of `StreamingPCA`. `n_components` may exceed the number of features. "missing" says what
        None and NaN are; features that are absent from a row are filled always.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        _options.check(StreamingPCA(**parameters).get_params())
        self._parameters = parameters
        self.records = Records(
            self._batch_size, allow_missing=parameters.get("missing") == "impute"
        )
        self.view: View | None = None
        self._pca: StreamingPCA | None = None
        self._width = 0  # features that the estimator knows
        self._due = 1  # rows at which the view is renewed

    @property
    def features(self) -> tuple[Hashable, ...]:
        """Names of the features, in the order of the columns of a view (and those after them)."""
        return self.records.layout.features

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
        return _options.resolve(self._for_width(n_features), n_features).batch_size

    # --- learning --------------------------------------------------------------------------------

    def learn(self, x: Record) -> None:
        """Learn from a row."""
        if self.records.append(x):
            self.fold()

    def learn_rows(self, values: Float64, features: Sequence[Hashable]) -> None:
        """Learn from rows (m, k) of checked numbers; NaN where a feature is absent."""
        values = values[~np.isnan(values).all(axis=1)]
        start = 0
        while start < len(values):
            start += self.records.extend(values[start:], features)
            if self.records.is_full:
                self.fold()

    def fold(self) -> None:
        """Hand the rows that wait to the estimator."""
        if self.records.n_held == 0:
            return
        n = self.records.layout.n
        X = self.records.take()
        if self._pca is None:
            self._pca = StreamingPCA(**self._for_width(n))
        elif n > self._width:
            means = np.nanmean(X[:, self._width :], axis=0)
            p = self._for_width(n)["n_components"]
            self._pca = StreamingPCA.from_checkpoint(widened(self._pca.checkpoint(), means, p))
        self._pca.partial_fit(X)
        self._width = n

    # --- using -----------------------------------------------------------------------------------

    def recent(self) -> View | None:
        """A view that is at most a minibatch old; None before any row."""
        if self.records.n_taken + self.records.n_held >= self._due:
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
        if self._pca is None:
            return
        self.view = View(self._pca._model)
        # early on after a quarter more rows, later every minibatch: about 25 solves more in all
        batch = self._batch_size(self._width)
        self._due = self.n_seen + min(batch, max(1, self.n_seen // 4))

    def row(self, x: Record, view: View) -> Float64:
        """A row (n,) without gaps; the next call may overwrite it."""
        row, complete = self.records.row(x, view.n_features)
        return row if complete else np.asarray(view.model.fill(row[None])[0])

    def rows(self, values: Float64, features: Sequence[Hashable], view: View) -> Float64:
        """Rows (m, n) without gaps from rows (m, k) of some features."""
        aligned = self.records.aligned(values, features)
        return np.asarray(view.model.fill(aligned[:, : view.n_features]))
