"""Dense moments of few rows are the rows: the same numbers, fewer bytes, and one matrix in time."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import StreamingPCA, StreamingReducedRankRegression
from streampca.moments import make_moments, moments_from_state
from streampca.rows import Minibatch


def drawn(seed, m, n, mean=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(size=(m, n)) * scale + mean


def make(n, dense=False, **options):
    moments = make_moments("dense", n, **({"dtype": "float64"} | options))
    if dense:
        moments._scatter  # noqa: B018 - as one matrix from the beginning
    return moments


def is_thin(moments):
    return "factor" in moments.state()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), st.integers(1, 9)),
        st.tuples(st.just("weighted"), st.integers(1, 9)),
        st.tuples(st.just("sparse"), st.integers(1, 5)),
        st.tuples(st.just("decay"), st.floats(0.0, 1.0)),
        st.tuples(st.just("merge"), st.integers(0, 9)),
        st.tuples(st.just("merge dense"), st.integers(0, 9)),
        st.tuples(st.just("back"), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)


def follow(moments, history, mean, *, dense):
    for seed, (what, size) in enumerate(history):
        n = moments.n_features
        X = drawn(seed, int(size), n, mean) if what != "decay" else None
        if what == "rows":
            moments.update(Minibatch(X))
        elif what == "weighted":
            moments.update(Minibatch(X, np.random.default_rng(seed).uniform(0.1, 3, len(X))))
        elif what == "sparse":
            moments.update(Minibatch(scipy.sparse.csr_array(np.where(mean < X, X, 0.0))))
        elif what == "decay":
            moments.decay(size)
        elif what == "back":
            moments = moments_from_state("dense", moments.state())
        else:
            other = make(n, dense or what == "merge dense", center=moments.center)
            other.update(Minibatch(X))
            moments.merge(other)
    return moments


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 40), st.sampled_from([0.0, 3.0, -1e4]), st.booleans())
def test_rows_and_matrix_tell_the_same_whatever_comes(history, n, mean, center):
    """Products of rows are summed in other orders: some eps of what they are products of."""
    thin = follow(make(n, center=center), history, mean, dense=False)
    dense = follow(make(n, True, center=center), history, mean, dense=True)
    assert (thin.n_samples, thin.weight, thin.pairs) == (dense.n_samples, dense.weight, dense.pairs)
    size = 1.0 + abs(mean)
    # decays multiply by roots; beside the rounding of the entries, which means carry into squares
    tolerance = 1e-12 * (size**2 if not center else size) * max(thin.weight, 1e-300)
    np.testing.assert_allclose(thin.mean, dense.mean, rtol=1e-13, atol=1e-13 * size)
    np.testing.assert_allclose(thin.scatter, dense.scatter, rtol=1e-11, atol=tolerance)
    np.testing.assert_allclose(thin.variance, np.diagonal(thin.scatter) / thin.denominator)
    V = np.eye(n)[:, ::2]
    np.testing.assert_allclose(thin @ V, (thin.scatter @ V) / thin.denominator, atol=1e-8 * size**2)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 12, 13, 50])
def test_rows_are_kept_while_they_are_fewer_than_half_of_the_features(n):
    moments = make(n, center=False)
    for count in range(1, n + 1):
        moments.update(Minibatch(drawn(count, 1, n)))
        assert is_thin(moments) == (2 * count < n)
        assert moments.n_samples == count
    S = sum(np.outer(x, x) for x in (drawn(count, 1, n)[0] for count in range(1, n + 1)))
    np.testing.assert_allclose(moments.scatter, S, atol=1e-12 * n)


def test_a_row_alone_adds_one_row_and_equal_rows_none():
    moments = make(50)
    for count in range(20):
        moments.update(Minibatch(np.full((1, 50), 7.0)))
        assert len(moments.state()["factor"]) == 0
        assert moments.n_samples == count + 1
    moments.update(Minibatch(drawn(0, 1, 50)))
    assert len(moments.state()["factor"]) == 1


def test_few_rows_take_less_room_and_come_back_to_the_bit():
    moments = make(50)
    moments.update(Minibatch(drawn(0, 6, 50)))
    state = moments.state()
    assert sum(value.nbytes for value in state.values()) < 8 * 50 * 50 / 5
    for back in (
        moments_from_state("dense", state),
        pickle.loads(pickle.dumps(moments)),
        copy.deepcopy(moments),
        moments.copy(),
    ):
        twin = moments.copy()
        for each in (back, twin):
            each.update(Minibatch(drawn(1, 6, 50)))
            each.decay(0.7)
            each.merge(moments)
        for name, value in twin.state().items():
            np.testing.assert_array_equal(value, back.state()[name], err_msg=name)


def test_moments_that_were_pickled_before_there_were_rows_go_on():
    moments = make(6, dense=True)
    moments.update(Minibatch(drawn(0, 9, 6)))
    older = {k: v for k, v in moments.__getstate__().items() if k != "_thin"}
    back = type(moments).__new__(type(moments))
    back.__setstate__(older)
    back.update(Minibatch(drawn(1, 9, 6)))
    moments.update(Minibatch(drawn(1, 9, 6)))
    np.testing.assert_array_equal(back.scatter, moments.scatter)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (np.zeros(3), "factor of shape"),
        (np.zeros((2, 7)), "factor of shape"),
        (np.zeros((2, 2, 8)), "factor of shape"),
        (np.full((2, 8), np.nan), "not finite"),
    ],
)
def test_a_misshapen_factor_is_refused(factor, message):
    moments = make(8)
    moments.update(Minibatch(drawn(0, 3, 8)))
    with pytest.raises(ValueError, match=message):
        moments_from_state("dense", moments.state() | {"factor": factor})


def test_a_factor_of_many_rows_becomes_a_matrix():
    moments, Z = make(8), drawn(0, 20, 8)
    back = moments_from_state("dense", moments.state() | {"factor": Z})
    assert not is_thin(back)
    np.testing.assert_allclose(back.scatter, Z.T @ Z)


@pytest.mark.parametrize("n", [9, 60, 300])
@pytest.mark.parametrize("p", [1, 3, None])
def test_components_of_few_rows_are_those_of_numpy(n, p):
    X = drawn(3, 4, n, mean=100.0, scale=np.geomspace(1, 1e-3, n))
    pca = StreamingPCA(p, dtype="float64").partial_fit(X)
    D = X - X.mean(0)
    _, s, Vt = np.linalg.svd(D, full_matrices=False)
    found = pca.explained_variance_
    count = min(3, len(found))
    np.testing.assert_allclose(found[:count], s[:count] ** 2 / 3, rtol=1e-9)
    assert np.abs(found[3:]).max(initial=0.0) == 0
    C = pca.components_
    np.testing.assert_allclose(np.abs((C[:count] * Vt[:count]).sum(1)), 1.0, atol=1e-12)
    np.testing.assert_allclose(C @ C.T, np.eye(len(C)), atol=1e-10)
    assert pca.residuals_.max() < 1e-11


@pytest.mark.parametrize("k", [2, 60])
def test_a_direction_that_was_left_out_is_missed(k):
    """Few rows of many features, where iterative solvers ask for a proof."""
    moments = make(700)
    moments.update(Minibatch(drawn(5, 200, 700) * np.geomspace(9, 1, 700)))
    A, values = moments.leading(k)
    assert is_thin(moments)
    assert not moments.misses(A, values, 1e-11)
    assert moments.misses(A[:, 1:], values[1:], 1e-11)
    S = moments.scatter / moments.denominator
    assert moments.norm == pytest.approx(np.linalg.norm(S))
    tiny = moments_from_state("dense", moments.state() | {"factor": moments._factor * 1e-90})
    assert tiny.norm == pytest.approx(np.linalg.norm(S) * 1e-180)


def test_solutions_by_steps_and_directly_agree_on_few_rows():
    X = drawn(6, 300, 900) * np.geomspace(30, 0.1, 900)
    pca = StreamingPCA(5, memory="dense", dtype="float64", batch_size=50)
    pca.partial_fit(X[:250])
    before = pca.components_
    pca.partial_fit(X[250:])
    D = X - X.mean(0)
    _, s, Vt = np.linalg.svd(D, full_matrices=False)
    np.testing.assert_allclose(pca.explained_variance_, s[:5] ** 2 / 299, rtol=1e-10)
    np.testing.assert_allclose(np.abs((pca.components_ * Vt[:5]).sum(1)), 1.0, atol=1e-9)
    assert before.shape == (5, 900)


def test_regression_of_few_rows_is_that_of_many_kept_as_a_matrix():
    X, Y = drawn(7, 5, 30), drawn(8, 5, 4)
    model = StreamingReducedRankRegression(2, ridge=0.5, dtype="float64").partial_fit(X, Y)
    dense = StreamingReducedRankRegression(2, ridge=0.5, dtype="float64").partial_fit(X, Y)
    dense._started_learner.flush()
    dense._started_learner.moments._scatter  # noqa: B018
    np.testing.assert_allclose(model.predict(X), dense.predict(X), rtol=1e-9, atol=1e-9)


def test_more_features_leave_few_rows_few():
    moments = make(10)
    moments.update(Minibatch(drawn(0, 3, 10)))
    wider = moments.widened(np.arange(10), np.zeros(14))
    assert is_thin(wider)
    np.testing.assert_allclose(wider.scatter[:10, :10], moments.scatter)
    assert not wider.scatter[10:].any()
