"""Windows and triggers that others bring along: no row is lost, and none counts twice."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.coders.coders import IntervalWindowCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterAll,
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    Always,
    OrFinally,
    Repeatedly,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    Sessions,
    SlidingWindows,
    TimestampedValue,
)
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from streams import assert_equals_batch, played, rows_at, stream

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

TRIGGERS = {
    "count": Repeatedly(AfterCount(7)),
    "all": Repeatedly(AfterAll(AfterCount(7), AfterWatermark())),
    "each": AfterEach(AfterCount(7), Repeatedly(AfterWatermark())),
    "finally": OrFinally(Repeatedly(AfterCount(7)), AfterWatermark()),
    "always": Always(),
    "clock": Repeatedly(AfterProcessingTime(5)),
    "early": AfterWatermark(early=AfterCount(7), late=AfterCount(1)),
}


class Days(NonMergingWindowFn):
    """Windows of somebody's own; a row is in so many, each half a window before the last."""

    def __init__(self, count):
        self.count = count

    def assign(self, context):
        day = int(context.timestamp) // 50 * 50
        return [IntervalWindow(day - 25 * i, day - 25 * i + 50) for i in range(self.count)]

    def get_window_coder(self):
        return IntervalWindowCoder()


def checkpoints(elements, check, windowing, **options):
    with beam.Pipeline("FnApiRunner") as p:
        learned = p | beam.Create(elements) | windowing | LearnComponents(2, **options)
        assert_that(learned, lambda found: check(sorted((c for _, c in found), key=_sequence)))


def _sequence(checkpoint):
    return checkpoint.sequence


@pytest.mark.bundle_based
@pytest.mark.parametrize("mode", [AccumulationMode.DISCARDING, AccumulationMode.ACCUMULATING])
@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("windowfn", [GlobalWindows(), FixedWindows(50), Sessions(10)])
def test_bounded_rows_are_learned_once_whatever_the_trigger(trigger, mode, windowfn):
    X, times = stream(int(np.random.default_rng(len(trigger)).integers(3, 200)))

    def check(found):
        assert len(found) == (len(X) + 49) // 50 if isinstance(windowfn, FixedWindows) else 1
        assert_equals_batch(found[-1], X)

    rows = [TimestampedValue(x, int(t)) for x, t in zip(X, times, strict=True)]
    windowing = beam.WindowInto(
        windowfn, trigger=TRIGGERS[trigger], accumulation_mode=mode, allowed_lateness=0
    )
    checkpoints(rows, check, windowing)


@pytest.mark.bundle_based
@pytest.mark.parametrize("step", [1, 9])
@pytest.mark.parametrize("trigger", [name for name in TRIGGERS if name not in ("clock", "always")])
@pytest.mark.parametrize(
    "windowfn", [GlobalWindows(), FixedWindows(40), SlidingWindows(40, 20), Sessions(5)]
)
def test_on_a_stream_the_last_of_each_window_is_of_all_rows_so_far(
    tmp_path, trigger, windowfn, step
):
    """Early panes of a session lie in windows that are none later: their rows counted twice."""
    X, times = stream(100)
    steps = []
    for start in range(0, len(X), step):
        piece = slice(start, start + step)
        steps += [rows_at(X[piece], times[piece]), start]
    windowing = beam.WindowInto(
        windowfn,
        trigger=TRIGGERS[trigger],
        accumulation_mode=AccumulationMode.DISCARDING,
        allowed_lateness=0,
    )

    options = PipelineOptions(["--streaming"])
    with beam.Pipeline("BundleBasedDirectRunner", options=options) as p:
        rows = p | played(*steps) | windowing
        _ = rows | LearnComponents(2) | WriteCheckpoints(str(tmp_path))
    found = sorted(CheckpointStore(tmp_path).history(), key=_sequence)
    assert not isinstance(windowfn, Sessions) or len(found) == 1
    last = {}
    for checkpoint in found:  # those before the last of a window are early: of what is known then
        end = len(X) if checkpoint.window_end is None else checkpoint.window_end // 10**6
        assert checkpoint.n_samples_seen <= min(end, len(X))
        last[end] = checkpoint
    for end, checkpoint in last.items():
        assert_equals_batch(checkpoint, X[:end])


@pytest.mark.bundle_based
def test_windows_of_somebodys_own_hold_each_row_once():
    X, times = stream(120)

    def check(found):
        assert [c.n_samples_seen for c in found] == [50, 100, 120]
        assert_equals_batch(found[-1], X)

    rows = [TimestampedValue(x, int(t)) for x, t in zip(X, times, strict=True)]
    checkpoints(rows, check, beam.WindowInto(Days(1)))


@pytest.mark.bundle_based
@pytest.mark.parametrize("carry", [True, False])
def test_windows_of_somebodys_own_that_overlap_are_refused(carry):
    X, times = stream(20)
    rows = [TimestampedValue(x, int(t)) for x, t in zip(X, times, strict=True)]
    with pytest.raises(Exception, match="a row lies in 2 windows of Days, and would count"):
        checkpoints(rows, lambda found: None, beam.WindowInto(Days(2)), carry=carry)


@pytest.mark.bundle_based
@pytest.mark.parametrize("windowfn", [FixedWindows(3600), SlidingWindows(3600, 600)])
@pytest.mark.parametrize("carry", [True, False])
def test_rows_without_times_lie_before_all_others(windowfn, carry):
    """Beam gives them its first instant, and windows that hold it begin before what it can say."""
    X, _ = stream(30)
    sliding = isinstance(windowfn, SlidingWindows)

    def check(found):
        assert len(found) == (6 if sliding else 1)
        for checkpoint in found:
            assert checkpoint.window_start == MIN_TIMESTAMP.micros < checkpoint.window_end
            assert_equals_batch(checkpoint, X)

    rows = [TimestampedValue(x, MIN_TIMESTAMP) for x in X]
    checkpoints(rows, check, beam.WindowInto(windowfn), carry=carry)
