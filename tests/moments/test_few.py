"""Moments of a few rows at once are those that an update gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca.moments import dense_of_few, make_moments
from streampca.rows import Minibatch


@given(
    m=st.integers(1, 20),
    seed=st.integers(0, 1000),
    mean=st.sampled_from([0.0, 1.0, 1e8]),
    scale=st.sampled_from([1.0, 1e-60, 1e60]),
    center=st.booleans(),
)
def test_they_are_those_of_an_update(m, seed, mean, scale, center):
    X = (np.random.default_rng(seed).normal(size=(m, 50)) + mean) * scale
    X[:, :7] = X[0, :7]  # constant features
    few = dense_of_few(X, center=center)
    moments = make_moments("dense", 50, center=center, dtype="float64")
    moments.update(Minibatch(X))
    given, made = few.state(), moments.state()
    assert given.keys() == made.keys()
    for name in ("n_samples", "weight", "n_copies", "pairs", "center", "single_precision"):
        np.testing.assert_array_equal(given[name], made[name])
    np.testing.assert_allclose(few.mean, moments.mean, rtol=1e-14)
    eps = 1e-14 * float(np.abs(X - few.mean * center).max()) ** 2 * m
    np.testing.assert_allclose(few.scatter, moments.scatter, rtol=1e-7 * (mean > 1e3), atol=eps)
    if center:
        assert (few.variance[:7] == 0).all()


def test_they_do_not_change_the_rows():
    X = np.random.default_rng(0).normal(size=(4, 30))
    before = X.copy()
    other = make_moments("dense", 30, dtype="float64")
    other.update(Minibatch(X + 1))
    few = dense_of_few(X)
    few.merge(other)
    few.decay(0.5)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((0, 5)),
        np.ones((3, 6)),
        np.ones((2, 9), "float32"),
        np.array([[0.0] * 5, [1e200] * 5]),
    ],
    ids=["none", "many", "float32", "too large"],
)
def test_other_rows_are_left_to_an_update(X):
    assert dense_of_few(X) is None
