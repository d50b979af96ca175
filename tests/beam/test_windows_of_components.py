"""Every checkpoint is batch PCA of exactly the rows that it says it covers."""

from collections import namedtuple
from itertools import pairwise

import apache_beam as beam
import engines
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    IntervalWindow,
    Sessions,
    SlidingWindows,
)
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import LearnComponents

SECOND = 1_000_000


def test_fixed_windows_out_of_order_equal_batch_pca_of_the_rows_so_far(tmp_path, engine):
    X, times = stream()
    history = learn(timed(X, times), FixedWindows(100), tmp_path).history()
    assert [c.window_end for c in history] == [end * 100 * SECOND for end in range(1, 7)]
    assert [c.sequence for c in history] == list(range(6))
    for checkpoint in history:
        assert checkpoint.window_end - checkpoint.window_start == 100 * SECOND
        assert not checkpoint.late
        assert_equals_batch(checkpoint, X[times < checkpoint.window_end / SECOND])


@pytest.mark.parametrize("mode", ["in_memory", "multi_threading"])  # processes: test_workers.py
def test_workers_of_any_kind_learn_the_same(tmp_path, mode, engine):
    X, times = stream(200)
    flags = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    history = learn(timed(X, times), FixedWindows(100), tmp_path, flags=flags).history()
    assert len(history) == 2
    for checkpoint in history:
        assert_equals_batch(checkpoint, X[times < checkpoint.window_end / SECOND])


@pytest.mark.bundle_based
def test_local_runners_learn_the_same(tmp_path, engine):
    X, times = stream(60)
    store = learn(timed(X, times), FixedWindows(20), tmp_path)
    assert len(store.history()) == 3
    for checkpoint in store.history():
        assert_equals_batch(checkpoint, X[times < checkpoint.window_end / SECOND])


def test_each_key_has_a_model_of_its_own(tmp_path, engine):
    X, times = stream()
    names = ["press 4", 7]
    rows = [(names[i % 2], dict(zip("fedcba", x, strict=True))) for i, x in enumerate(X)]
    store = learn(timed(rows, times), FixedWindows(300), tmp_path)
    assert store.keys() == [7, "press 4"]
    for start, key in enumerate(names):
        history = store.history(key)
        assert [c.n_samples_seen for c in history] == [150, 300]
        for checkpoint in history:
            assert checkpoint.feature_names == tuple("abcdef")
            seen = times[start::2] < checkpoint.window_end / SECOND
            assert_equals_batch(checkpoint, X[start::2, ::-1][seen])


def assert_counted_once(folder, size, period):
    """A row counts once, however many windows it is in; rows in none do not count."""
    X, times = stream(200)
    history = learn(timed(X, times), SlidingWindows(size, period), folder).history()
    inside = (times % period < size) if size < period else np.full(len(times), True)
    for checkpoint in history:
        rows = inside & (times < checkpoint.window_end / SECOND)
        assert_equals_batch(checkpoint, X[rows])
    assert history[-1].n_samples_seen == inside.sum()


@pytest.mark.parametrize("period", [50, 30])
def test_sliding_windows_carry_the_model_and_count_a_row_once(tmp_path, period, engine):
    assert_counted_once(tmp_path, 100, period)


@pytest.mark.needs("rows in no window")
def test_rows_between_sliding_windows_do_not_count(tmp_path, engine):
    assert_counted_once(tmp_path, 40, 60)


def test_sliding_windows_without_carry_have_components_of_their_own_rows(tmp_path, engine):
    X, times = stream(300)
    store = learn(timed(X, times), SlidingWindows(100, 50), tmp_path, carry=False)
    assert len(store.history()) == 7
    for c in store.history():
        own = (times >= c.window_start / SECOND) & (times < c.window_end / SECOND)
        assert_equals_batch(c, X[own])


def test_sessions_close_where_the_rows_pause(tmp_path, engine):
    X, times = stream(120)
    times = times + np.repeat([0, 100, 300], 40)
    history = learn(timed(X, times), Sessions(20), tmp_path).history()
    starts, ends = [0, 140, 380], [39 + 20, 179 + 20, 419 + 20]
    assert [c.window_start for c in history] == [start * SECOND for start in starts]
    assert [c.window_end for c in history] == [end * SECOND for end in ends]
    for i, checkpoint in enumerate(history, start=1):
        assert_equals_batch(checkpoint, X[: 40 * i])


