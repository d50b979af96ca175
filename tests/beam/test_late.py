"""Late rows, by TestStream: the clock of the stream under the test's control."""

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows
from streams import (
    assert_equals_batch,
    learn,
    played,
    rows_at,
    run_events,
    stream,
    timed,
    with_late_rows,
)

SECOND = 1_000_000


@pytest.mark.parametrize("carry", [True, False])
def test_late_rows_make_their_windows_checkpoint_again(tmp_path, carry, engine):
    X, times = stream(90)
    late = np.isin(times, range(5, 15))
    first, second, third = (times < 30) & ~late, (times >= 30) & (times < 60), times >= 60
    events = played(
        rows_at(X[first], times[first]),
        35,
        rows_at(X[second], times[second]),
        65,
        rows_at(X[late], times[late]),
        rows_at(X[third], times[third]),
    )
    store = run_events(events, tmp_path, FixedWindows(30), carry=carry)
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


@pytest.mark.needs("this process")
def test_rows_later_than_allowed_change_nothing_and_are_counted(tmp_path, told, engine):
    X, times = stream(60)
    events = played(
        rows_at(X[:30], times[:30]),
        40,
        rows_at(X[:5], times[:5]),
        rows_at(X[30:], np.maximum(times[30:], 40)),
    )
    history = run_events(events, tmp_path, FixedWindows(30), lateness=0).history()
    assert [c.late for c in history] == [False, False]
    assert_equals_batch(history[-1], X)
    assert told["rows"] == 65
    assert told["learned_rows"] == 60


def test_a_checkpoint_comes_as_soon_as_its_window_ends(tmp_path, engine):
    X, times = stream(60)
    events = played(
        rows_at(X, times),  # rows of later windows are there before the first ends
        30,
        60,
    )
    history = run_events(events, tmp_path, FixedWindows(30)).history()
    assert_equals_batch(history[0], X[:30])
    assert_equals_batch(history[1], X)


def test_late_rows_weigh_what_they_would_if_they_had_been_on_time(tmp_path, engine):
    X, times = stream(90)
    late = np.isin(times, range(5, 15))
    second, third = ~late & (times < 60), times >= 60
    events = played(
        rows_at(X[second], times[second]),
        65,
        rows_at(X[late], times[late]),
        rows_at(X[third], times[third]),
    )
    store = run_events(events, tmp_path, FixedWindows(30), half_life=30.0)
    again = max((c for c in store.history() if c.late), key=lambda c: c.sequence)
    assert again.weight == 15 + 30
    on_time = learn(
        timed(X, times), FixedWindows(30), tmp_path / "b", half_life=30.0, n_components=2
    )
    last, same = store.latest(), on_time.latest()
    np.testing.assert_allclose(last.weight, same.weight)
    np.testing.assert_allclose(last.mean, same.mean)
    np.testing.assert_allclose(last.explained_variance, same.explained_variance)


@pytest.mark.needs("late rows together")
def test_late_rows_of_sliding_windows_count_once(tmp_path, engine):
    X, events = with_late_rows()
    store = run_events(events, tmp_path, SlidingWindows(60, 30))
    assert {c.window_end // SECOND for c in store.history() if c.late} == {30, 60}
    assert_equals_batch(store.at(90 * SECOND), X)


def assert_lengthened(folder, carry):
    """A late row that lengthens a session counts once."""
    X, times = stream(60)
    times = np.concatenate([times[:30], [35, *range(50, 79)]])
    late = np.isin(times, [35])
    events = played(
        rows_at(X[:30], times[:30]),
        42,
        rows_at(X[late], times[late]),
        48,
        rows_at(X[31:], times[31:]),
    )
    history = sorted(
        run_events(events, folder, Sessions(10), carry=carry).history(),
        key=lambda c: c.sequence,
    )
    assert [c.window_end // SECOND for c in history] == [39, 45, 88]
    assert_equals_batch(history[1], X[:31])
    assert_equals_batch(history[2], X if carry else X[31:])


def test_a_late_row_that_lengthens_a_session_counts_once(tmp_path, engine):
    assert_lengthened(tmp_path, carry=True)


@pytest.mark.needs("late rows in sessions")
def test_a_late_row_that_lengthens_a_session_of_its_own_counts_once(tmp_path, engine):
    assert_lengthened(tmp_path, carry=False)
