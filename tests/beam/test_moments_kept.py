"""Which checkpoints hold what is only for going on: small ones say the same."""

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, SlidingWindows
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import LearnComponents
from streampca import CheckpointStore
from streampca.monitor import Monitor

WHICH = {"all": [1, 1, 1, 1, 1], "last": [0, 0, 0, 0, 1], "none": [0] * 5, 2: [0, 1, 0, 1, 1]}
"""Which of five checkpoints hold them at least; others may have been the last for a while."""


def held(history):
    return [int(bool(checkpoint.moments)) for checkpoint in history]


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("moments", WHICH)
def test_checkpoints_say_the_same_with_and_without(tmp_path, moments, carry):
    rows, times = stream(250, seed=3)
    timed_rows = timed(rows, times, seed=2)
    history = learn(
        timed_rows, FixedWindows(50), tmp_path / "a", moments=moments, carry=carry
    ).history()
    complete = learn(timed_rows, FixedWindows(50), tmp_path / "b", carry=carry).history()
    assert all(has >= must for has, must in zip(held(history), WHICH[moments], strict=True))
    assert moments != "none" or not any(held(history))
    assert [c.without_moments() for c in history] == [c.without_moments() for c in complete]


@pytest.mark.parametrize("half_life", [None, 40.0])
def test_limits_know_how_many_rows_without_moments(tmp_path, half_life):
    """A row counts by the age of its window: (sum g)^2 / sum g^2."""
    rows, times = stream(250)
    options = {"moments": "none", "half_life": half_life}
    store = learn(timed(rows, times), FixedWindows(50), tmp_path, **options)
    gamma = 1.0 if half_life is None else 0.5 ** (50 / half_life)
    for i, checkpoint in enumerate(store.history()):
        g = np.repeat(gamma ** np.arange(i + 1.0), 50)
        assert not checkpoint.moments
        assert Monitor(checkpoint).n_rows == pytest.approx(g.sum() ** 2 / (g @ g))


@pytest.mark.parametrize("moments", ["last", 3])
@pytest.mark.parametrize("windows", [FixedWindows(50), SlidingWindows(100, 50)], ids=type)
def test_a_job_goes_on_from_the_last(tmp_path, moments, windows):
    rows, times = stream(300)
    for some in (times < 150, times >= 150):
        options = {"moments": moments, "resume_from": tmp_path}
        learn(timed(rows[some], times[some]), windows, tmp_path, **options)
    assert_equals_batch(CheckpointStore(tmp_path).latest(), rows)


def test_windows_that_may_be_open_are_gone_on_from_each(tmp_path):
    """Sliding windows of their own rows: those that overlap the newest are half done."""
    rows, times = stream(300)
    windows = SlidingWindows(100, 50)
    options = {"moments": "last", "carry": False}
    for some in (times < 160, times >= 160):
        learn(timed(rows[some], times[some]), windows, tmp_path, resume_from=tmp_path, **options)
    last = {c.window_end: c for c in CheckpointStore(tmp_path).history()}
    for checkpoint in last.values():
        start, end = checkpoint.window_start // 10**6, checkpoint.window_end // 10**6
        mine = (times >= start) & (times < end)
        np.testing.assert_allclose(checkpoint.mean, rows[mine].mean(0))


def test_no_job_goes_on_from_a_store_without_moments(tmp_path):
    rows, times = stream(100)
    learn(timed(rows, times), FixedWindows(50), tmp_path, moments="none")
    with pytest.raises(Exception, match="stored without moments"):
        learn(timed(rows, times + 100), FixedWindows(50), tmp_path, resume_from=tmp_path)


@pytest.mark.parametrize("moments", ["some", 0, -1, 1.5, True, None, "0", ""])
def test_what_is_none_of_these_is_refused_when_the_pipeline_is_built(moments):
    with pytest.raises(ValueError, match="'all', 'last', 'none', or a number k"):
        LearnComponents(2, moments=moments)
