"""Rows gathered into blocks: which rows wait together, and what may lie in memory in any way."""

import tracemalloc

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
)
from apache_beam.utils.windowed_value import WindowedValue
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import LearnComponents, MomentsFn
from beam_pipelines.rows import blocks
from beam_pipelines.rows.blocks import GatherBlocks
from beam_pipelines.rows.elements import Block, RowReader

X = np.random.default_rng(0).normal(size=(60, 4)) * [4.0, 3.0, 2.0, 1.0] + 5


def gathered(elements, dead_letter=False, features=None):
    """What a bundle of (element, windows) hands on: (key text, window, rows) of each block."""
    fn = GatherBlocks(RowReader(features), dead_letter)
    fn.start_bundle()
    found = []
    for element, windows in elements:
        at = WindowedValue(element, windows[0].max_timestamp(), windows)
        out = fn.process(element, at) or ()
        found += [each if isinstance(each, WindowedValue) else at.with_value(each) for each in out]
    found += fn.finish_bundle()
    assert list(fn.finish_bundle()) == []
    return [(w.value[0], w.windows[0], w.value[1].values.tolist()) for w in found]


FIRST, SECOND = IntervalWindow(0, 10), IntervalWindow(10, 20)


def test_rows_of_windows_that_come_in_turns_wait_apart():
    elements = [(("k", x), ((FIRST, SECOND)[i % 2],)) for i, x in enumerate(X)]
    assert gathered(elements) == [
        ('"k"', FIRST, X[::2].tolist()),
        ('"k"', SECOND, X[1::2].tolist()),
    ]


@pytest.mark.parametrize("key", ["k", 1, None, np.int64(3)])
def test_the_global_window_is_one(key):
    elements = [((key, x), (GlobalWindow(),)) for x in X]
    ((_, _, rows),) = gathered(elements)
    assert rows == X.tolist()


def test_keys_that_python_takes_for_equal_are_told_apart():
    elements = [((key, x), (FIRST,)) for x in X[:6] for key in (1, "1", True)]
    with pytest.raises(ValueError, match="key True is a bool"):
        gathered(elements)
    elements = [(element, windows) for element, windows in elements if element[0] is not True]
    assert gathered(elements) == [("1", FIRST, X[:6].tolist()), ('"1"', FIRST, X[:6].tolist())]


@pytest.mark.parametrize("key", [["a"], np.ones(2)])
def test_a_key_that_cannot_be_hashed_is_a_bad_key(key):
    with pytest.raises(ValueError, match="keys must be text"):
        gathered([((key, X[0]), (FIRST,))])


def test_matrices_and_copies_in_several_windows_are_handed_on_at_once():
    elements = [
        (("k", X[0]), (FIRST,)),
        (("k", X[1:4]), (FIRST,)),
        (("k", X[4]), (FIRST, SECOND)),
        (("k", X[5]), (FIRST,)),
    ]
    assert [rows for _, _, rows in gathered(elements)] == [
        X[1:4].tolist(),
        X[4:5].tolist(),
        X[[0, 5]].tolist(),
    ]


def test_rows_of_several_kinds_end_up_in_the_same_block():
    names = ["a", "b", "c", "d"]
    rows = [x if i % 3 else dict(zip(names, x, strict=True)) for i, x in enumerate(X)]
    ((_, _, found),) = gathered([(("k", row), (FIRST,)) for row in rows], features=names)
    assert found == X.tolist()


