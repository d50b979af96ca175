"""Digits that were lost once: nearly parallel rows, units at the ends of floats, heavy rows."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from streampca import StreamingPCA


@pytest.mark.parametrize("apart", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
@pytest.mark.parametrize("before", [0, 5])
def test_rows_that_are_nearly_parallel_lose_no_digits(apart, before):
    """Eigenpairs of what is remembered are those of Sigma, to rounding of its first eigenvalue."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=60) + apart * rng.normal(size=(4, 60))
    X = np.concatenate([rng.normal(size=(before, 60)), X])
    pca = StreamingPCA(len(X), memory="factored", center=False)
    if before:
        pca.partial_fit(X[:before])
    pca.partial_fit(X[before:])
    C, values = pca.components_, pca.explained_variance_
    off = np.linalg.norm((C @ X.T) @ X / len(X) - values[:, None] * C, axis=1)
    # a sum of few rows, each product of 60 terms: some tens of eps
    assert off.max() <= 1e-13 * values[0]


@pytest.mark.parametrize("n", [20, 253])
@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(
    ("dtype", "unit", "rtol"),
    [
        *(("float64", 1e140, 1e-12), ("float64", 1e150, 1e-12), ("float64", 1e-150, 1e-12)),
        *(("float32", 1e14, 1e-6), ("float32", 1e18, 1e-6), ("float32", 1e-15, 1e-6)),
    ],
)
def test_units_at_the_ends_of_floats_change_nothing(n, memory, dtype, unit, rtol):
    """Warnings are errors here: nothing overflows on the way, in readings after each call too."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, n)) * np.arange(1, n + 1) ** -0.6).astype(dtype)
    found = []
    for factor in (1.0, unit):
        pca = StreamingPCA(5, memory=memory)
        for start in range(0, 300, 50):
            pca.partial_fit(X[start : start + 50] * np.array(factor, dtype))
            _ = pca.components_, pca.get_precision(), pca.residuals_
        scaled = (pca.explained_variance_, pca.noise_variance_, pca.var_, pca.mean_**2)
        found.append([value / factor / factor for value in scaled])
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, own, rtol=30 * rtol, atol=rtol * found[0][2].sum())


@pytest.mark.parametrize("center", [True, False])
def test_noise_of_large_float32_rows_is_a_number(center):
    X = np.random.default_rng(0).normal(size=(50, 12)).astype("float32") * np.float32(1e19)
    pca = StreamingPCA(3, center=center).fit(X)
    truth = X.astype("float64") - (X.astype("float64").mean(0) if center else 0.0)
    values = np.linalg.svd(truth, compute_uv=False) ** 2 / (49 if center else 50)
    np.testing.assert_allclose(pca.noise_variance_, values[3:].mean(), rtol=1e-5)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("p", [3, 4, 7, 30])
@pytest.mark.parametrize("n", [30, 300])
def test_rows_of_low_rank_leave_no_noise(memory, p, n):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, n)) + 5
    pca = StreamingPCA(p, memory=memory)
    for start in range(0, 200, 40):
        pca.partial_fit(X[start : start + 40])
    assert pca.noise_variance_ == 0
    P = np.linalg.pinv(np.cov(X.T), rcond=1e-10)
    np.testing.assert_allclose(pca.get_precision(), P, rtol=1e-7, atol=1e-9 * np.abs(P).max())
    assert np.isfinite(pca.score_samples(X)).all()


@pytest.mark.parametrize("share", [1e-9, 1e-11, 1e-13])
def test_noise_far_below_the_components_is_noise(share):
    """The cut that takes rounding for nothing takes nothing else."""
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(200, 10))
    Z = np.linalg.qr(Z - Z.mean(0))[0] * 199**0.5
    deviations = np.r_[1.0, 0.5, np.full(8, (share / 8) ** 0.5)]
    X = (Z * deviations) @ np.linalg.qr(rng.normal(size=(10, 10)))[0]
    noise = StreamingPCA(2, memory="dense").fit(X).noise_variance_
    np.testing.assert_allclose(noise, share / 8, rtol=1e-14 / share + 1e-6)


def test_learned_rows_have_a_density_where_eigenvalues_were_cut():
    """Eigenvalues fall through the rounding of the first, with all components kept."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = np.linspace(0, 1, 51) ** np.arange(1, 30)[rng.integers(0, 29, (18, 1))]
        X = X + rng.normal(size=(18, 1)) * np.linspace(0, 1, 51) ** 2
        assert np.isfinite(StreamingPCA(51).fit(X).score_samples(X)).all()


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("heavy", [1e3, 1e6, 1e9])
def test_sparse_rows_keep_their_variances_beside_heavy_ones(memory, heavy):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(12, 40)) * (rng.random((12, 40)) < 0.2)
    w = rng.choice([1.0, 2.0, 3.0], size=12)
    w[[3, 7]] *= heavy
    X[:, :9] = 0.0
    X[[3, 7], :9] = rng.normal(size=(1, 9)) + 3.0  # what the others hold is zeros beside these
    pca = StreamingPCA(4, memory=memory).partial_fit(scipy.sparse.csr_array(X), sample_weight=w)
    dense = StreamingPCA(4, memory=memory).partial_fit(X, sample_weight=w)
    exact = []
    W = sum(map(Fraction, w))
    for column in X.T:
        mean = sum(Fraction(a) * Fraction(b) for a, b in zip(w, column, strict=True)) / W
        squares = (Fraction(a) * (Fraction(b) - mean) ** 2 for a, b in zip(w, column, strict=True))
        exact.append(float(sum(squares)))
    exact = np.array(exact) / (W - 1)
    np.testing.assert_allclose(dense.var_, exact.astype(float), rtol=1e-12)
    np.testing.assert_allclose(pca.var_, exact.astype(float), rtol=1e-12)
