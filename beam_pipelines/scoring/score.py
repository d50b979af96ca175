"""Score: rows of a stream beside the limits of a model, with the sensors to blame."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from beam_pipelines.rows import RowReader
from beam_pipelines.scoring.following import apply, check_lag, following
from streampca.checkpoint import Checkpoint
from streampca.monitor import Monitor, Rules, Scored, Watch, slim


class ScoredRow(NamedTuple):
    """A row beside the limits of a checkpoint; `Alarms` makes events of these."""

    scored: Scored
    """Statistics, limits, alarm, sensors and their shares; `row` is its place in the element."""
    element: Any
    """What it came from: a row, or the matrix or record batch that it is part of."""
    window_end: int | None
    """Of the checkpoint, UTC microseconds."""
    sequence: int
    """Of that checkpoint."""


class Score(beam.PTransform):
    """SPE, T^2, limits, alarm and the first sensors to blame, of each row.

    Takes rows or (key, row) pairs as `ProjectComponents` does, and gives ``(key, ScoredRow)``, one
    for each row of a matrix or record batch.

    Parameters
    ----------
    checkpoints : PCollection of (key, Checkpoint)
        What `LearnComponents` or `ReadCheckpoints` gives, in fixed, sliding or global windows.
    rules : Rules, mapping or str, optional
        Of limits: `confidence`, `limits` of single keys, and `ewma`, with which `Alarms` holds
        running means against limits of their own. Give both transforms the same.
    lag : int, default=0
        As in `ProjectComponents`: 1 scores a window by the checkpoint of the one before.
    n_components : int, float, "parallel", "auto" or None, default="auto"
        How many components of a checkpoint to use; see `streampca.monitor.Monitor`.
    n_sensors : int, default=3
        How many sensors to name.
    bad_rows : bool, default=False
        As in `ProjectComponents`.

    Examples
    --------
    >>> import apache_beam as beam, numpy as np
    >>> from beam_pipelines import Score
    >>> from streampca import StreamingPCA
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 3))
    >>> model = StreamingPCA(1).fit(X).checkpoint()
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     models = pipeline | "Models" >> beam.Create([(None, model)])
    ...     rows = pipeline | beam.Create([X[0], X[0] + [0, 0, 2]])
    ...     scored = rows | Score(models) | beam.Map(lambda keyed: keyed[1].scored)
    ...     _ = scored | beam.Map(lambda row: print(row.alarm, row.sensors[0]))
    False feature 2
    True feature 2
    """

    def __init__(
        self,
        checkpoints: Any,
        *,
        rules: Any = None,
        lag: int = 0,
        n_components: int | float | str | None = "auto",
        n_sensors: int = 3,
        bad_rows: bool = False,
    ) -> None:
        super().__init__()
        check_lag(lag)
        self._checkpoints, self._lag, self._bad_rows = checkpoints, lag, bad_rows
        self._rules = Rules.read(rules)
        if isinstance(n_sensors, bool) or not isinstance(n_sensors, int) or n_sensors < 1:
            raise ValueError(f"n_sensors={n_sensors!r} is not accepted: give 1 or more")
        self._how = n_components, n_sensors

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        side = following(self._checkpoints, self._lag, slim)
        made = functools.partial(_scorer, self._rules.as_dict(), *self._how)
        return rows | "Score" >> apply(made, side, ScoredRow, "scored", self._bad_rows)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"lag": self._lag, "rules": str(self._rules.as_dict())}


def _scorer(
    rules: dict[str, Any], n_components: Any, n_sensors: int, checkpoint: Checkpoint
) -> Any:
    monitor = Monitor(checkpoint, n_components=n_components)
    ewma = rules.get("ewma")
    known = monitor.n_calibrated and (ewma is None or monitor.is_calibrated(0.5, ewma))
    if rules.get("method") == "empirical" and not known:
        by = "" if ewma is None else f" --ewma {ewma:g}"
        whose = "the checkpoint" if checkpoint.key is None else f"the one of {checkpoint.key!r}"
        raise ValueError(
            f"rules: method='empirical' needs checkpoints that hold a calibration, and {whose} "
            f"holds none{' of running means' if by and monitor.n_calibrated else ''}: "
            f"`streampca calibrate{by}` keeps it, or give limits of their own, "
            "{'press 4': {'spe': 3.2, 't2': 20}}"
        )
    watch = Watch(monitor, rules, key=checkpoint.key, n_sensors=n_sensors)
    names = checkpoint.feature_names
    read = RowReader(
        monitor.n_features if names is None else names, checkpoint.settings.get("missing", "error")
    )

    def score(element: Any, micros: int) -> Iterator[ScoredRow]:
        values = read(element).values
        for scored in watch.score(values, [micros] * len(values)):
            yield ScoredRow(scored, element, checkpoint.window_end, checkpoint.sequence)

    return lambda element, micros: list(score(element, micros))
