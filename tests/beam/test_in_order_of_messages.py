"""How far messages of a partition let the watermark come, and from which on a job is to read."""

import json

import numpy as np
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from beam_pipelines.rows import BAD_ROWS
from beam_pipelines.run.progress import Progress, _Keep
from beam_pipelines.run.topic_job import grain_of, reach_of
from beam_pipelines.sources.in_order import MARKS, Holding, InOrder, Message
from beam_pipelines.sources.parse import Parse, Places
from streampca.files import Rule

MINUTE = 60_000_000


class Cell:
    """State of one key."""

    def __init__(self):
        self.value = None

    def read(self):
        return self.value

    def write(self, value):
        self.value = value


class Bag(list):
    """State of one key that grows."""

    add = list.append

    def read(self):
        return list(self)


class Timer:
    """Where a timer has been set to, and what it holds back."""

    _input_timestamp = Timestamp(0)

    def __init__(self):
        self.set_to, self.held = [], []

    def set(self, when, dynamic_timer_tag=""):
        self.set_to.append(when)
        self.held.append(self._input_timestamp.micros)


class Partition:
    """What `InOrder` makes of the messages of one partition."""

    def __init__(self, delay=0, grain=MINUTE, since=None, idle=None):
        parse = Parse(
            "json", None, Places("press", False, "at", Rule(None, "s", False, None)), True
        )
        self.fn = InOrder(parse, Holding(delay, grain, since, idle))
        self.fn.setup()
        self.newest, self.last, self.hold, self.end = Cell(), Cell(), Timer(), Timer()
        self.give(None)

    def give(self, message):
        """Outputs of a message: (tag, value, seconds)."""
        outputs = self.fn.process((0, message), self.newest, self.last, self.hold, self.end)
        found = []
        for each in outputs:
            tag, each = (each.tag, each.value) if isinstance(each, TaggedOutput) else (None, each)
            found.append((tag, each.value, each.timestamp.micros / 1e6))
        return found

    def row(self, offset, *seconds):
        rows = [{"press": "a", "at": at, "oil": 1.0} for at in seconds]
        return self.give(Message(offset, 5_000, None, json.dumps(rows).encode()))

    @property
    def held(self):
        return self.hold.held[-1] / 1e6


def test_the_watermark_comes_as_far_as_the_rows_less_the_delay_and_never_back():
    partition = Partition(delay=20_000_000)
    assert partition.held == MIN_TIMESTAMP.micros / 1e6
    expected = []
    for offset, second in enumerate([100, 130, 90, 141, 700, 650]):
        rows = [each for each in partition.row(offset, second) if each[0] is None]
        assert rows == [(None, ("a", {"oil": 1.0}), second)]
        expected.append(partition.held)
    assert expected == [60, 60, 60, 120, 660, 660]


def test_a_hold_lasts_until_it_is_moved():
    partition = Partition()
    partition.row(0, 100)
    assert partition.hold.set_to[-1] > Timestamp.now() + 86400
    partition.fn.hold_on(Timestamp(60), partition.hold)
    assert (len(partition.hold.held), partition.held) == (3, 60)


