"""Right values on smooth, steep and low-rank rows: each was wrong once, or nearly was."""

import numpy as np
import pytest
import scipy.sparse
from oracle import batch_covariance, batch_pca
from spectra import images, mesh, moving_peaks

from streampca import StreamingPCA

ORTHONORMAL = {"float32": 1e-4, "float64": 1e-10}


def peaks(m, n, width, seed=0):
    """Gaussian peaks at random places."""
    grid = np.linspace(0, 1, n)
    at = np.random.default_rng(seed).uniform(size=(m, 1))
    return np.exp(-(((grid - at) / width) ** 2))


def spectrum(m, deviations, seed=0):
    """Rows whose own covariance has exactly these standard deviations."""
    rng, k = np.random.default_rng(seed), len(deviations)
    Z = rng.normal(size=(m, k))
    Z = np.linalg.qr(Z - Z.mean(0))[0] * (m - 1) ** 0.5
    return (Z * deviations) @ np.linalg.qr(rng.normal(size=(k, k)))[0].T


def true_values(X, p):
    Z = X.astype("float64") - X.astype("float64").mean(0)
    s = np.linalg.svd(Z, compute_uv=False)[:p] ** 2 / (len(X) - 1)
    return np.pad(s, (0, p - len(s)))


def assert_sound(pca, X, lost=5e-4):
    """Orthonormal, no more than all there is, and right to within the certificate.

    `lost` is the share of the first eigenvalue that factored memory may lose: its certificate is a
    worst case, which would let too much pass.
    """
    C, values, dtype = pca.components_.astype("float64"), pca.explained_variance_, str(X.dtype)
    there = (C != 0).any(axis=1)
    assert np.abs(C @ C.T - np.diag(there * 1.0)).max() <= ORTHONORMAL[dtype]
    true = true_values(X, len(values))
    rounding = {"float32": 2e-5, "float64": 1e-12}[dtype] * true[0] * (len(values) + 1)
    off = np.abs(values - true).max()
    assert off <= pca.discarded_variance_ + rounding
    assert off <= lost * true[0]
    assert values.sum() <= pca.var_.sum() + rounding
    assert (pca.residuals_ <= (1e-10 if dtype == "float64" else 1e-5)).all()


@pytest.mark.parametrize("memory", ["auto", "factored", "dense"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_spectra_of_1100_wavelengths_read_after_each_fifty(memory, dtype):
    X = peaks(400, 1100, 0.1).astype(dtype)
    pca = StreamingPCA(n_components=20, memory=memory)
    for i in range(0, 400, 50):
        pca.partial_fit(X[i : i + 50])
        assert_sound(pca, X[: i + 50])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize(("m", "n", "p"), [(100, 1100, 50), (100, 2048, 20), (60, 5000, 50)])
def test_one_call_of_smooth_rows(m, n, p, width, dtype):
    X = peaks(m, n, width).astype(dtype)
    assert_sound(StreamingPCA(p).partial_fit(X), X)
    assert_sound(StreamingPCA(p, memory="factored", batch_size=30).partial_fit(X), X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [60, 300, 1100])
@pytest.mark.parametrize("piece", [20, 400])
@pytest.mark.parametrize(
    "deviations",
    [
        lambda i: 0.5**i,
        lambda i: 0.7**i,
        lambda i: (i < 1) * 1.0,
        lambda i: (i < 5) * 1.0,
        lambda i: np.where(i < 5, 1.0, 1e-6),
        lambda i: np.where(i < 5, 1.0, 1e-9),
        lambda i: (1.0 + i) ** -2,
    ],
    ids=["0.5^i", "0.7^i", "rank 1", "rank 5", "rank 5, 1e-6", "rank 5, 1e-9", "i^-2"],
)
def test_steep_spectra_with_factored_memory(deviations, piece, n, dtype):
    k = min(n, 300)
    X = spectrum(400, deviations(np.arange(k)))
    X = np.pad(X, ((0, 0), (0, n - k))).astype(dtype)
    pca = StreamingPCA(20, memory="factored")
    for i in range(0, 400, piece):
        pca.partial_fit(X[i : i + piece])
        if i % 100 == 0:
            assert_sound(pca, X[: i + piece])
    assert_sound(pca, X)


@pytest.mark.parametrize("rows", [moving_peaks, images, mesh])
def test_many_updates_of_smooth_rows_let_nothing_grow(rows):
    X = rows(np.random.default_rng(0), 1000, 200)
    pca = StreamingPCA(10, memory="factored", batch_size=20)
    for i in range(0, 1000, 20):
        pca.partial_fit(X[i : i + 20])
    assert_sound(pca, X, lost=2e-3)


# --- one feature beside which float32 has no digits left -----------------------------------------


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("large", [0, 150])
@pytest.mark.parametrize("p", [10, 20])
@pytest.mark.parametrize("piece", [50, 1200])
def test_float32_beside_one_large_feature(memory, large, p, piece):
    """Eigenvalues far below the first are right relative to themselves.

    A feature in units of its own costs the others no digits: rounding is relative to each entry,
    and products of two features are off by eps times both of their deviations. What factored
    memory loses to its few directions is what it loses in float64; three times that and 2 % is
    still something to work with, where 80 % off was found.
    """
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1200, 300)) * np.arange(1.0, 301) ** -0.45
    X[:, large] *= 100
    X = X.astype("float32")
    found = {}
    for dtype in ("float32", "float64"):
        pca = StreamingPCA(p, memory=memory)
        for i in range(0, 1200, piece):
            pca.partial_fit(X[i : i + piece].astype(dtype))
        found[dtype] = pca.explained_variance_
    true = true_values(X, p)
    lost = np.abs(found["float64"] - true)
    assert (np.abs(found["float32"] - true) <= 3 * lost + 0.02 * true).all()


