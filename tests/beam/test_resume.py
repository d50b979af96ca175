"""Keys that fall silent are forgotten; jobs that replace others go on where those stopped."""

import dataclasses

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindows, SlidingWindows
from streams import assert_equals_batch, counters, learn, played, rows_at, run_events, stream, timed

from beam_pipelines import LearnComponents
from streampca import CheckpointStore

SECOND = 1_000_000


@pytest.mark.bundle_based
def test_a_replaced_job_goes_on_where_the_other_stopped(tmp_path, engine):
    X, times = stream(200)
    whole = learn(timed(X, times), FixedWindows(50), tmp_path / "whole").latest()
    first = times < 100
    learn(timed(X[first], times[first]), FixedWindows(50), tmp_path / "parts")
    store = learn(
        timed(X[~first], times[~first]),
        FixedWindows(50),
        tmp_path / "parts",
        resume_from=tmp_path / "parts",
    )
    history = store.history()
    assert [c.sequence for c in history] == [0, 1, 2, 3]
    assert_equals_batch(history[-1], X)
    np.testing.assert_allclose(history[-1].components, whole.components, atol=1e-12)
    assert history[2].drift is not None


def test_each_key_goes_on_from_its_own_and_new_ones_begin(tmp_path, engine):
    X, times = stream(120)
    rows = [(("a", "b")[i % 2], x) for i, x in enumerate(X)]
    learn(timed(rows[:60], times[:60]), FixedWindows(60), tmp_path)
    more = rows[60:] + [("new", x) for x in X[60:]]
    more_times = np.concatenate([times[60:], times[60:]])
    store = learn(timed(more, more_times), FixedWindows(60), tmp_path, resume_from=str(tmp_path))
    assert_equals_batch(store.latest("a"), X[::2])
    assert_equals_batch(store.latest("b"), X[1::2])
    assert_equals_batch(store.latest("new"), X[60:])


def test_rows_of_a_window_that_the_other_job_had_reported_are_late(tmp_path, engine):
    X, times = stream(100)
    some = np.isin(times, range(20, 30))
    learn(timed(X[~some], times[~some]), FixedWindows(50), tmp_path)
    store = learn(timed(X[some], times[some]), FixedWindows(50), tmp_path, resume_from=tmp_path)
    late = max(store.history(), key=lambda c: c.sequence)
    assert late.late
    assert (late.window_end, late.sequence) == (50 * SECOND, 2)
    assert_equals_batch(late, X)
    # The late checkpoint is not the newest, but it is where a third job goes on.
    assert store.latest().n_samples_seen == 90
    more = learn(timed(X[:5], [100] * 5), FixedWindows(50), tmp_path, resume_from=tmp_path)
    assert_equals_batch(more.latest(), np.vstack([X, X[:5]]))


@pytest.mark.parametrize(
    ("windowfn", "stop"),
    [
        (FixedWindows(50), 70),
        (FixedWindows(50), 100),
        (SlidingWindows(100, 50), 120),
        (SlidingWindows(100, 25), 110),
        (GlobalWindows(), 70),
    ],
    ids=lambda given: str(given) if isinstance(given, int) else type(given).__name__,
)
def test_windows_half_done_keep_their_rows_without_carry(tmp_path, windowfn, stop, engine):
    X, times = stream(200)
    # A drained job closes its open windows, which the rows of the next one go on with.
    first, options = times < stop, {"carry": False}
    learn(timed(X[first], times[first]), windowfn, tmp_path, **options)
    options["resume_from"] = tmp_path
    store = learn(timed(X[~first], times[~first]), windowfn, tmp_path, **options)
    ends = {c.window_end: c for c in sorted(store.history(), key=lambda c: c.sequence)}
    whole = learn(timed(X, times), windowfn, tmp_path / "whole", carry=False)
    last_words = {c.window_end: c for c in whole.history()}
    assert last_words.keys() <= ends.keys()
    for end, checkpoint in last_words.items():
        own = np.full(200, True)
        if end is not None:
            own = (times * SECOND >= checkpoint.window_start) & (times * SECOND < end)
        assert_equals_batch(ends[end], X[own])
        assert not ends[end].late
    numbers = [c.sequence for c in store.history()]
    assert sorted(numbers) == list(range(len(numbers)))


def test_the_half_life_goes_on_from_where_the_other_job_stopped(tmp_path, engine):
    X, times = stream(200)
    options = {"half_life": 60.0}
    whole = learn(timed(X, times), FixedWindows(50), tmp_path / "whole", **options).latest()
    first = times < 100
    learn(timed(X[first], times[first]), FixedWindows(50), tmp_path / "parts", **options)
    options["resume_from"] = tmp_path / "parts"
    rest = timed(X[~first], times[~first])
    last = learn(rest, FixedWindows(50), tmp_path / "parts", **options).latest()
    np.testing.assert_allclose(last.weight, whole.weight)
    np.testing.assert_allclose(last.explained_variance, whole.explained_variance)