def test_the_end_lets_it_go():
    partition = Partition()
    partition.row(0, 100)
    partition.fn.end(partition.hold)
    n, last = len(partition.hold.held), partition.hold.held[-1]
    assert partition.hold.set_to[-1] <= Timestamp.now()
    partition.fn.hold_on(Timestamp(micros=last // 1000 * 1000), partition.hold)  # as it crosses
    assert len(partition.hold.held) == n


def test_a_silent_partition_is_not_waited_for_where_that_is_asked():
    partition = Partition(idle=30.0)
    for offset, message in enumerate([b'{"press": "a", "at": 100, "oil": 1}', b"no row"]):
        partition.give(Message(offset, 5_000, None, message))
        assert Timestamp.now() + 20 < partition.hold.set_to[-1] < Timestamp.now() + 31
        assert partition.held == 60
    assert len(partition.hold.held) == 3  # each message puts the end of its patience off
    partition.fn.hold_on(Timestamp(60), partition.hold)
    assert len(partition.hold.held) == 3


def test_nothing_moves_where_windows_are_closed_at_the_end():
    partition = Partition(grain=None)
    assert [tag for tag, *_ in partition.row(0, 100, 500)] == [None, None]
    assert partition.held == MIN_TIMESTAMP.micros / 1e6


def test_bad_messages_lie_beside_the_newest_row_and_say_where_they_are():
    partition = Partition()
    partition.row(3, 100)
    ((tag, bad, second),) = partition.give(Message(4, 5_000, b"k", b"oil"))
    assert (tag, second, bad.key) == (BAD_ROWS, 100, None)
    assert bad.element == {"partition": 0, "offset": 4, "message": "oil"}
    assert bad.reason.startswith("no JSON")
    assert partition.give(Message(5, 5_000, b"k", None))[0][1].element["message"] is None


def test_before_the_first_row_they_have_their_own_time():
    ((tag, _, second),) = Partition().give(Message(0, 5_000, None, b"oil"))
    assert (tag, second) == (BAD_ROWS, 5.0)


def test_messages_out_of_their_order_are_an_error_that_says_so():
    partition = Partition()
    partition.row(4, 100)
    with pytest.raises(ValueError, match="partition 0: offset 4 came after 4"):
        partition.row(4, 100)


def test_rows_that_an_earlier_job_has_learned_are_passed_over_but_move_the_watermark():
    partition = Partition(since=120_000_000)
    assert partition.row(0, 100, 130)[0] == (None, ("a", {"oil": 1.0}), 130)
    assert [tag for tag, *_ in partition.row(1, 50, 60)] == []
    assert partition.held == 120


def marks_of(seconds, delay, grain):
    """Marks of rows, a message each, with the watermark before each of them."""
    partition = Partition(delay=delay * 1_000_000, grain=grain * 1_000_000)
    found = []
    for offset, second in enumerate(seconds):
        before = partition.held
        for tag, mark, at in partition.row(offset, second):
            if tag == MARKS:
                assert at == before  # so it is there before any timer of its time
                found.append(mark)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_before_its_mark_a_partition_has_no_row_of_that_time_or_later(seed):
    rng = np.random.default_rng(seed)
    delay, grain = int(rng.integers(0, 60)), int(rng.integers(1, 90))
    seconds = np.arange(300) * rng.integers(1, 7) + rng.uniform(0, delay + 1e-3, 300).round(3)
    seconds = seconds + (rng.random(300) < 0.02).cumsum() * 200  # silent times
    found = marks_of(seconds.tolist(), delay, grain)
    assert len(found) > 3
    for mark, before in zip(found, [None, *found], strict=False):
        early = seconds[: mark.offset]
        assert not len(early) or early.max() * 1e6 < mark.micros
        assert seconds[mark.offset] * 1e6 >= mark.micros
        assert before is None or (before.micros, before.offset) < (mark.micros, mark.offset)


def kept(tmp_path, marks, now, partitions=2, reach=0):
    """The progress that is written when a time has passed."""
    keep = _Keep(str(tmp_path), "t", partitions, reach)
    keep.setup()
    bag, timer = Bag(), Timer()
    for mark in marks:
        keep.process(("all", mark), bag, timer)
    list(keep.keep(Timestamp(now), bag))
    return Progress.read(str(tmp_path)), bag


def test_progress_is_the_first_mark_of_each_partition_that_is_not_over(tmp_path):
    marks = [(0, 60_000_000, 5), (0, 120_000_000, 9), (1, 60_000_000, 2), (1, 240_000_000, 7)]
    found, bag = kept(tmp_path, marks, 120)
    assert found == Progress("t", 120_000_000, {0: 9, 1: 7})
    assert sorted(bag) == [(0, 120_000_000, 9), (1, 240_000_000, 7)]


def test_progress_goes_back_as_far_as_open_windows_reach(tmp_path):
    marks = [(0, 60_000_000, 5), (0, 120_000_000, 9), (1, 60_000_000, 2), (1, 240_000_000, 7)]
    found, _ = kept(tmp_path, marks, 120, reach=60_000_000)
    assert found == Progress("t", 60_000_000, {0: 5, 1: 2})


def test_nothing_is_written_while_nobody_knows_where_a_partition_goes_on(tmp_path):
    assert kept(tmp_path, [(0, 60_000_000, 5)], 60)[0] is None


def test_what_is_no_progress_is_refused(tmp_path):
    (tmp_path / "_progress.arrow").write_bytes(b"oil")
    with pytest.raises(ValueError, match="does not say how far a topic was read"):
        Progress.read(str(tmp_path))


@pytest.mark.parametrize(
    ("windowfn", "grain", "reach"),
    [
        (FixedWindows(60), MINUTE, 0),
        (SlidingWindows(60, 20), 20_000_000, 40_000_000),
        (SlidingWindows(60, 45), 15_000_000, 45_000_000),
        (Sessions(160), 10_000_000, None),
        (GlobalWindows(), None, None),
    ],
)
def test_windows_begin_and_end_at_multiples_of_their_grain(windowfn, grain, reach):
    assert (grain_of(windowfn), reach_of(windowfn)) == (grain, reach)
