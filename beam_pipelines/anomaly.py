"""A detector for apache_beam.ml.anomaly: how far a row is from the components so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from apache_beam.ml.anomaly.base import AnomalyDetector
from apache_beam.ml.anomaly.specifiable import specifiable
from apache_beam.pvalue import Row

from streampca._recordpca import RecordPCA, View
from streampca.monitor import Statistics

_STATISTICS = ("both", "spe", "t2")


@specifiable
class PCAReconstruction(AnomalyDetector):
    """Anomaly scores by SPE, Hotelling's T^2, or both, for `apache_beam.ml.anomaly`.

    Runs unchanged inside ``AnomalyDetection(PCAReconstruction(...))``, which scores each row, then
    learns it, and keeps the detector as state of its key and window.

    Parameters
    ----------
    n_components : int or float, default=3
        How many; or the share of variance to explain, such as 0.9.
    statistic : {"both", "spe", "t2"}
        "both" is SPE / E[SPE] + T^2 / p: about 2 for normal rows.
    half_life : float, optional
        Rows after which a row has half its weight.
    features : iterable of str, optional
        Which fields of a row to use; all by default.
    threshold_criterion, model_id, target
        As for every detector of Beam.

    Notes
    -----
    A row scores NaN until 2 (p + 1) rows have been learned, and None if it holds anything but
    finite numbers; such rows are not learned. Beam reads and writes the detector for every row:
    for more than a few hundred features, `LearnComponents` and `ProjectComponents` are for you.

    Examples
    --------
    >>> import apache_beam as beam
    >>> from apache_beam.ml.anomaly.thresholds import FixedThreshold
    >>> detector = PCAReconstruction(n_components=1, threshold_criterion=FixedThreshold(9))
    >>> for i in range(50):
    ...     detector.learn_one(beam.Row(inlet=i % 7, outlet=2.0 * (i % 7) + 0.01 * (i % 3)))
    >>> detector.score_one(beam.Row(inlet=3, outlet=6.0)) < 9
    True
    >>> detector.score_one(beam.Row(inlet=3, outlet=1.0)) > 9
    True
    """

    def __init__(
        self,
        n_components: int | float = 3,
        statistic: str = "both",
        half_life: float | None = None,
        features: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(features=features, **kwargs)
        if statistic not in _STATISTICS:
            raise ValueError(
                f"statistic={statistic!r} is not accepted: give one of {', '.join(_STATISTICS)}"
            )
        self._statistic = statistic
        self._model = RecordPCA(
            {
                "n_components": n_components,
                "forgetting_factor": 1.0,
                "half_life": half_life,
                "missing": "error",
                "memory": "auto",
                "oversample": None,
                "batch_size": None,
            }
        )
        self._read: tuple[View | None, Statistics | None] = (None, None)

    def learn_one(self, x: Row) -> None:
        """Learn a row, unless it holds anything but finite numbers."""
        row = self._usable(x)
        if row is not None:
            self._model.learn(row)

    def score_one(self, x: Row) -> float | None:
        """How unusual a row is; NaN while too little is known, None for a row that has no score."""
        row = self._usable(x)
        if row is None:
            return None
        view, statistics = self._current()
        if view is None or statistics is None:
            return math.nan
        spe, t2 = statistics.one(self._model.row(row, view) - view.mean)
        if self._statistic == "both":
            return statistics.combine(spe, t2)
        return spe if self._statistic == "spe" else t2

    def _usable(self, x: Row) -> dict[str, Any] | None:
        row = x.as_dict()
        for value in row.values():
            if isinstance(value, (bool, str, bytes)) or value is None:
                return None
            try:
                if not math.isfinite(value):
                    return None
            except (TypeError, OverflowError):
                return None
        return row

    def _current(self) -> tuple[View | None, Statistics | None]:
        """The view of the components, and their statistics once enough rows were seen."""
        view = self._model.recent()
        made_for, statistics = self._read
        if view is not made_for and view is not None:
            model = view.model
            statistics = Statistics(model.components, model.eigenvalues, model.total_variance)
            if model.n_samples < 2 * (len(model.components) + 1):
                statistics = None
            self._read = view, statistics
        return view, statistics
