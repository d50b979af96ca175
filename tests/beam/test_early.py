"""Early panes: a window is reported while it is open, and the last word has all of its rows."""

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from streams import Pause, assert_equals_batch, learn, played, rows_at, run_events, stream, timed

SECOND = 1_000_000


@pytest.mark.needs("a clock in step")
@pytest.mark.parametrize("carry", [True, False])
def test_a_window_is_reported_before_its_end(tmp_path, carry, engine):
    X, times = stream(90)
    events = played(
        rows_at(X[:40], times[:40]),
        35,
        rows_at(X[40:50], times[40:50]),
        Pause(20),
        rows_at(X[50:55], times[50:55]),
        Pause(20),
        rows_at(X[55:], times[55:]),
        65,
    )
    store = run_events(events, tmp_path, FixedWindows(30), carry=carry, early_every=10)
    history = sorted(store.history(), key=lambda c: c.sequence)
    assert [c.sequence for c in history] == list(range(5))
    assert not any(c.late for c in history)
    assert [c.window_end // SECOND for c in history] == [30, 60, 60, 60, 90]
    for checkpoint, stop in zip(history, [30, 50, 55, 60, 90], strict=True):
        start = 0 if carry else checkpoint.window_start // SECOND
        assert_equals_batch(checkpoint, X[start:stop])
    assert store.at(60 * SECOND).sequence == 3  # the last word on that window


@pytest.mark.needs("a clock in step")
def test_early_reports_forget_as_the_last_one_does(tmp_path, engine):
    X, times = stream(60)
    events = played(
        rows_at(X[:30], times[:30]),
        32,
        rows_at(X[30:45], times[30:45]),
        Pause(20),
        rows_at(X[45:], times[45:]),
    )
    store = run_events(events, tmp_path, FixedWindows(30), early_every=10, half_life=30)
    first, early, last = sorted(store.history(), key=lambda c: c.sequence)
    np.testing.assert_allclose([first.weight, early.weight, last.weight], [30, 30, 45])


@pytest.mark.needs("a clock in step")
def test_the_global_window_is_reported_again_and_again(tmp_path, engine):
    X, times = stream(60)
    parts = [rows_at(X[at : at + 20], times[at : at + 20]) for at in (0, 20, 40)]
    events = played(*(step for rows in parts for step in (rows, Pause(20))))
    history = run_events(events, tmp_path, GlobalWindows(), early_every=10).history()
    assert [c.n_samples_seen for c in history][:3] == [20, 40, 60]
    for checkpoint in history:
        assert checkpoint.window_end is None
        assert_equals_batch(checkpoint, X[: checkpoint.n_samples_seen])


def test_sliding_windows_report_the_one_that_ends_next(tmp_path, engine):
    X, times = stream(60)
    events = played(
        rows_at(X[:35], times[:35]),
        31,
        Pause(20),
        rows_at(X[35:], times[35:]),
    )
    store = run_events(events, tmp_path, SlidingWindows(60, 30), early_every=10)
    history = sorted(store.history(), key=lambda c: c.sequence)
    assert [c.window_end // SECOND for c in history[:3]] == [30, 60, 60]
    assert [c.n_samples_seen for c in history[:3]] == [30, 35, 60]
    assert_equals_batch(history[1], X[:35])
    assert history[-1].n_samples_seen == 60


def test_bounded_input_has_no_early_panes_and_the_same_last_ones(tmp_path, engine):
    X, times = stream(100)
    history = learn(timed(X, times), FixedWindows(50), tmp_path, early_every=0.001).history()
    assert [c.n_samples_seen for c in history] == [50, 100]
    assert_equals_batch(history[-1], X)


def test_sessions_have_no_known_end_to_report_early(tmp_path, engine):
    with pytest.raises(ValueError, match="early_every needs windows whose end is known"):
        learn(timed(*stream(3)), Sessions(5), tmp_path, early_every=1)