def test_the_global_window_has_one_checkpoint_without_times(tmp_path, engine):
    X, times = stream(100)
    (checkpoint,) = learn(timed(X, times), GlobalWindows(), tmp_path).history()
    assert checkpoint.window_start is None
    assert checkpoint.window_end is None
    assert_equals_batch(checkpoint, X)


@pytest.mark.parametrize("carry", [True, False])
def test_components_keep_their_sign_between_windows(tmp_path, carry, engine):
    X, times = stream()
    history = learn(timed(X, times), FixedWindows(100), tmp_path, carry=carry).history()
    for before, now in pairwise(history):
        assert (np.sum(before.components * now.components, axis=1) > 0).all()
        assert now.drift is not None


def test_factored_memory_and_single_precision_go_through(tmp_path, engine):
    X, times = stream(300, 8)
    options = {"memory": "factored", "oversample": 5}
    (last,) = learn(timed(X, times), GlobalWindows(), tmp_path / "a", **options).history()
    assert last.moments_kind == "factored"
    assert_equals_batch(last, X)
    single = [x.astype("float32") for x in X]
    (last,) = learn(timed(single, times), GlobalWindows(), tmp_path / "b").history()
    assert last.components.dtype == np.float32


Row = namedtuple("Row", "b a c")
MATRIX = np.random.default_rng(0).normal(size=(40, 3)) * [1.0, 5.0, 3.0]
KINDS = {
    "dict": [dict(zip("bac", x, strict=True)) for x in MATRIX],
    "beam.Row": [beam.Row(**dict(zip("bac", map(float, x), strict=True))) for x in MATRIX],
    "NamedTuple": [Row(*map(float, x)) for x in MATRIX],
    "record batch": [
        pa.record_batch([pa.array(column) for column in part.T], names=list("bac"))
        for part in np.split(MATRIX, 4)
    ],
    "vector": list(MATRIX[:, [1, 0, 2]]),
    "list": MATRIX[:, [1, 0, 2]].tolist(),
    "matrix": np.split(MATRIX[:, [1, 0, 2]], [7]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_row_gives_the_same_components(tmp_path, kind, engine):
    elements = KINDS[kind]
    (found,) = learn(timed(elements, [0] * len(elements)), GlobalWindows(), tmp_path).history()
    named = kind not in ("vector", "list", "matrix")
    assert found.feature_names == (("a", "b", "c") if named else None)
    assert_equals_batch(found, MATRIX[:, [1, 0, 2]])


@pytest.mark.parametrize("kind", KINDS)
def test_features_fix_the_order(tmp_path, kind, engine):
    elements = KINDS[kind]
    if kind in ("vector", "list", "matrix"):
        elements = [np.asarray(e)[..., [1, 2]] for e in elements]  # b, c
    rows = timed(elements, [0] * len(elements))
    options = {"n_components": 2, "features": ["b", "c"]}
    (found,) = learn(rows, GlobalWindows(), tmp_path, **options).history()
    assert found.feature_names == ("b", "c")
    assert_equals_batch(found, MATRIX[:, [0, 2]])


@pytest.mark.needs("holds")
@pytest.mark.parametrize("windowfn", [FixedWindows(50), SlidingWindows(100, 50)])
def test_a_checkpoint_lies_in_the_window_that_it_covers(windowfn, engine):
    X, times = stream(100)

    def where(keyed, window=beam.DoFn.WindowParam, timestamp=beam.DoFn.TimestampParam):
        return keyed[1], window, timestamp

    def check(found):
        assert found
        for checkpoint, window, timestamp in found:
            start, end = checkpoint.window_start // SECOND, checkpoint.window_end // SECOND
            assert window == IntervalWindow(start, end)
            assert end - 0.001 <= timestamp < end

    with engines.pipeline() as p:
        learned = p | beam.Create(timed(X, times)) | beam.WindowInto(windowfn) | LearnComponents(2)
        assert_that(learned | beam.Map(where), check)