def test_a_block_is_handed_on_when_it_is_full(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST", 8)
    sizes = [len(rows) for _, _, rows in gathered([(("k", x), (FIRST,)) for x in X])]
    assert sizes == [8] * 7 + [4]


def test_rows_that_wait_take_bounded_memory_however_many_keys(monkeypatch):
    monkeypatch.setattr(blocks, "_HELD", 40)  # ten rows of four numbers
    fn = GatherBlocks(RowReader(None), False)
    fn.start_bundle()
    held = 0
    for i in range(200):
        element = (f"k{i}", X[i % len(X)])
        out = list(fn.process(element, WindowedValue(element, 0, (FIRST,))) or ())
        held += 1 - len(out)
        assert held < 10
    assert len(list(fn.finish_bundle())) == held


STRANGE = {
    "columns of a matrix": lambda X: list(np.asfortranarray(X)),
    "every other number": lambda X: list(np.repeat(X, 2, axis=1)[:, ::2]),
    "backwards": lambda X: [x[::-1].copy()[::-1] for x in X],
    "foreign byte order": lambda X: list(X.astype(X.dtype.newbyteorder())),
    "read only": lambda X: [np.frombuffer(x.tobytes(), x.dtype) for x in X],
    "not aligned": lambda X: [
        np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype) for x in X
    ],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", STRANGE)
def test_vectors_may_lie_in_memory_in_any_way(kind, dtype):
    rows = STRANGE[kind](X.astype(dtype))
    block = RowReader(None).together(rows)
    assert block.values.dtype == np.dtype(dtype)
    assert block.values.dtype.isnative
    np.testing.assert_array_equal(block.values, X.astype(dtype))
    for row, x in zip(rows, X.astype(dtype), strict=True):
        np.testing.assert_array_equal(RowReader(None)(row).values, x[None])


@pytest.mark.parametrize("kind", STRANGE)
def test_such_vectors_are_learned(tmp_path, kind, engine):
    Y, times = stream(80)
    store = learn(timed(STRANGE[kind](Y), times), FixedWindows(40), tmp_path)
    for checkpoint in store.history():
        assert_equals_batch(checkpoint, Y[times < checkpoint.window_end // 1_000_000])


@pytest.mark.needs("holds")
@pytest.mark.parametrize("kind", STRANGE)
def test_such_a_vector_is_a_bad_row_when_a_number_is_not_finite(kind, engine):
    Y = X.copy()
    Y[7, 2] = np.nan
    rows = STRANGE[kind](Y)
    assert RowReader(None).together(rows) is None
    with engines.pipeline() as p:
        learned = p | beam.Create(rows) | LearnComponents(2, bad_rows=True)
        reasons = learned.bad_rows | beam.Map(lambda bad: "feature 2 is nan" in bad.reason)
        assert_that(reasons, equal_to([True]))
        counts = learned.checkpoints | beam.Map(lambda keyed: keyed[1].n_samples_seen)
        assert_that(counts, equal_to([59]), "counts")


def test_what_was_gathered_is_a_copy():
    row = X[0].copy()
    block = RowReader(None).together([row, X[1]])
    row[:] = 0
    np.testing.assert_array_equal(block.values, X[:2])


def test_open_windows_hold_no_scratch_memory():
    fn = MomentsFn(n_components=2)
    many = [fn.create_accumulator() for _ in range(100)]
    rows = np.random.default_rng(1).normal(size=(1000, 20))
    tracemalloc.start()
    try:
        for accumulator in many:
            fn.add_input(accumulator, Block(None, rows))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # a scratch of 160 kB for each would be 16 MB; moments of 20 features are 3.5 kB
    assert held < 2e6


def test_accumulators_of_any_width_and_precision_may_take_turns():
    fn = MomentsFn(n_components=2)
    shapes = [(5, "float64"), (3, "float64"), (5, "float32"), (3, "float64")]
    made = [fn.create_accumulator() for _ in shapes]
    data = [np.random.default_rng(i).normal(size=(900, n)) for i, (n, _) in enumerate(shapes)]
    for part in range(3):
        for accumulator, Y, (_, dtype) in zip(made, data, shapes, strict=True):
            Y = Y[300 * part : 300 * part + 300].astype(dtype)
            fn.add_input(accumulator, Block(None, Y))
    for accumulator, Y, (n, dtype) in zip(made, data, shapes, strict=True):
        moments = fn.compact(accumulator).moments
        rtol = 1e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(moments @ np.eye(n), np.cov(Y.T), rtol=rtol, atol=rtol)


def test_windows_of_the_pipeline_may_be_global_or_fixed_alike(tmp_path, engine):
    Y, times = stream(50)
    for name, windowfn in (("fixed", FixedWindows(1000)), ("global", GlobalWindows())):
        (found,) = learn(timed(Y, times), windowfn, tmp_path / name).history()
        assert_equals_batch(found, Y)
