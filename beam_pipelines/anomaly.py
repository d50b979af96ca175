"""A detector for apache_beam.ml.anomaly: how far a row is from the components so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from apache_beam.ml.anomaly.base import AnomalyDetector
from apache_beam.ml.anomaly.specifiable import Spec, Specifiable, specifiable
from apache_beam.pvalue import Row

from streampca.records import RecordScorer
from streampca.rows import LARGEST
from streampca.text import nearest

_OF_BEAM = ("model_id", "target", "threshold_criterion")


class _Spec(Spec):
    """A spec that brings its detector along.

    A worker makes a detector of its spec by name, among those that were imported there. This
    class is pickled by reference: to read such a spec is to import this module.
    """


@specifiable
class PCAReconstruction(AnomalyDetector):
    """Anomaly scores by SPE, Hotelling's T^2, or both, for `apache_beam.ml.anomaly`.

    Runs unchanged inside ``AnomalyDetection(PCAReconstruction(...))``, which scores each row, then
    learns it, and keeps the detector as state of its key and window.

    Parameters
    ----------
    n_components : int, float or "parallel", default=3
        How many; or the share of variance to explain, such as 0.9; or parallel analysis.
    statistic : {"both", "spe", "t2"}
        "both" is SPE / E[SPE] + T^2 / p: about 2 for normal rows.
    half_life : float, optional
        Rows after which a row has half its weight.
    scale : bool, default=False
        Whether features count in units of their standard deviations as they are by now.
    features : iterable of str, optional
        Which fields of a row to use; all by default.
    **kwargs
        `threshold_criterion`, `model_id` and `target`, as for every detector of Beam.

    Notes
    -----
    A row scores NaN until 2 (p + 1) rows have been learned, and None if it holds anything but
    finite numbers whose squares are finite; such rows are not learned. Beam reads and writes the
    detector for every row: for more than a few hundred features, `LearnComponents` and
    `ProjectComponents` are for you.

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
        n_components: int | float | str = 3,
        statistic: str = "both",
        half_life: float | None = None,
        features: Iterable[str] | None = None,
        scale: bool = False,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in _OF_BEAM:  # which Beam's own detectors pass over in silence
                known = ("n_components", "statistic", "half_life", "features", "scale", *_OF_BEAM)
                near = nearest(name, known)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
                raise ValueError(f"there is no parameter {name}: {hint}")
        if features is not None:
            features = _names_of(features)
        super().__init__(features=features, **kwargs)
        self._scorer = RecordScorer(
            {
                "n_components": n_components,
                "scale": scale,
                "forgetting_factor": 1.0,
                "half_life": half_life,
                "missing": "error",
                "memory": "auto",
                "oversample": None,
                "batch_size": None,
            },
            statistic,
        )

    def learn_one(self, x: Row) -> None:
        """Learn a row, unless it holds anything but finite numbers."""
        row = self._usable(x)
        if row is not None:
            self._scorer.learn(row)

    def score_one(self, x: Row) -> float | None:
        """How unusual a row is; NaN while too little is known, None for a row that has no score."""
        row = self._usable(x)
        if row is None:
            return None
        score = self._scorer.score(row)
        return math.nan if score is None else score

    def _usable(self, x: Row) -> dict[str, Any] | None:
        row = x.as_dict()
        for value in row.values():
            if isinstance(value, (bool, str, bytes)) or value is None:
                return None
            try:
                if not math.isfinite(value) or abs(value) > LARGEST:
                    return None
            except (TypeError, OverflowError):
                return None
        return row


def _names_of(features: Any) -> list[str]:
    names: list[str] = [] if isinstance(features, (str, bytes)) else list(features)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"features={features!r} is not accepted: give a list of names of fields, each once"
        )
    return names


def _to_spec(detector: Any) -> Spec:
    spec = Specifiable.to_spec(detector)
    return _Spec(spec.type, spec.config)


setattr(PCAReconstruction, "to_spec", _to_spec)  # noqa: B010 - over what `specifiable` put there
