"""Score and Alarms for Beam YAML: scored rows and events as plain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import apache_beam as beam
from apache_beam.coders import RowCoder
from apache_beam.coders.typecoders import registry

from beam_pipelines.beam_yaml.options import whole
from beam_pipelines.beam_yaml.rows import fields_of
from beam_pipelines.scoring import alarms, score
from beam_pipelines.stores import ReadCheckpoints
from streampca.monitor import Event, Levels, Scored


class ScoredYamlRow(NamedTuple):
    """A row beside the limits of a checkpoint; times are UTC microseconds."""

    key: Optional[str]  # noqa: UP045 - Beam reads types as they stand here
    time: int
    spe: float
    t2: float
    alarm: bool
    statistic: str
    sensors: Sequence[str]
    shares: Sequence[float]
    spe_limit: float
    t2_limit: float
    mean_spe: float
    mean_t2: float


class EventYamlRow(NamedTuple):
    """An event; `start`, `end` and `peak_row` count the rows of its key."""

    key: Optional[str]  # noqa: UP045
    start_time: int
    end_time: int
    start: int
    end: int
    n_rows: int
    n_out: int
    peak: float
    peak_row: int
    peak_time: int
    statistic: str
    sensors: Sequence[str]
    shares: Sequence[float]
    is_over: bool


registry.register_coder(ScoredYamlRow, RowCoder)
registry.register_coder(EventYamlRow, RowCoder)


class Score(beam.PTransform):
    """SPE, T^2, limits, alarm and the first sensors to blame, of each row.

    Args:
      store: Folder or URI of checkpoints; of each key the newest is used.
      key: Field that holds the key of a row; without it, one model is used for all.
      columns: Fields that are features; the features of the model by default.
      rules: As {"confidence": 0.99, "ewma": 0.2, "limits": {...}}, the same as for Alarms.
      n_components: How many of the model's components, a share such as 0.9, or parallel.
      n_sensors: How many sensors to name.
    """

    def __init__(
        self,
        store: str,
        key: Optional[str] = None,  # noqa: UP045
        columns: Optional[Sequence[str]] = None,  # noqa: UP045
        rules: Optional[Mapping[str, Any]] = None,  # noqa: UP045
        n_components: Any = "auto",
        n_sensors: int = 3,
    ) -> None:
        super().__init__()
        self._store, self._key = store, key
        self._columns = None if columns is None else list(columns)
        count = whole(n_components)
        self._how = {"rules": rules, "n_components": count, "n_sensors": n_sensors}
        score.Score(None, **self._how)  # to be told now what does not fit

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        models = rows.pipeline | "Models" >> ReadCheckpoints(self._store)
        return (
            rows
            | "Fields" >> beam.Map(fields_of, self._key, self._columns)
            | "Scored" >> score.Score(models, **self._how)
            | "AsRows" >> beam.Map(_as_scored).with_output_types(ScoredYamlRow)
        )


class Alarms(beam.PTransform):
    """Scored rows as events: when they open, and when they are over.

    Args:
      rules: As {"k": 3, "n": 5, "hold_off": 10, "release": 0.9, "ewma": 0.2}.
      every: Seconds of event time in whose steps rows are taken together.
      n_sensors: How many sensors an event names.
    """

    def __init__(
        self,
        rules: Optional[Mapping[str, Any]] = None,  # noqa: UP045
        every: float = 60.0,
        n_sensors: int = 5,
    ) -> None:
        super().__init__()
        self._alarms = alarms.Alarms(rules, every=every, n_sensors=n_sensors)

    def expand(self, scored: Any) -> Any:
        """Build the steps."""
        return (
            scored
            | "Read" >> beam.Map(_as_keyed)
            | "Events" >> self._alarms
            | "AsRows" >> beam.Map(_as_event).with_output_types(EventYamlRow)
        )


def _as_scored(keyed: tuple[Any, score.ScoredRow]) -> ScoredYamlRow:
    key, row = keyed
    one = row.scored
    return ScoredYamlRow(
        None if key is None else str(key),
        int(one.time or 0),
        one.spe,
        one.t2,
        one.alarm,
        one.statistic,
        list(one.sensors),
        list(one.shares),
        *one.levels,
    )


def _as_keyed(row: Any) -> tuple[str | None, Scored]:
    levels = Levels(row.spe_limit, row.t2_limit, row.mean_spe, row.mean_t2)
    sensors, shares = tuple(row.sensors), tuple(row.shares)
    found = Scored(
        row.key, 0, row.time, row.spe, row.t2, levels, row.alarm, row.statistic, sensors, shares
    )
    return row.key, found


def _as_event(keyed: tuple[Any, Event]) -> EventYamlRow:
    said = keyed[1].as_dict()
    said |= {"sensors": list(said["sensors"]), "shares": list(said["shares"])}
    return EventYamlRow(**said)