def test_the_global_window_can_be_resumed_too(tmp_path, engine):
    X, times = stream(100)
    learn(timed(X[:60], times[:60]), GlobalWindows(), tmp_path)
    store = learn(timed(X[60:], times[60:]), GlobalWindows(), tmp_path, resume_from=tmp_path)
    assert [c.sequence for c in store.history()] == [0, 1]
    assert_equals_batch(store.latest(), X)


def test_more_components_can_be_asked_for_when_a_job_is_replaced(tmp_path, engine):
    X, times = stream(100)
    learn(timed(X[:50], times[:50]), FixedWindows(50), tmp_path, n_components=2)
    options = {"resume_from": tmp_path, "n_components": 4}
    last = learn(timed(X[50:], times[50:]), FixedWindows(50), tmp_path, **options).latest()
    assert last.components.shape == (4, 6)
    assert_equals_batch(last, X)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"memory": "factored"}, "learned with other options"), ({}, "without moments")],
)
def test_what_cannot_be_gone_on_from_is_named(tmp_path, change, message, engine):
    X, times = stream(100)
    store = learn(timed(X[:50], times[:50]), FixedWindows(50), tmp_path)
    if not change:
        store.write(dataclasses.replace(store.latest().without_moments()))
    with pytest.raises(Exception, match=message):
        learn(timed(X[50:], times[50:]), FixedWindows(50), tmp_path, resume_from=tmp_path, **change)


def test_a_key_that_was_silent_begins_anew(tmp_path, engine):
    X, times = stream(200)
    times = times + np.repeat([0, 0, 500, 500], 50)
    idle = {"idle_timeout": 300}
    history = learn(timed(X, times), FixedWindows(50), tmp_path, **idle).history()
    assert [c.sequence for c in history] == [0, 1, 0, 1]
    assert_equals_batch(history[1], X[:100])
    assert_equals_batch(history[2], X[100:150])
    assert history[2].drift is None
    assert_equals_batch(history[3], X[100:])


@pytest.mark.bundle_based
def test_a_key_that_was_not_silent_for_long_enough_goes_on(tmp_path, engine):
    X, times = stream(60)
    times = times + np.repeat([0, 500], 30)
    history = learn(timed(X, times), FixedWindows(30), tmp_path, idle_timeout=510).history()
    assert_equals_batch(history[-1], X)


@pytest.mark.needs("this process")
def test_the_state_of_a_silent_key_is_freed(tmp_path, told, engine):
    X, times = stream(60)
    events = played(
        rows_at([("a", x) for x in X[:30]], times[:30]),
        rows_at([("b", x) for x in X[:30]], times[:30]),
        35,
        rows_at([("b", x) for x in X[30:]], times[30:] + 20),
        85,
        140,
        1000,
        rows_at([("a", x) for x in X[30:]], times[30:] + 1000),
    )
    store = run_events(events, tmp_path, FixedWindows(30), lateness=10, idle_timeout=60)
    assert told["forgotten_keys"] == 3
    assert_equals_batch(store.latest("b"), X)
    assert_equals_batch(store.latest("a"), X[30:])


def test_late_rows_find_the_state_even_where_idleness_is_shorter(tmp_path, engine):
    X, times = stream(60)
    events = played(
        rows_at(X[:30], times[:30]),
        100,
        rows_at(X[30:], times[:30]),
    )
    store = run_events(events, tmp_path, FixedWindows(30), lateness=1000, idle_timeout=1)
    assert not store.history()[0].late
    assert_equals_batch(store.latest(), X)


def test_a_hot_key_is_dealt_to_many_workers(tmp_path, engine):
    X, times = stream(400)
    rows = [("hot", x) for x in X]
    for carry in (True, False):
        options = {"hot_key_shards": 5, "carry": carry}
        store = learn(timed(rows, times), FixedWindows(200), tmp_path / str(carry), **options)
        history = store.history("hot")
        assert len(history) == 2
        assert_equals_batch(history[-1], X if carry else X[200:])


@pytest.mark.needs("counters")
def test_many_keys_are_learned_in_one_run(tmp_path, engine):
    rng = np.random.default_rng(0)
    n_keys, each = 100, 20
    X = rng.normal(size=(n_keys, each, 50)) * np.linspace(3, 1, 50) + 10
    rows = [(key, X[key, i]) for i in range(each) for key in range(n_keys)]

    def check(keyed):
        key, checkpoint = keyed
        assert_equals_batch(checkpoint, X[key])

    with engines.pipeline() as p:
        learned = p | beam.Create(rows, reshuffle=False) | LearnComponents(2)
        _ = learned | beam.Map(check)
    assert counters(p.result)["checkpoints"] == n_keys
    assert CheckpointStore(tmp_path).keys() == []
