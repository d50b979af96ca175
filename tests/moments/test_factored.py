"""Factored moments: how much they may lose, what they must never miss, what they may hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.moments import make_moments
from streampca.rows import Minibatch


def spiked(m, n, seed=0, decay=0.7):
    draws = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(draws.normal(size=(n, n)))
    return (draws.normal(size=(m, n)) * decay ** np.arange(n)) @ basis.T


def fed(X, q, size, dtype="float64"):
    moments = make_moments("factored", X.shape[1], n_directions=q, dtype=dtype)
    for start in range(0, len(X), size):
        moments.update(Minibatch(X[start : start + size].astype(dtype)))
    return moments


@settings(max_examples=40, deadline=None)
@given(
    q=st.integers(1, 12),
    size=st.integers(1, 60),
    order=st.sampled_from(["as drawn", "by first feature", "growing", "shrinking"]),
    seed=st.integers(0, 10),
)
def test_discarded_variance_bounds_the_spectral_error_in_any_order(q, size, order, seed):
    X = spiked(150, 15, seed, decay=0.9)
    if order == "by first feature":
        X = X[np.argsort(X[:, 0])]
    elif order == "growing":
        X = X[np.argsort((X**2).sum(1))]
    elif order == "shrinking":
        X = X[np.argsort(-(X**2).sum(1))]
    moments = fed(X, q, size)
    error = np.linalg.norm(np.cov(X.T) - moments @ np.eye(15), 2)
    assert error <= moments.discarded_variance * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("size", [5, 50])
def test_nothing_is_discarded_when_all_directions_fit(size):
    X = spiked(100, 30)[:, :] @ np.diag(np.r_[np.ones(6), np.zeros(24)])
    moments = fed(X, 8, size)
    assert moments.discarded_variance <= 1e-6 * moments.total_variance
    np.testing.assert_allclose(moments @ np.eye(30), np.cov(X.T), atol=1e-12)


def test_a_direction_that_no_earlier_row_had_a_share_in_is_found():
    # rows live in features 0..4 first, then in 5..9 only, symmetric about zero: Sigma A has no
    # part in the new features, and a step that looked nowhere else would never see them
    draws = np.random.default_rng(0)
    old, new = np.zeros((600, 10)), np.zeros((2000, 10))
    old[:, :5] = draws.normal(size=(600, 5))
    half = 5 * draws.normal(size=(1000, 5))
    new[:, 5:] = np.concatenate([half, -half])[np.arange(2000).reshape(2, 1000).T.ravel()]
    moments = fed(np.concatenate([old, new]), 3, 100)
    A, _ = moments.leading(3)
    assert np.linalg.norm(A[5:], axis=0).min() > 0.99


def test_zeros_first_and_data_later():
    X = spiked(400, 20)
    moments = make_moments("factored", 20, n_directions=10, dtype="float64")
    moments.update(Minibatch(np.zeros((200, 20))))
    moments.update(Minibatch(X))
    expected = np.linalg.eigvalsh(np.cov(np.concatenate([np.zeros((200, 20)), X]).T))[::-1]
    np.testing.assert_allclose(moments.leading(3)[1], expected[:3], rtol=1e-6)


def test_directions_stay_orthonormal_over_many_float32_updates():
    draws = np.random.default_rng(0)
    moments = make_moments("factored", 40, n_directions=8, dtype="float32")
    for _ in range(3000):
        moments.decay(0.98)
        moments.update(Minibatch(draws.normal(size=(10, 40)).astype("float32")))
    U = moments.leading(8)[0].astype("float64")
    assert np.abs(U.T @ U - np.eye(8)).max() <= 1e-5


def test_state_holds_no_more_than_its_directions():
    # n = 100,000 and p = 20: at most 3 n q numbers, and never an n x n array (80 GB)
    n, q = 100_000, 40
    moments = make_moments("factored", n, n_directions=q, dtype="float32")
    X = np.random.default_rng(0).normal(size=(60, n)).astype("float32")
    moments.update(Minibatch(X))
    moments.update(Minibatch(X))
    assert sum(array.size for array in moments.state().values()) <= 3 * n * q


def test_one_feature_and_one_direction():
    X = np.random.default_rng(0).normal(size=(50, 1))
    for size in (1, 7, 50):
        values = fed(X, 1, size).leading(1)[1]
        np.testing.assert_allclose(values, X.var(ddof=1), rtol=1e-10)


@pytest.mark.parametrize("step", [0.0, 0.5, 3.0, 1e4])
@pytest.mark.parametrize("silent", [0, 1, 6])
def test_a_mean_that_moves_is_centred_as_well_as_one_at_rest(step, silent):
    # whether a minibatch's own mean is subtracted from its rows or from products depends on it
    draws = np.random.default_rng(0)
    X = draws.normal(size=(400, 18)) * np.linspace(5, 1, 18)
    X[:, 17] = 0.1
    X[:200, :silent] = 3.0
    X[:, 8:11] += np.repeat(np.arange(4), 100)[:, None] * [step, -step, 2 * step]
    moments = fed(X, 18, 50)
    expected = np.cov(X.T)
    error = moments @ np.eye(18) - expected
    assert np.linalg.norm(error, 2) <= 1e-12 * np.linalg.norm(expected, 2)
    np.testing.assert_allclose(moments.variance, X.var(0, ddof=1), rtol=1e-11, atol=1e-20)
