"""Sums of parts of rows: the same to the bit whichever come together, and those of numpy."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.moments import PART, make_moments
from streampca.rows import Minibatch


def draws(seed):
    return np.random.default_rng(seed)


def begun(X, dtype, **options):
    """Moments that have seen some rows, or none."""
    moments = make_moments("dense", X.shape[1], dtype=dtype, **options)
    if len(X):
        moments.update(Minibatch(X.astype(dtype)))
    return moments


def told(moments, X, cuts=(), room=None):
    """How many rows of X were summed, in pieces, and moments that have them."""
    tally, done = moments.tally(room or 1 + len(X) // PART), 0
    for piece in np.split(X, [PART * cut for cut in sorted(set(cuts))]):
        fit = tally.add(piece) if len(piece) else 0
        done += fit
        if fit < len(piece):
            break
    if done:
        moments.add_tally(tally)
    return done, moments


@settings(max_examples=40, deadline=None)
@given(
    n=st.sampled_from([1, 3, 20, 60, 130, 255]),
    m=st.integers(1, 4 * PART),
    before=st.sampled_from([0, 300]),
    mean=st.sampled_from([0.0, 1.0, 100.0, 1e6]),
    center=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    cuts=st.lists(st.integers(1, 3), max_size=3),
    room=st.sampled_from([1, 2, None]),
)
def test_sums_are_those_of_numpy_however_rows_are_cut(
    n, m, before, mean, center, dtype, cuts, room
):
    X = (mean + draws(m).normal(size=(before + m, n))).astype(dtype)
    done, moments = told(begun(X[:before], dtype, center=center), X[before:])
    _, others = told(begun(X[:before], dtype, center=center), X[before:], cuts, room)
    if center and before + m > 1:  # of the size of the spread once shifted, whatever the mean
        assert done == m
    for name, value in moments.state().items():
        np.testing.assert_array_equal(value, others.state()[name], err_msg=name)
    rows = X[: before + done].astype("longdouble")
    if not len(rows):
        return
    Z = rows - rows.mean(axis=0) if center else rows
    # products of rows that are not centred are (1 + 4**2) times as large as those of centred ones
    # at most, and each is summed over 1,024 rows in the type of the rows
    size = 17 * (np.abs(Z).T @ np.abs(Z)) + 1.0
    error = 2 * (PART + 10) * np.finfo(dtype).eps * size.max()
    assert (abs(moments.scatter - Z.T @ Z) <= error).all()
    expected = rows.mean(axis=0)
    scale = np.finfo(dtype).eps * (PART + 10) * (1 + abs(mean if not before else 0.0)) + 1e-9 * mean
    assert not center or (abs(moments.mean - expected) <= scale).all()
    assert moments.n_samples == moments.weight == before + done


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mean=st.sampled_from([0.0, 1000.0, -1e5, 1e7]),
    jump=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    before=st.sampled_from([0, 500]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_levels_that_move_cost_no_digit(seed, mean, jump, before, dtype):
    """Some features of some parts are far away, others silent at first, or always."""
    rng = draws(seed)
    X = mean + rng.normal(size=(before + 3 * PART + 7, 40))
    for part in range(3):
        features = rng.random(40) < 0.3
        X[before + part * PART + rng.integers(PART) :, features] += jump * rng.normal()
    X[: rng.integers(len(X)), :3] = mean
    X[:, 3] = 0.1 + mean
    X = X.astype(dtype)
    done, moments = told(begun(X[:before], dtype), X[before:])
    assert done == 3 * PART + 7
    Z = X.astype("float64") - X[0]
    expected = X[0].astype("float64") + Z.mean(axis=0)
    Z -= Z.mean(axis=0)
    lengths = np.linalg.norm(Z, axis=0)
    assert lengths[3] == moments.variance[3] == 0
    lengths[3] = 1.0
    error = abs(moments.scatter - Z.T @ Z) / np.outer(lengths, lengths)
    # means of float64 are as wrong as it rounds numbers of their size, and so is a step between two
    eps, step = np.finfo(dtype).eps, np.finfo("float64").eps * abs(mean)
    assert error.max() <= 200 * eps + 10 * step
    wrong = abs(moments.mean - expected) - 1e-9 * abs(expected)
    assert (wrong <= 200 * eps * lengths / len(X) ** 0.5).all()


@pytest.mark.parametrize("scale", [1e-16, 1e14])
def test_rows_whose_squares_leave_float32_are_left(scale):
    X = (draws(0).normal(size=(PART, 5)) * scale).astype("float32")
    assert told(begun(X[:0], "float32"), X)[0] == 0
    if scale < 1:
        assert told(begun(X[:0], "float64"), X.astype("float64"))[0] == PART


def test_constant_features_stay_without_variance():
    X = draws(0).normal(size=(3 * PART, 4))
    X[:, 1], X[:, 2] = 0.1, -1e5 / 3
    for dtype in ("float32", "float64"):
        rows = X.astype(dtype)
        done, moments = told(begun(rows[:400], dtype), rows[400:])
        assert done == len(rows) - 400
        np.testing.assert_array_equal(moments.variance[1:3], 0.0)
        np.testing.assert_array_equal(moments.mean[1:3], rows[0, 1:3])


@pytest.mark.parametrize(
    ("kind", "n", "fit"), [("dense", 255, True), ("dense", 256, False), ("factored", 9, False)]
)
def test_who_needs_the_rows_has_none(kind, n, fit):
    options = {"n_directions": 3} if kind == "factored" else {}
    assert (make_moments(kind, n, **options).tally(1) is not None) == fit


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tally: pickle.loads(pickle.dumps(tally))])
def test_copies_go_their_own_way(copied):
    X = 50.0 + draws(0).normal(size=(4 * PART, 6))
    moments = begun(X[:PART], "float64")
    tally = moments.tally(3)
    tally.add(X[PART : 2 * PART])
    twin = copied(tally)
    twin.add(X[2 * PART :])
    assert tally.n_rows == PART
    other = moments.copy()
    moments.add_tally(tally)
    other.add_tally(twin)
    for some, rows in ((moments, X[: 2 * PART]), (other, X)):
        np.testing.assert_allclose(some @ np.eye(6), np.cov(rows.T), rtol=1e-10, atol=1e-12)


def test_a_spare_one_begins_anew():
    X = draws(0).normal(size=(2 * PART, 6))
    moments, spare = begun(X[:0], "float64"), None
    for start in (0, PART):
        spare = moments.tally(1, spare)
        spare.add(X[start : start + PART])
        moments.add_tally(spare)
    np.testing.assert_allclose(moments @ np.eye(6), np.cov(X.T), rtol=1e-10, atol=1e-12)
