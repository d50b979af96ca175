"""Entries are looked at once: what shows that they can be used is kept for who learns from them."""

import copy

import numpy as np
import pytest

from streampca import StreamingPCA
from streampca.moments import implicit
from streampca.rows import Minibatch, Squares
from streampca.rows.entries import LARGEST, check_entries
from streampca.rows.read import read_rows

RNG = np.random.default_rng(0)
LARGEST32 = float(np.finfo("float32").max)


@pytest.mark.parametrize(("dtype", "largest"), [("float32", LARGEST32), ("float64", LARGEST)])
@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (1000, 40)])
def test_sums_of_squares_are_those_of_each_feature(shape, dtype, largest):
    X = RNG.normal(1, 2, size=shape).astype(dtype)
    squares = check_entries(X, None, False, largest, by_feature=True)
    expected = (X.astype("float64") ** 2).sum(axis=0)
    np.testing.assert_allclose(squares.by_feature, expected, rtol=1e-5)
    assert squares.total == squares.by_feature.sum()
    assert check_entries(X, None, False, largest).total == pytest.approx(squares.total, rel=1e-5)


def test_squares_are_not_summed_where_that_would_take_a_pass_of_its_own():
    assert check_entries(np.ones((5, 4))[:, ::2], None, False, LARGEST) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_cannot_be_used_is_named_where_squares_are_asked_for(bad, dtype):
    X = RNG.normal(size=(300, 7)).astype(dtype)
    X[280, 3] = bad
    with pytest.raises(ValueError, match=rf"row 280, feature 3 is {bad}"):
        check_entries(X, None, False, LARGEST, by_feature=True)
    if np.isnan(bad):
        assert check_entries(X, None, True, LARGEST, by_feature=True) is None


def test_large_entries_are_let_through_without_their_squares():
    X = RNG.normal(size=(300, 7)).astype("float32")
    X[5, 2] = 1e30  # its square leaves float32
    assert check_entries(X, None, False, LARGEST32, by_feature=True) is None
    with pytest.raises(ValueError, match="row 5, feature 2 is"):
        check_entries(X, None, False, 1e20, by_feature=True)


def test_sparse_rows_have_the_sum_of_all_squares_alone():
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.csr_array(2.0 * np.eye(5))
    assert read_rows(X, squares=lambda n_rows: True).known == (20.0, None)


@pytest.fixture(params=[True, False], ids=["centred", "not centred"])
def learner(request):
    """Factored memory that has seen rows, and takes calls of 512 at once."""
    pca = StreamingPCA(2, memory="factored", batch_size=512, center=request.param)
    return pca.partial_fit(RNG.normal(size=(512, 60)).astype("float32"))


def test_a_call_that_is_a_minibatch_is_passed_over_once(learner, monkeypatch):
    X = RNG.normal(size=(512, 60)).astype("float32")
    expected = copy.deepcopy(learner)
    expected._learner.add(Minibatch(X))

    def again(Z):
        raise AssertionError("the squares are known")

    monkeypatch.setattr(implicit, "column_squares", again)
    learner.partial_fit(X)
    ours, theirs = learner._learner.state(), expected._learner.state()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.mark.parametrize("calls", [(512,), (200, 312), (100, 900, 24)])
def test_dense_memory_sums_no_squares_that_the_check_has_summed(calls, monkeypatch):
    pca = StreamingPCA(2, batch_size=512).partial_fit(RNG.normal(size=(512, 60)).astype("float32"))

    def again(*given):
        raise AssertionError("the squares are known")

    monkeypatch.setattr(implicit.np, "vdot", again)
    learner = pca._learner
    for m in calls:
        X = RNG.normal(size=(m, 60)).astype("float32")
        known = Squares(float((X.astype("float64") ** 2).sum()))
        learner.add(Minibatch(X, known=known))
    assert learner._buffer.n_held == 0


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("large", [1e17, 3e18])
@pytest.mark.parametrize("calls", [(300, 1300, 400), (2000,), (1, 511, 700, 788)])
def test_rows_beside_large_ones_in_a_call_are_learned_all_the_same(memory, large, calls):
    """What is known of a call's squares is more than what each of its minibatches has."""
    X = RNG.normal(size=(2000, 30)).astype("float32")
    X[900:] *= np.float32(large)
    pca = StreamingPCA(2, memory=memory, batch_size=512)
    stop = 0
    for m in calls:
        start, stop = stop, stop + m
        pca.partial_fit(X[start:stop])
    wide = X.astype("float64")
    np.testing.assert_allclose(pca.var_, wide.var(axis=0, ddof=1), rtol=1e-5)


def test_squares_are_kept_of_whole_minibatches_alone(learner):
    wants = learner._learner.wants_squares
    assert wants(512)
    assert not wants(100)
    assert not wants(2000)  # three minibatches and a rest
    learner.partial_fit(np.zeros((1, 60)))
    assert not wants(512)  # they go to the row that waits
    for other in ({"memory": "dense"}, {"memory": "factored", "half_life": 100}):
        pca = StreamingPCA(2, batch_size=512, **other).partial_fit(RNG.normal(size=(512, 60)))
        assert not pca._learner.wants_squares(512)


def test_variances_are_exact_however_rows_come():
    first = RNG.normal(size=(512, 60)).astype("float32")
    pca = StreamingPCA(2, memory="factored", batch_size=512)
    X = np.concatenate([first, RNG.normal(0.5, 2.0, size=(1937, 60)).astype("float32")])
    for start, stop in [(0, 512), (512, 1024), (1024, 1025), (1025, 1537), (1537, 2449)]:
        pca.partial_fit(X[start:stop])
    pca.flush()
    np.testing.assert_allclose(
        pca._learner.moments.variance, X.astype("float64").var(axis=0, ddof=1), rtol=1e-5
    )
