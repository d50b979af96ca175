"""Alarms: scored rows of a stream as events, in event time, for each key.

Rows arrive in any order: they wait in a bag until the watermark has passed them. What `Events`
keeps between two rows is the state of the key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.learning import refuse_splits, seconds
from beam_pipelines.rows import LAST_OF_ALL, key_text
from streampca.checkpoint import Key
from streampca.monitor import Event, Events, Levels, Rules, Scored

_TIMER_STEP = 999
"""Timers cross workers in milliseconds, rounded down."""


class Alarms(beam.PTransform):
    """Scored rows as events: from when to when, how far, which sensors to blame.

    Takes ``(key, ScoredRow)`` from `Score` and gives ``(key, Event)`` in the global window: each
    event when it opens (`is_over` False) and when it is over. One that is open when bounded input
    ends is given once more, as it stands.

    Parameters
    ----------
    rules : Rules, mapping or str, optional
        When rows make an event; see `streampca.monitor.Rules`. With `ewma`, `Score` must have had
        the same.
    every : float or timedelta, default=60
        Event time (seconds) in whose steps rows are taken together, in their order. Longer steps
        cost less, and tell an event later.
    n_sensors : int, default=5
        How many sensors an event names.

    Notes
    -----
    Rows that come after the watermark has passed the end of their step are left out, and counted
    in `late_scored_rows` of namespace "streampca".

    Examples
    --------
    >>> import apache_beam as beam, numpy as np
    >>> from apache_beam.transforms.window import TimestampedValue
    >>> from beam_pipelines import Alarms, Score
    >>> from streampca import StreamingPCA
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 3))
    >>> model = StreamingPCA(1).fit(X).checkpoint()
    >>> X[20:30, 1] += 2
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     models = pipeline | "Models" >> beam.Create([(None, model)])
    ...     rows = pipeline | beam.Create([TimestampedValue(x, i) for i, x in enumerate(X[:60])])
    ...     events = rows | Score(models) | Alarms("k=3, n=3, hold_off=5")
    ...     _ = events | beam.Map(lambda keyed: keyed[1]) | beam.Filter(lambda e: e.is_over) | (
    ...         beam.Map(lambda event: print(event.start, event.end, event.sensors[0]))
    ...     )
    20 29 feature 1
    """

    def __init__(self, rules: Any = None, *, every: Any = 60.0, n_sensors: int = 5) -> None:
        super().__init__()
        self._rules = Rules.read(rules)
        self._every = seconds("every", every) or 60.0
        if self._every < 0.01:
            raise ValueError(f"every={every!r} is not accepted: give 0.01 seconds or more")
        self._n_sensors = n_sensors

    def expand(self, scored: Any) -> Any:
        """Build the steps."""
        refuse_splits(scored.pipeline)
        step = _Tell(self._rules.as_dict(), round(self._every * 1e6), self._n_sensors)
        return (
            scored
            | "Plain" >> beam.Map(_plain).with_output_types(tuple[str, bytes])
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "Tell" >> beam.ParDo(step).with_output_types(tuple[Key, Event])
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"rules": str(self._rules.as_dict()), "every": self._every}


def _plain(element: Any) -> tuple[str, bytes]:
    key, row = element
    found: Scored = row.scored if hasattr(row, "scored") else row
    if found.time is None:
        raise ValueError(
            f"key {key!r}: a scored row has no time: Score gives it that of its element"
        )
    return key_text(key), json.dumps([found.time, *found]).encode()


def _scored(key: Key, row: int, fields: list[Any]) -> Scored:
    made = Scored(*fields)
    return made._replace(
        key=key,
        row=row,
        levels=Levels(*made.levels),
        sensors=tuple(made.sensors),
        shares=tuple(made.shares),
    )


class _Tell(beam.DoFn):
    ROWS = BagStateSpec("rows", BytesCoder())
    STATE = ReadModifyWriteStateSpec("state", BytesCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, rules: dict[str, Any], every: int, n_sensors: int) -> None:
        self._rules, self._every, self._n_sensors = rules, every, n_sensors
        self._late = Metrics.counter("streampca", "late_scored_rows")

    def process(
        self,
        element: tuple[str, bytes],
        rows: Any = beam.DoFn.StateParam(ROWS),  # noqa: B008 - how Beam declares state
        due: Any = beam.DoFn.TimerParam(DUE),  # noqa: B008
        end: Any = beam.DoFn.TimerParam(END),  # noqa: B008
    ) -> None:
        """Keep a row until the watermark has passed it."""
        _, data = element
        time = json.loads(data)[0]
        rows.add(data)
        at = min((time // self._every + 1) * self._every - 1, LAST_OF_ALL)
        due.set(Timestamp(micros=at), dynamic_timer_tag=str(at))
        end.set(Timestamp(micros=LAST_OF_ALL))

    @on_timer(DUE)
    def tell(
        self,
        text: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        now: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        rows: Any = beam.DoFn.StateParam(ROWS),  # noqa: B008
        state: Any = beam.DoFn.StateParam(STATE),  # noqa: B008
    ) -> Iterator[Any]:
        """Take the rows that the watermark has passed, in their order."""
        # the end of the step, whatever the timer lost: rows beyond it may still be on their way
        end = (now.micros + _TIMER_STEP + 1) // self._every * self._every - 1
        yield from self._told(text, end, rows, state)

    @on_timer(END)
    def finish(
        self,
        text: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        rows: Any = beam.DoFn.StateParam(ROWS),  # noqa: B008
        state: Any = beam.DoFn.StateParam(STATE),  # noqa: B008
    ) -> Iterator[Any]:
        """Take all rows that are left, and tell what is open when there are no more."""
        yield from self._told(text, LAST_OF_ALL, rows, state)
        for event in self._events(state)[0].finish():
            yield json.loads(text), event

    def _events(self, state: Any) -> tuple[Events, int, int]:
        """Events so far, how many rows that were, and up to when they have been told."""
        kept = state.read()
        events, count, until = json.loads(kept) if kept else (None, 0, -(2**62))
        made = Events(Rules.read(self._rules), n_sensors=self._n_sensors, state=events)
        return made, count, until

    def _told(self, text: str, now: int, rows: Any, state: Any) -> Iterator[Any]:
        waiting = sorted(rows.read(), key=lambda data: (json.loads(data)[0], data))
        ready = [data for data in waiting if json.loads(data)[0] <= now]
        if not ready:
            return
        events, count, until = self._events(state)
        key = json.loads(text)
        for data in ready:
            time, *fields = json.loads(data)
            if time <= until:
                self._late.inc()
                continue
            for event in events.add(_scored(key, count, fields)):
                yield key, event
            count += 1
        rows.clear()
        for data in waiting[len(ready) :]:
            rows.add(data)
        until = max(until, json.loads(ready[-1])[0])
        state.write(json.dumps([events.state(), count, until]).encode())
