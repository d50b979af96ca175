"""Sparse rows have the moments that the same rows have when they are dense."""

import numpy as np
import pytest
import scipy.sparse
from oracle import batch_covariance

from streampca.moments import make_moments


def rows(m=240, n=12, stored=0.3, seed=0):
    """Rows (m, n): a third of the features stored everywhere, one of them constant."""
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(m, n)) / np.arange(1, n + 1)
    X[:, n // 3 :] *= draws.random((m, n - n // 3)) < stored
    X[:, 1] = 3.0
    return X


def fed(X, size, kind="dense", dtype="float64", weights=None):
    moments = make_moments(kind, X.shape[1], n_directions=X.shape[1], dtype=dtype)
    for start in range(0, len(X), size):
        piece = slice(start, start + size)
        w = None if weights is None else weights[piece]
        moments.update(scipy.sparse.csr_array(X[piece].astype(dtype)), w)
    return moments


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("size", [1, 7, 100, 240])
@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6, 1e8, -1e8])
def test_means_far_above_the_spread_cost_no_digits(kind, size, mean):
    X = rows()
    X[:, :4] += mean
    moments = fed(X, size, kind)
    expected_mean, Sigma = batch_covariance(X)
    # entries themselves are rounded to 1e-16 of the mean, and so are means of minibatches
    allowed = 1e-12 + 30 * np.finfo("float64").eps * abs(mean)
    np.testing.assert_allclose(moments @ np.eye(12), Sigma, atol=allowed)
    np.testing.assert_allclose(moments.variance, np.diag(Sigma), atol=allowed)
    np.testing.assert_allclose(moments.mean, expected_mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_and_dense_rows_are_equally_exact(kind, dtype):
    X = (rows() + np.r_[1e3, np.zeros(11)]).astype(dtype)
    sparse = fed(X, 50, kind, dtype)
    dense = make_moments(kind, 12, n_directions=12, dtype=dtype)
    for start in range(0, len(X), 50):
        dense.update(X[start : start + 50])
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(sparse @ np.eye(12), dense @ np.eye(12), atol=tolerance)


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("value", [0.1, 1.0, 1e6, 1e-9])
@pytest.mark.parametrize("size", [1, 3, 20])
def test_what_does_not_vary_has_no_variance_at_all(kind, value, size):
    X = np.tile(np.r_[value, 0.0, 3 * value, 7.0], (20, 1))
    moments = fed(X, size, kind)
    assert (moments.variance == 0).all()
    assert (moments @ np.eye(4) == 0).all()


def test_variances_are_never_negative():
    for seed in range(50):
        moments = fed(rows(7, 12, seed=seed) + np.r_[1e9, np.zeros(11)], 3)
        assert (moments.variance >= 0).all()


@pytest.mark.parametrize("size", [7, 240])
def test_weights_count_as_copies_beside_large_means(size):
    X, draws = rows(), np.random.default_rng(1)
    X[:, :4] += 1e7
    weights = draws.integers(0, 5, len(X)).astype("float64")
    moments = fed(X, size, weights=weights)
    _, Sigma = batch_covariance(X, weights)
    np.testing.assert_allclose(moments @ np.eye(12), Sigma, atol=1e-7)


def test_entries_stored_twice_add_up():
    X = scipy.sparse.csr_array(
        (np.array([1.0, 2.0, 5.0, 1.0]), np.array([0, 0, 1, 0]), np.array([0, 2, 3, 4])),
        shape=(3, 2),
    )
    moments = make_moments("dense", 2, dtype="float64")
    moments.update(X)
    np.testing.assert_allclose(moments @ np.eye(2), np.cov(X.toarray().T), atol=1e-14)
    assert X.nnz == 4  # the caller's array is as it was


@pytest.mark.parametrize("stored", [0.005, 0.05])
def test_products_of_sparse_and_of_denser_rows_agree(stored):
    # on both sides of the share from which pieces are made dense
    X = rows(700, 60, stored)
    X[:, :20] *= np.random.default_rng(2).random((700, 20)) < stored
    moments = fed(X, 350)
    np.testing.assert_allclose(moments @ np.eye(60), np.cov(X.T), atol=1e-13)
