"""The scatter matrix while it grows: right at any time, whatever waits."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.moments import make_moments, moments_from_state
from streampca.moments.scatter import FEW_FEATURES, MINIBATCHES_TOGETHER, ROWS_TOGETHER, Scatter
from streampca.rows import Minibatch

MANY = FEW_FEATURES + 5


def draws(seed=0):
    return np.random.default_rng(seed)


def grown(n, sizes, dtypes, read=()):
    """A scatter, the same in float64, and the sum of absolute products."""
    scatter, expected, size = Scatter(np.zeros((n, n))), np.zeros((n, n)), np.zeros((n, n))
    rng = draws(n)
    for i, (m, dtype) in enumerate(zip(sizes, dtypes, strict=True)):
        X, V = rng.normal(size=(m, n)).astype(dtype), rng.normal(size=(i % 3, n)).astype(dtype)
        signed = V * np.array([[-1.0], [1.0]], dtype)[: len(V)]
        scatter.add_rows(X, signed, V)
        for A, B in ((X, X), (signed, V)):
            expected += A.T.astype("float64") @ B
            size += abs(A.T.astype("float64")) @ abs(B)
        if i in read:
            scatter.whole  # noqa: B018
    return scatter, expected, size


@settings(max_examples=30, deadline=None)
@given(
    n=st.sampled_from([1, 3, FEW_FEATURES, MANY, 200]),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    dtypes=st.lists(st.sampled_from(["float32", "float64"]), min_size=12, max_size=12),
    read=st.sets(st.integers(0, 11)),
)
def test_it_is_the_sum_whatever_came_in_which_parts(n, sizes, dtypes, read):
    scatter, expected, size = grown(n, sizes, dtypes[: len(sizes)], read)
    error = 2 * (sum(sizes) + 30) * np.finfo("float32").eps * size
    assert (abs(scatter.diagonal - np.diagonal(expected)) <= np.diagonal(error)).all()
    S = scatter.whole
    assert S.dtype == "float64"
    assert (abs(S - expected) <= error).all()
    np.testing.assert_array_equal(S, S.T)
    np.testing.assert_array_equal(scatter.diagonal, np.diagonal(S))


@settings(max_examples=30, deadline=None)
@given(
    n=st.sampled_from([1, 3, 20, FEW_FEATURES]),
    m=st.integers(1, 5000),
    order=st.sampled_from(["C", "F", "every other row", "every other column"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_many_narrow_rows_are_summed_in_float64(n, m, order, dtype):
    X = draws(m).normal(size=(2 * m, 2 * n)).astype(dtype)
    X = {
        "C": X[:m, :n].copy(),
        "F": np.asfortranarray(X[:m, :n]),
        "every other row": X[::2, :n],
        "every other column": X[:m, ::2],
    }[order]
    scatter = Scatter(np.zeros((n, n)))
    scatter.add_rows(X, X[:0], X[:0])
    exact = X.T.astype("longdouble") @ X.astype("longdouble")
    # at most 1,024 products are added up in the type of the rows
    error = (min(m, 1024) + 10) * np.finfo(dtype).eps * abs(X.T).astype("longdouble") @ abs(X)
    assert (abs(scatter.whole - exact) <= error).all()
    np.testing.assert_array_equal(scatter.whole, scatter.whole.T)


@settings(max_examples=30, deadline=None)
@given(
    n=st.sampled_from([3, FEW_FEATURES, MANY]),
    dtype=st.sampled_from(["float32", "float64"]),
    factors=st.lists(
        st.sampled_from([0.0, 1e-30, 1e-4, 0.3, 0.5, 0.999, 1.0]), min_size=1, max_size=12
    ),
    read=st.sets(st.integers(0, 11)),
)
def test_forgetting_multiplies_all_that_came_before(n, dtype, factors, read):
    scatter, expected, size = Scatter(np.zeros((n, n))), np.zeros((n, n)), np.zeros((n, n))
    rng = draws(n)
    for i, factor in enumerate(factors):
        X, V = rng.normal(size=(7, n)).astype(dtype), rng.normal(size=(2, n)).astype(dtype)
        signed = V * np.array([[-1.0], [1.0]], dtype)
        scatter.scale(factor)
        scatter.add_rows(X, signed, V)
        expected, size = expected * factor, size * factor
        for A, B in ((X, X), (signed, V)):
            expected += A.T.astype("float64") @ B
            size += abs(A.T.astype("float64")) @ abs(B)
        if i in read:
            scatter.whole  # noqa: B018
    error = 200 * np.finfo(dtype).eps * size
    assert (abs(scatter.diagonal - np.diagonal(expected)) <= np.diagonal(error)).all()
    assert (abs(scatter.whole - expected) <= error).all()
    np.testing.assert_array_equal(scatter.whole, scatter.whole.T)


def test_forgetting_passes_over_the_matrix_now_and_then_alone():
    scatter = Scatter(np.zeros((MANY, MANY)))
    X = draws().normal(size=(5, MANY))
    for _ in range(100):
        scatter.add_rows(X, X[:0], X[:0])
        kept = scatter._sum
        before = kept.copy()
        scatter.scale(0.95)
        assert scatter._sum is kept
        np.testing.assert_array_equal(kept, before)
    assert scatter._unit == pytest.approx(0.95**100)


def test_what_waits_is_bounded():
    scatter = Scatter(np.zeros((MANY, MANY)))
    none = np.zeros((0, MANY), "float32")
    for _ in range(MINIBATCHES_TOGETHER + 1):
        scatter.add_rows(np.ones((2, MANY), "float32"), none, none)
    assert len(scatter._vectors) == 1
    scatter.add_rows(np.ones((ROWS_TOGETHER, MANY), "float32"), none, none)
    assert scatter._n_rows == ROWS_TOGETHER
    assert scatter._sum[0, -1] == 2 * MINIBATCHES_TOGETHER + 2
    assert (scatter.whole == 2 * MINIBATCHES_TOGETHER + 2 + ROWS_TOGETHER).all()
    assert scatter._recent is None


def test_features_that_dwarf_others_leave_them_their_digits():
    """Each entry is a sum of its own: 1e8 times the variance beside it costs no digit."""
    scales = np.r_[1e4, np.ones(MANY - 1)]
    X = (draws().normal(size=(5000, MANY)) * scales).astype("float32")
    scatter = Scatter(np.zeros((MANY, MANY)))
    for start in range(0, 5000, 500):
        scatter.add_rows(X[start : start + 500], X[:0], X[:0])
    exact = X.astype("float64").T @ X.astype("float64")
    np.testing.assert_allclose(
        np.diagonal(scatter.whole)[1:], np.diagonal(exact)[1:], rtol=50 * np.finfo("float32").eps
    )


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda scatter: pickle.loads(pickle.dumps(scatter)),
        lambda scatter: _out_of_band(scatter),
    ],
)
def test_copies_go_their_own_way(copied):
    scatter, expected, _ = grown(MANY, [20, 30], ["float32", "float32"])
    twin = copied(scatter)
    ones = np.ones((1, MANY), "float32")
    twin.add_rows(ones, ones[:0], ones[:0])
    twin.whole += 1.0
    np.testing.assert_allclose(scatter.whole, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(twin.whole, expected + 2, rtol=1e-4, atol=1e-4)


def _out_of_band(scatter):
    buffers = []
    data = pickle.dumps(scatter, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(b.raw()) for b in buffers])


def test_a_copied_stream_goes_on_to_the_same_bits():
    moments = make_moments("dense", MANY)
    X = draws().normal(size=(900, MANY)).astype("float32")
    moments.update(Minibatch(X[:300]))
    twin = pickle.loads(pickle.dumps(moments))
    for some in (moments, twin, moments.copy()):
        some.update(Minibatch(X[300:]))
    np.testing.assert_array_equal(moments.variance, twin.variance)
    np.testing.assert_array_equal(moments._scatter, twin._scatter)


def test_forgetting_takes_along_what_waits():
    X = draws().normal(size=(600, MANY)).astype("float32") + 1.0
    moments = make_moments("dense", MANY)
    moments.update(Minibatch(X[:300]))
    moments.decay(0.25)
    moments.update(Minibatch(X[300:]))
    w = np.r_[np.full(300, 0.25), np.ones(300)]
    expected = np.cov(X.T.astype("float64"), aweights=w, ddof=0) * w.sum()
    np.testing.assert_allclose(moments._scatter, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("n", [FEW_FEATURES, MANY, 200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_between_readings(n, dtype):
    X = draws().normal(size=(12, n)).astype(dtype)
    scatter, expected = Scatter(np.zeros((n, n))), np.zeros((n, n))
    for i, row in enumerate(X):
        scatter.add_rows(row[None], row[None][:0], row[None][:0])
        expected += np.outer(row.astype("float64"), row)
        if i == 6:
            scatter.scale(0.25)
            expected *= 0.25
        if i % 3 != 1:
            np.testing.assert_allclose(scatter.diagonal, np.diagonal(expected), rtol=1e-6)
            np.testing.assert_allclose(scatter.whole, expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(scatter.whole, scatter.whole.T)


@pytest.mark.parametrize("size", [1, 2, 40])
@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_who_is_made_of_a_state_goes_on_to_the_same_bits(kind, size):
    X = draws().normal(size=(700, MANY)).astype("float32")
    options = {"n_directions": MANY} if kind == "factored" else {}
    first = make_moments(kind, MANY, dtype="float32", **options)
    first.update(Minibatch(X[:300]))
    second = moments_from_state(kind, first.state())
    for moments in (first, second):
        for start in range(300, 700 if size > 1 else 310, size):
            moments.update(Minibatch(X[start : start + size]))
    left, right = first.state(), second.state()
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name], err_msg=name)