# --- where memory turns from one kind to the other ------------------------------------------------


@pytest.mark.parametrize("n", [1024, 1025, 1100])
def test_the_default_is_exact_beyond_1024_features_too(n):
    X = np.random.default_rng(0).normal(size=(600, n)) * np.arange(1.0, n + 1) ** -0.5
    pca = StreamingPCA(10)
    for i in range(0, 600, 100):
        pca.partial_fit(X[i : i + 100])
    np.testing.assert_allclose(pca.explained_variance_, true_values(X, 10), rtol=1e-9)
    assert pca.discarded_variance_ == 0


# --- precision, whitening, scores -----------------------------------------------------------------


def test_precision_with_all_components_is_the_inverse_of_the_covariance():
    X = np.random.default_rng(0).normal(size=(200, 8)) @ np.diag(np.arange(1.0, 9))
    pca = StreamingPCA(8).fit(X)
    np.testing.assert_allclose(pca.get_covariance(), np.cov(X.T), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(
        pca.get_precision(), np.linalg.inv(np.cov(X.T)), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("p", [3, 5, 8])
def test_precision_of_rank_deficient_rows_is_the_pseudo_inverse(p):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
    pca = StreamingPCA(p).fit(X)
    P, S = pca.get_precision(), np.cov(X.T)
    np.testing.assert_allclose(P, np.linalg.pinv(S, rcond=1e-10), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [30, 200, 300, 600, 1000, 1080, 3000])
def test_whitening_stays_finite_after_long_forgetting(memory, dtype, rows):
    X = np.random.default_rng(0).normal(size=(300, 6)) * np.arange(1, 7) + 3
    X = X.astype(dtype)
    pca = StreamingPCA(3, memory=memory, whiten=True, forgetting_factor=0.5).partial_fit(X)
    pca.partial_fit(np.repeat(X[:1], rows, axis=0))
    assert np.isfinite(pca.explained_variance_).all()
    assert np.isfinite(pca.transform(X)).all()
    assert np.isfinite(pca.inverse_transform(pca.transform(X))).all()


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whitening_stays_finite_after_decays(memory, dtype):
    X = np.random.default_rng(0).normal(size=(300, 6)) * np.arange(1, 7) + 3
    X = X.astype(dtype)
    pca = StreamingPCA(3, memory=memory, whiten=True).partial_fit(X)
    for _ in range(5):
        pca.decay(1e-150)
        assert np.isfinite(pca.explained_variance_).all()
        assert np.isfinite(pca.transform(X)).all()
    pca.partial_fit(X)
    assert np.isfinite(pca.transform(X)).all()
    np.testing.assert_allclose(pca.explained_variance_, true_values(X, 3), rtol=1e-4)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(("m", "n", "p"), [(10, 40, 9), (10, 40, 30), (10, 40, 40), (50, 100, 80)])
def test_scores_with_more_components_than_rows(memory, m, n, p):
    """Scores of new rows are numbers that can be compared, not the rounding of zero inverted."""
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(m, n)), rng.normal(size=(m, n))
    pca = StreamingPCA(p, memory=memory).fit(X)
    # the mean quadratic form of the rows themselves is at most n, and the logarithm of the
    # determinant at least n log(eps lambda_1)
    assert abs(pca.score(X)) <= n * (2 + 40)
    # where the model is singular, a row outside of its span has no density at all: minus infinity,
    # as scipy's multivariate_normal says
    scores = pca.score_samples(new)
    assert ((scores == -np.inf) | (np.abs(scores) < 1e6)).all()
    inside = X.mean(0) + rng.normal(size=(5, m)) @ (X - X.mean(0)) / m
    if p >= m - 1:
        assert np.isfinite(pca.score_samples(inside)).all()


# --- sparse rows far from zero ------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("far", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("share", [0.05, 1.0])
def test_sparse_rows_with_large_means_are_as_right_as_dense_ones(memory, far, share):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 20)) / np.arange(1, 21) + far) * (rng.random((300, 20)) < share)
    X[:, ::4] = rng.normal(size=(300, 5)) + far  # columns without a zero beside the others
    pca = StreamingPCA(5, memory=memory)
    for i in range(0, 300, 50):
        pca.partial_fit(scipy.sparse.csr_array(X[i : i + 50]))
    mean, Sigma = batch_covariance(X)
    eps, total = np.finfo(float).eps, np.trace(Sigma)
    # a mean is known to a few eps of itself, and is multiplied with the spread
    slack = 100 * eps * (total + total**0.5 * np.linalg.norm(mean))
    np.testing.assert_allclose(pca.mean_, mean, atol=20 * eps * (far + 1))
    np.testing.assert_allclose(pca.var_, np.diag(Sigma), atol=slack)
    values = np.linalg.eigvalsh(Sigma)[::-1][:5]
    np.testing.assert_allclose(
        pca.explained_variance_, values, atol=slack + pca.discarded_variance_
    )


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_sparse_rows_that_are_all_equal_have_no_variance(memory):
    X = scipy.sparse.csr_array(np.tile(np.random.default_rng(0).normal(size=30), (7, 1)))
    pca = StreamingPCA(5, memory=memory).partial_fit(X[:3]).partial_fit(X[3:])
    assert (pca.var_ == 0).all() or np.abs(pca.var_).max() <= 1e-28
    assert pca.explained_variance_.max() <= 1e-28
    _, _, values, _ = batch_pca(X.toarray(), 5)
    assert (pca.var_ >= 0).all()
    assert values.max() <= 1e-28
