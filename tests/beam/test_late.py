"""Late rows, by TestStream: the clock of the stream under the test's control."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream as streams_of_tests
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from streams import assert_equals_batch, stream

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

SECOND = 1_000_000


def run(events, folder, windowfn, carry=True, lateness=1000):
    options = PipelineOptions(["--streaming", "--runner=BundleBasedDirectRunner"])
    with beam.Pipeline(options=options) as p:
        _ = (
            p
            | events
            | beam.WindowInto(windowfn, allowed_lateness=lateness)
            | LearnComponents(2, carry=carry)
            | WriteCheckpoints(str(folder))
        )
    return CheckpointStore(folder)


def rows_at(X, times):
    return [TimestampedValue(x, int(t)) for x, t in zip(X, times, strict=True)]


@pytest.mark.parametrize("carry", [True, False])
def test_late_rows_make_their_windows_checkpoint_again(tmp_path, carry):
    X, times = stream(90)
    late = np.isin(times, range(5, 15))
    first, second, third = (times < 30) & ~late, (times >= 30) & (times < 60), times >= 60
    events = (
        streams_of_tests.TestStream()
        .add_elements(rows_at(X[first], times[first]))
        .advance_watermark_to(35)
        .add_elements(rows_at(X[second], times[second]))
        .advance_watermark_to(65)
        .add_elements(rows_at(X[late], times[late]))
        .add_elements(rows_at(X[third], times[third]))
        .advance_watermark_to_infinity()
    )
    store = run(events, tmp_path, FixedWindows(30), carry)
    history = sorted(store.history(), key=lambda checkpoint: checkpoint.sequence)
    on_time = [c for c in history if not c.late]
    again = [c for c in history if c.late]
    assert [c.window_end // SECOND for c in on_time] == [30, 60, 90]
    assert {c.window_end // SECOND for c in again} == {30}
    if carry:
        assert_equals_batch(on_time[0], X[first])
        assert_equals_batch(on_time[1], X[first | second])
        assert_equals_batch(again[-1], X[first | second | late])
        assert_equals_batch(on_time[2], X)
    else:
        assert_equals_batch(on_time[1], X[second])
        assert_equals_batch(again[-1], X[first | late])
        assert_equals_batch(on_time[2], X[third])


def test_rows_later_than_allowed_change_nothing(tmp_path):
    X, times = stream(60)
    events = (
        streams_of_tests.TestStream()
        .add_elements(rows_at(X[:30], times[:30]))
        .advance_watermark_to(40)
        .add_elements(rows_at(X[:5], times[:5]))
        .add_elements(rows_at(X[30:], np.maximum(times[30:], 40)))
        .advance_watermark_to_infinity()
    )
    history = run(events, tmp_path, FixedWindows(30), lateness=0).history()
    assert [c.late for c in history] == [False, False]
    assert_equals_batch(history[-1], X)


def test_a_checkpoint_comes_as_soon_as_its_window_ends(tmp_path):
    X, times = stream(60)
    events = (
        streams_of_tests.TestStream()
        .add_elements(rows_at(X, times))  # rows of later windows are there before the first ends
        .advance_watermark_to(30)
        .advance_watermark_to(60)
        .advance_watermark_to_infinity()
    )
    history = run(events, tmp_path, FixedWindows(30)).history()
    assert_equals_batch(history[0], X[:30])
    assert_equals_batch(history[1], X)
