"""The stateful DoFn that carries the model across windows, one for each key.

It lives in the global window, because Beam's state dies with its window. Moments wait in a bag,
each with the window that it belongs to; a watermark timer closes every window that is due, in
event-time order: runners do not fire timers in order, and on bounded input all rows arrive before
any timer. A timer that finds nothing due does nothing, so a repeated one does no harm.

A key has a timer at the end of the first window that waits, which also holds the watermark of what
comes after, and, once that has fired, one at the end of the last: where the watermark has passed
thousands of windows at once, one timer closes them all. On bounded input, where it always does, one
at the end of time makes sure that a single bundle does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.learning.pending import (
    ON_TIME,
    PENDING_CODER,
    Arrived,
    Entries,
    Pending,
)
from beam_pipelines.learning.running import Learning, Running, Standing
from beam_pipelines.learning.sizes import LIMIT, say_once
from beam_pipelines.learning.timers import Timers
from beam_pipelines.rows import LAST_OF_ALL
from streampca.checkpoint import Checkpoint, from_state, to_state

_TIMER_STEP = 999
"""Timers cross workers in milliseconds, rounded down: the last instant of a window, one
microsecond before its end, comes back as up to so many microseconds earlier."""

_END = LAST_OF_ALL - _TIMER_STEP

_AT_HAND, _AT_HAND_BYTES = 16, 2**26
"""Keys whose models a bundle keeps as objects, for their next timers, or more of them while their
states have no more bytes: reading one takes as long as learning a window."""

_HELD = 1000
"""Checkpoints that wait for the next of their key in a bundle at most."""

_State = tuple[bytes | None, int | None, int]  # model, closed, sequence


class _AtHand(NamedTuple):
    """A key as the last timer of this bundle left it."""

    state: _State
    run: Running
    entries: Entries | None
    """None: something has come since."""


class CarryModel(beam.DoFn):
    """(key text, Arrived) -> (key, Checkpoint), timestamped inside the window that it covers.

    Parameters
    ----------
    learning : Learning
        How every key learns.
    """

    MODEL = ReadModifyWriteStateSpec("model", BytesCoder())
    CLOSED = ReadModifyWriteStateSpec("closed", VarIntCoder())
    SEQUENCE = ReadModifyWriteStateSpec("sequence", VarIntCoder())
    PENDING = BagStateSpec("pending", PENDING_CODER)
    WINDOW_END = TimerSpec("window_end", TimeDomain.WATERMARK)
    SILENT = TimerSpec("silent", TimeDomain.WATERMARK)

    _begins_empty = True  # and not with the model of an earlier job

    def __init__(self, learning: Learning) -> None:
        self._learning = learning
        self._checkpoints = Metrics.counter("streampca", "checkpoints")
        self._late = Metrics.counter("streampca", "late_checkpoints")
        self._early = Metrics.counter("streampca", "early_checkpoints")
        self._forgotten = Metrics.counter("streampca", "forgotten_keys")

    def start_bundle(self) -> None:
        self._at_hand: dict[str, _AtHand] = {}
        self._n_bytes = 0
        self._held: dict[str, tuple[Checkpoint, Pending]] = {}
        self._timers: dict[str, Timers] = {}

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for checkpoint, window in self._held.values():
            stamped = _stamped(checkpoint, window)
            yield WindowedValue(stamped.value, stamped.timestamp, (GlobalWindow(),))
        self._held.clear()

    def process(
        self,
        element: tuple[str, Arrived],
        pending: Any = beam.DoFn.StateParam(PENDING),  # noqa: B008 - how Beam declares state
        timer: Any = beam.DoFn.TimerParam(WINDOW_END),  # noqa: B008
        model: Any = beam.DoFn.StateParam(MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CLOSED),  # noqa: B008
        sequence: Any = beam.DoFn.StateParam(SEQUENCE),  # noqa: B008
    ) -> Iterator[Any]:
        """Keep what arrives until its window ends; report an early pane's window at once."""
        text, (early, arrived) = element
        window, done = Pending(*arrived), closed.read()
        if done is None or window.last > done:
            window = window._replace(kept=ON_TIME)
        pending.add(tuple(window))
        if text in self._at_hand:
            self._at_hand[text] = self._at_hand[text]._replace(entries=None)
        timers = self._timers.get(text)
        if timers is None:
            timers = self._timers[text] = Timers()
            if self._learning.bounded:
                timer.set(Timestamp(micros=LAST_OF_ALL), dynamic_timer_tag="end")
        timers.reach(window.last, timer)
        if not early:
            return
        entries = Entries.read(pending, done)
        run = self._running(text, *self._known(text, model, closed, sequence))
        if self._learning.carry:
            for _, parts in groupby((w for w in entries.waiting if w.last < window.last), _window):
                run.learn(list(parts))
        own = [w for w in (*entries.waiting, *entries.kept) if w.within(window)]
        checkpoint = run.close(own)
        sequence.write(checkpoint.sequence + 1)
        self._early.inc()
        keeps = self._learning.keeps(checkpoint.sequence, last=True)
        yield _stamped(checkpoint if keeps else checkpoint.without_moments(), window)

    @on_timer(WINDOW_END)
    def close(
        self,
        text: str = beam.DoFn.KeyParam,  # type: ignore[assignment]
        now: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        pending: Any = beam.DoFn.StateParam(PENDING),  # noqa: B008
        model: Any = beam.DoFn.StateParam(MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CLOSED),  # noqa: B008
        sequence: Any = beam.DoFn.StateParam(SEQUENCE),  # noqa: B008
        silent: Any = beam.DoFn.TimerParam(SILENT),  # noqa: B008
        timer: Any = beam.DoFn.TimerParam(WINDOW_END),  # noqa: B008
    ) -> Iterator[Any]:
        """Close every window that is due."""
        known, state = self._known(text, model, closed, sequence)
        entries = None if known is None else known.entries
        entries = entries or Entries.read(pending, state[1])
        due = entries.due(now.micros + _TIMER_STEP)
        if not due:
            return
        run = self._running(text, known, state)
        yield from self._released(text, late=state[1] is not None and due[0].last <= state[1])
        kept, ends = list(entries.kept), self._ends(now)
        yield from self._reported(text, run, due, kept, ends)
        if len(self._held) > _HELD:
            yield _stamped(*self._held.pop(next(iter(self._held))))
        standing = run.standing
        assert standing.model is not None
        assert standing.closed is not None
        if ends:  # a cell that is written costs a runner as much as a window
            pending.clear()
            for cell in () if state[0] is None else (model, closed, sequence):
                cell.clear()
            return
        entries = entries.without(due, kept, pending)
        self._timers.setdefault(text, Timers()).wait_for(entries.waiting, timer)
        state = to_state(standing.model), standing.closed, standing.sequence
        if len(state[0]) > LIMIT:
            say_once(len(state[0]))
        for cell, value in zip((model, closed, sequence), state, strict=True):
            cell.write(value)
        self._keep_at_hand(text, _AtHand(state, run, entries))
        if self._learning.idle is not None and standing.closed < LAST_OF_ALL:
            end = min(standing.closed + self._learning.idle, LAST_OF_ALL)
            silent.set(Timestamp(micros=end))

    def _ends(self, now: Timestamp) -> bool:
        """Whether nothing can come after this timer, so that there is nothing to remember."""
        learning = self._learning
        return learning.bounded and learning.idle is None and now.micros >= _END

    def _reported(
        self, text: str, run: Running, due: list[Pending], kept: list[Pending], ends: bool
    ) -> Iterator[TimestampedValue]:
        """Close windows, and leave in `kept` what is to be kept of them for rows that come late.

        Where the input `ends`, the last one needs no moments to go on from.
        """
        learning = self._learning
        groups = [list(group) for _, group in groupby(due, _window)]
        run.expect(() if kept else groups)
        for number, parts in enumerate(groups, 1):
            last = number == len(groups)
            # where windows are learned apart, those that overlap it are gone on from, too
            apart = not learning.carry and _reaches(parts, groups[-1])
            keeps = learning.keeps(run.standing.sequence, last=last or apart)
            parts += [w for w in kept if w.within(parts[0])]
            checkpoint = run.close(parts, moments=keeps or (last and not ends))
            still = [w for w in kept if w not in parts]
            if learning.lateness and not learning.carry:
                total = run.kept(parts[0])
                still += [] if total is None else [total]
            assert run.standing.closed is not None
            kept[:] = [w for w in still if w.last + learning.lateness > run.standing.closed]
            self._checkpoints.inc()
            if checkpoint.late:
                self._late.inc()
            if last and learning.only_last(checkpoint.sequence):
                self._held[text] = checkpoint, parts[0]
            else:
                yield _stamped(checkpoint if keeps else checkpoint.without_moments(), parts[0])

    @on_timer(SILENT)
    def forget(
        self,
        now: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
        pending: Any = beam.DoFn.StateParam(PENDING),  # noqa: B008
        model: Any = beam.DoFn.StateParam(MODEL),  # noqa: B008
        closed: Any = beam.DoFn.StateParam(CLOSED),  # noqa: B008
        sequence: Any = beam.DoFn.StateParam(SEQUENCE),  # noqa: B008
    ) -> None:
        """Free the state of a key that has been silent; `Running` begins anew by the same rule."""
        last = closed.read()
        idle = self._learning.idle
        if last is None or idle is None or last + idle > now.micros + _TIMER_STEP:
            return
        if any(Pending(*entry).waits(last) for entry in pending.read()):
            return  # a window that ends later is still to be closed
        for state in (pending, model, closed, sequence):
            state.clear()
        self._forgotten.inc()

    def _released(self, text: str, *, late: bool) -> Iterator[TimestampedValue]:
        """The checkpoint before, which is not the last of its key in this bundle.

        Before a late one it keeps its moments: it stays the newest of its key.
        """
        if text in self._held:
            checkpoint, window = self._held.pop(text)
            yield _stamped(checkpoint if late else checkpoint.without_moments(), window)

    def _known(
        self, text: str, model: Any, closed: Any, sequence: Any
    ) -> tuple[_AtHand | None, _State]:
        """The key as it is at hand, if that is how it stands, and how it stands."""
        done = closed.read()
        if done is None and self._learning.bounded and self._begins_empty:
            return None, (None, None, 0)  # no early panes: the others are empty, too
        state: _State = model.read(), done, sequence.read() or 0
        known = self._at_hand.get(text)
        return (known if known is not None and known.state == state else None), state

    def _running(self, text: str, known: _AtHand | None, state: _State) -> Running:
        # Taken out, because it changes: what fails or is not written must not be read again.
        self._take(text)
        if known is not None:
            return known.run
        last = None if state[0] is None else from_state(state[0])
        return Running(json.loads(text), self._learning, Standing(last, *state[1:]))

    def _take(self, text: str) -> None:
        taken = self._at_hand.pop(text, None)
        if taken is not None:
            self._n_bytes -= len(taken.state[0] or b"")

    def _keep_at_hand(self, text: str, known: _AtHand) -> None:
        self._take(text)
        self._at_hand[text] = known
        self._n_bytes += len(known.state[0] or b"")
        while len(self._at_hand) > _AT_HAND and self._n_bytes > _AT_HAND_BYTES:
            self._take(next(iter(self._at_hand)))


def _window(part: Pending) -> tuple[int, int, int]:
    return part.window


def _reaches(parts: list[Pending], last: list[Pending]) -> bool:
    """Whether a window ends after the start of the one that is closed last."""
    return parts[0].last >= last[0].start


def _stamped(checkpoint: Checkpoint, window: Pending) -> TimestampedValue:
    return TimestampedValue((checkpoint.key, checkpoint), Timestamp(micros=window.last))
