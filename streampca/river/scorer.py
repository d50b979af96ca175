"""The anomaly detector: how far a row is from the components, one dictionary at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from typing import Any

from river import base

from streampca.estimators import parameters_of
from streampca.records import RecordScorer

_LARGEST = 1e100
"""Scores end here: quantiles are estimated from differences of scores, which must stay finite."""


class PCAScorer(base.AnomalyDetector):
    """Anomaly scores from ordered principal components: SPE, Hotelling's T^2, or both.

    SPE, the squared error of reconstructing a row from its components, is high where the relations
    between features break. T^2, the squared distance along the components in standard
    deviations, is high where a row is unusual while the relations hold. "both" is SPE / E[SPE] +
    T^2 / p: each in units of what is usual, so about 2 for normal rows.

    Parameters
    ----------
    n_components
        Number of components p; or the share of variance to explain, such as 0.9; or "parallel".
    statistic
        "both", "spe" or "t2".
    scale
        Whether features count in units of their standard deviations as they are by now: exact at
        any time, where a `StandardScaler` in front scales each row by what it knew when it came.
    forgetting_factor
        Weight of a row after one more row has come. 1 never forgets.
    half_life
        The same, as the number of rows after which a row has half its weight; or as the time, a
        `timedelta`. Then rows come with the time `t` when they were observed, in any order.
    missing
        What to do with None and NaN: "error", or "impute", which treats them as absent features.
    memory
        "dense", "factored" or "auto", as in `PCA`.
    oversample
        Directions that factored memory keeps beyond `n_components`.
    batch_size
        Rows in a minibatch, as in `PCA`.

    Notes
    -----
    Features with large variances dominate: give `scale=True` where units differ. A row scores
    0 until 2 (p + 1) rows have been learned, when there is something to be unusual against.
    Components are at most a minibatch old. Features may come, go, and be absent, as in `PCA`; a row
    with gaps is scored by what was observed, on the scale of complete rows.

    River's pipelines hand `t` to a filter around the scorer, but to no scorer at their very end.

    Scores are not confined to [0, 1]. River's `RollingROCAUC`, which ranks them, is the metric to
    use, and not `ROCAUC`, whose thresholds lie in there.

    References
    ----------
    J. E. Jackson and G. S. Mudholkar, Control procedures for residuals associated with principal
    component analysis, Technometrics 21 (1979) 341-349.

    Examples
    --------
    >>> from river import anomaly, datasets, metrics, preprocessing
    >>> from streampca.river import PCAScorer

    >>> model = preprocessing.StandardScaler() | PCAScorer(n_components=3)
    >>> auc = metrics.RollingROCAUC(window_size=5000)
    >>> for x, y in datasets.Shuttle().take(5000):
    ...     auc.update(y, model.score_one(x))
    ...     model.learn_one(x)
    >>> round(auc.get(), 2)
    0.98

    In a filter, rows above the 95th percentile are anomalies, and are not learned:

    >>> model = preprocessing.StandardScaler() | anomaly.QuantileFilter(
    ...     PCAScorer(n_components=3), q=0.95
    ... )

    """

    def __init__(
        self,
        n_components: int | float | str = 3,
        statistic: str = "both",
        forgetting_factor: float = 1.0,
        half_life: float | dt.timedelta | None = None,
        missing: str = "error",
        memory: str = "auto",
        oversample: int | None = None,
        batch_size: int | None = None,
        scale: bool = False,
    ) -> None:
        self.n_components = n_components
        self.statistic = statistic
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self.missing = missing
        self.memory = memory
        self.oversample = oversample
        self.batch_size = batch_size
        self.scale = scale
        parameters = parameters_of(self, PCAScorer)
        self._scorer = RecordScorer(parameters, parameters.pop("statistic"))

    def learn_one(self, x: dict[Hashable, Any], t: dt.datetime | None = None) -> None:
        """Learn from a row.

        Parameters
        ----------
        x
            Features and their values. A dictionary without any teaches nothing.
        t
            When the row was observed; needed, and read, only where `half_life` is a time.

        Raises
        ------
        ValueError
            If a value is no finite number. It names row and feature, and nothing is learned.

        """
        self._scorer.learn(x, t)

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """How unusual a row is: the higher the more, 0 while too little is known.

        Parameters
        ----------
        x
            Features and their values. Unknown features are left out, absent ones are filled.

        """
        score = self._scorer.score(x)
        return 0.0 if score is None else min(score, _LARGEST)

    def contributions_one(self, x: dict[Hashable, Any]) -> dict[Hashable, float]:
        """Each feature's part in the SPE of a row: which sensor it is.

        Parameters
        ----------
        x
            Features and their values.

        """
        return self._scorer.contributions(x)
