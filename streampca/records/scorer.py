"""How unusual a dictionary is, by the components of those before it.

Between RecordPCA and the detectors of River and Beam; knows neither.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from streampca.monitor import Gaps, Statistics
from streampca.records.layout import Record
from streampca.records.pca import RecordPCA, View

_STATISTICS = ("both", "spe", "t2")


class RecordScorer:
    """Learns from dictionaries and scores them by SPE, T^2, or both.

    Parameters
    ----------
    parameters : dict
        Of `StreamingPCA`.
    statistic : {"both", "spe", "t2"}
    """

    def __init__(self, parameters: dict[str, Any], statistic: str) -> None:
        if statistic not in _STATISTICS:
            raise ValueError(
                f"statistic={statistic!r} is not accepted: give one of {', '.join(_STATISTICS)}"
            )
        self._statistic = statistic
        self._model = RecordPCA(parameters)
        self._read: tuple[View | None, Statistics | None] = (None, None)
        self._of_gaps: tuple[View | None, Gaps | None] = (None, None)

    @property
    def n_seen(self) -> int:
        """Rows seen."""
        return self._model.n_seen

    def learn(self, x: Record, t: Any = None) -> None:
        """Learn from a row, which came at time t where forgetting goes by time."""
        self._model.learn(x, t)

    def score(self, x: Record) -> float | None:
        """How unusual a row is; None while too little is known."""
        view, statistics = self._current()
        if view is None or statistics is None:
            return None
        row, complete = self._model.records.row(x, view.n_features)
        centred = view.centred(row)
        if complete:
            spe, t2 = statistics.one(centred)
        else:  # of the observed part, on the scale of complete rows; 0 where that says nothing
            spe, t2 = (float(v[0]) for v in np.nan_to_num(self._gaps(view).both(centred[None])))
        if self._statistic == "both":
            return statistics.combine(spe, t2)
        return spe if self._statistic == "spe" else t2

    def contributions(self, x: Record) -> dict[Hashable, float]:
        """Each feature's part in the SPE of a row; none while too little is known."""
        view, statistics = self._current()
        if view is None or statistics is None:
            return {}
        row, complete = self._model.records.row(x, view.n_features)
        D = view.centred(row)[None]
        parts = statistics.split(D)[1] ** 2
        if not complete:
            parts = self._gaps(view).parts(D, of_spe=True)
        return self._model.records.layout.named(parts[0])

    def _gaps(self, view: View) -> Gaps:
        """The statistics of rows with gaps, made once for each view."""
        made_for, gaps = self._of_gaps
        statistics = self._read[1]
        if gaps is None or made_for is not view:
            assert statistics is not None
            n = view.n_features - statistics.n_kept
            left_out = np.full(n, statistics.expected_spe / max(n, 1))
            gaps = Gaps(statistics, left_out)
            self._of_gaps = view, gaps
        return gaps

    def _current(self) -> tuple[View | None, Statistics | None]:
        """The view of the components, and their statistics once 2 (p + 1) rows were seen."""
        view = self._model.recent()
        made_for, statistics = self._read
        if view is not made_for and view is not None:
            model = view.model
            statistics = Statistics(model.components, model.eigenvalues, model.total_variance)
            if model.n_samples < 2 * (len(model.components) + 1):
                statistics = None
            self._read = view, statistics
        return view, statistics
