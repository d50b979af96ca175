"""What was learned loses half its weight in `half_life` of event time, whatever the windows."""

import datetime

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from oracle import batch_pca, excess_error
from streams import learn, stream, timed

SECOND = 1_000_000
HALF_LIFE = 70.0


def assert_equals_weighted(checkpoint, X, weights, scale=1.0):
    """The checkpoint is batch PCA of rows with these weights."""
    mean, components, _, _ = batch_pca(X, 3, weights)
    assert checkpoint.n_samples_seen == np.count_nonzero(weights)
    np.testing.assert_allclose(checkpoint.weight, weights.sum() * scale, rtol=1e-12)
    np.testing.assert_allclose(checkpoint.mean, mean, rtol=1e-10)
    cosines = np.abs(np.sum(checkpoint.components * components, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-9)


@pytest.mark.parametrize("half_life", [HALF_LIFE, datetime.timedelta(seconds=HALF_LIFE)])
def test_a_row_weighs_by_the_time_since_the_end_of_its_window(tmp_path, half_life, engine):
    X, times = stream(300)
    times = times + np.repeat([0, 400], 150)  # windows without rows in between
    history = learn(timed(X, times), FixedWindows(50), tmp_path, half_life=half_life).history()
    assert len(history) == 6
    ends = (times // 50 + 1) * 50
    for checkpoint in history:
        end = checkpoint.window_end / SECOND
        weights = np.where(times < end, 0.5 ** ((end - ends) / HALF_LIFE), 0.0)
        assert_equals_weighted(checkpoint, X, weights)


@pytest.mark.parametrize(("size", "period"), [(100, 50), (90, 60)])
def test_in_sliding_windows_it_is_the_first_window_that_counts(tmp_path, size, period, engine):
    X, times = stream(200)
    windows = SlidingWindows(size, period)
    history = learn(timed(X, times), windows, tmp_path, half_life=HALF_LIFE).history()
    firsts = ((times - size) // period + 1) * period + size  # end of the first window of a row
    for checkpoint in history:
        end = checkpoint.window_end / SECOND
        weights = np.where(firsts <= end, 0.5 ** ((end - firsts) / HALF_LIFE), 0.0)
        assert_equals_weighted(checkpoint, X, weights)


def test_sessions_count_from_the_end_of_each(tmp_path, engine):
    X, times = stream(120)
    times = times + np.repeat([0, 100, 300], 40)
    history = learn(timed(X, times), Sessions(20), tmp_path, half_life=HALF_LIFE).history()
    ends = np.repeat([59, 199, 439], 40)
    assert [c.window_end // SECOND for c in history] == [59, 199, 439]
    for checkpoint in history:
        end = checkpoint.window_end / SECOND
        weights = np.where(ends <= end, 0.5 ** ((end - ends) / HALF_LIFE), 0.0)
        assert_equals_weighted(checkpoint, X, weights)


def test_after_a_very_long_time_nothing_is_left_but_the_new(tmp_path, engine):
    X, times = stream(100)
    times = times + np.repeat([0, 10**8], 50)
    _, last = learn(timed(X, times), FixedWindows(100), tmp_path, half_life=1e-3).history()
    np.testing.assert_allclose(last.mean, X[50:].mean(axis=0))
    assert last.weight == 50
    assert abs(excess_error(last.components, X[50:])) <= 1e-9


def test_the_global_window_has_no_end_to_forget_by(tmp_path, engine):
    with pytest.raises(ValueError, match="half_life needs windows that end"):
        learn(timed(*stream(3)), GlobalWindows(), tmp_path, half_life=1)
