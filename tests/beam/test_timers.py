"""Few timers of a key close all of its windows, each when the watermark has passed it."""

import math

import numpy as np
import pytest
from keyed_state import Bag, Cell, Time, Timers
from streams import assert_equals_batch, stream

from beam_pipelines.learning.carry import CarryModel
from beam_pipelines.learning.pending import Pending
from beam_pipelines.learning.running import Learning
from beam_pipelines.rows import LAST_OF_ALL, Block

MINUTE = 60_000_000
X, _ = stream(120)


class Runner:
    """One key, whose bundles are made by hand: rows come, and timers that are due fire."""

    def __init__(self, bounded, draws):
        self.fn = CarryModel(Learning({"n_components": 2}, bounded=bounded))
        self.cells, self.bag, self.timers = [Cell(), Cell(), Cell()], Bag(), Timers()
        self.draws, self.watermark, self.n_fired, self.found = draws, -math.inf, 0, []

    def bundle(self, arrived=()):
        """Minutes of rows that have come, then the timers that are due, in any order."""
        self.fn.start_bundle()
        for minute, rows in arrived:
            self.rows(minute, rows)
        due = [tag for tag, time in self.timers.pending.items() if time <= self.watermark]
        for tag in self.draws.permutation(due):
            self.fire(self.timers.pending.pop(tag, None))
        self.found += [each.value[1] for each in self.fn.finish_bundle()]
        waiting = [Pending(*entry) for entry in self.bag.read()]
        waiting = [entry.last for entry in waiting if entry.waits(self.cells[1].value)]
        # what holds the watermark of the next steps
        assert min(self.timers.pending.values(), default=math.inf) <= min(waiting, default=math.inf)
        return waiting

    def rows(self, minute, rows):
        data = Block(None, rows).to_bytes()
        part = Pending((minute + 1) * MINUTE - 1, minute * MINUTE, MINUTE, 0, 0, data)
        element = '"k"', (False, tuple(part))
        assert list(self.fn.process(element, self.bag, self.timers, *self.cells)) == []

    def fire(self, time):
        if time is None:  # taken back by one that has fired before it
            return
        self.n_fired += 1
        # as it crosses workers: in milliseconds
        now = Time(time // 1000 * 1000)
        states = self.bag, *self.cells
        made = self.fn.close('"k"', now, *states, silent=None, timer=self.timers)
        self.found += [each.value[1] for each in made]

    def until(self, watermark):
        """Bundles of timers alone until none is due."""
        self.watermark = watermark
        waiting = self.bundle()
        while any(time <= watermark for time in self.timers.pending.values()):
            waiting = self.bundle()
        assert all(last > watermark for last in waiting)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_each_window_is_closed_once_when_the_watermark_has_passed_it(seed, bounded):
    draws = np.random.default_rng(seed)
    n = int(draws.integers(1, 12))
    runner = Runner(bounded, draws)
    parts = list(enumerate(np.array_split(X, 2 * n)))
    draws.shuffle(parts)
    now = 0
    while parts:
        some = [parts.pop() for _ in range(min(len(parts), int(draws.integers(1, 5))))]
        arrived = [(i % n, rows) for i, rows in some]
        runner.bundle(arrived)
        if not bounded and draws.random() < 0.4:  # late rows follow
            now = int(draws.integers(now, n + 1))
            runner.until(now * MINUTE - 1)
    runner.until(math.inf)
    on_time = [c for c in runner.found if not c.late]
    ends = [c.window_end for c in on_time]
    assert ends == sorted(set(ends))
    assert set(range(1, n + 1)) == {c.window_end // MINUTE for c in runner.found}
    assert [c.sequence for c in runner.found] == list(range(len(runner.found)))
    assert bounded <= (len(runner.found) == n)
    assert_equals_batch(runner.found[-1], X)
    assert not runner.bag.entries


@pytest.mark.parametrize(("bounded", "bundles", "most"), [(True, 1, 4), (False, 2, 4)])
def test_thousand_windows_that_end_at_once_take_a_handful_of_timers(bounded, bundles, most):
    runner = Runner(bounded, np.random.default_rng(0))
    n = 1000
    runner.bundle([(minute, X[:2] + minute) for minute in range(n)])
    assert len(runner.timers.pending) == 1 + bounded
    runner.watermark = math.inf
    for _ in range(bundles):
        assert len(runner.found) < n
        runner.bundle()
    assert len(runner.found) == n
    assert runner.n_fired + runner.timers.n_set <= 2 * most


def test_the_timer_at_the_end_of_time_takes_part_in_no_stream():
    runner = Runner(False, np.random.default_rng(0))
    runner.bundle([(0, X[:5])])
    assert LAST_OF_ALL not in runner.timers.pending.values()
