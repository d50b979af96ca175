"""Claims about precision, scores and whitening where the covariance is, or is nearly, singular."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from streampca import StreamingPCA

MEMORY = st.sampled_from(["dense", "factored"])


def low_rank(seed, m, n, rank):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(m, rank)) @ draws.normal(size=(rank, n)) + draws.normal(size=n)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**20),
    m=st.integers(1, 40),
    n=st.integers(1, 12),
    rank=st.integers(0, 12),
    p=st.integers(1, 12),
    memory=MEMORY,
)
def test_precision_is_the_pseudo_inverse_of_the_covariance(seed, m, n, rank, p, memory):
    pca = StreamingPCA(min(p, n), memory=memory).fit(low_rank(seed, m, n, rank))
    S, K = pca.get_covariance(), pca.get_precision()
    assert np.isfinite(K).all()
    # Penrose's four; each product carries the condition of what is inverted
    values = np.linalg.eigvalsh(S)
    shown = values[values > 1e-12 * max(values[-1], 1e-300)]
    condition = shown[-1] / shown[0] if len(shown) else 1.0
    tolerance = 1e-13 * n * condition
    np.testing.assert_allclose(S @ K @ S, S, atol=tolerance * (np.abs(S).max() or 1.0))
    np.testing.assert_allclose(K @ S @ K, K, atol=tolerance * (np.abs(K).max() or 1.0))
    np.testing.assert_allclose(S @ K, K @ S, atol=tolerance)
    np.testing.assert_allclose(K, K.T, atol=tolerance * (np.abs(K).max() or 1.0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_with_all_components_precision_is_that_of_scikit_learn(digits, memory, dtype):
    X = digits[:, 18:30].astype(dtype)
    theirs = PCA(12).fit(X.astype("float64"))
    ours = StreamingPCA(12, memory=memory).fit(X)
    rel = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), rtol=rel, atol=rel)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=rel)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**20),
    m=st.integers(2, 40),
    n=st.integers(2, 12),
    rank=st.integers(1, 11),
    memory=MEMORY,
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_score_is_the_density_within_the_span_and_nothing_outside(
    seed, m, n, rank, memory, dtype
):
    """As scipy has it; also where there are more components than rows."""
    X = low_rank(seed, m, n, min(rank, n - 1)).astype(dtype)
    pca = StreamingPCA(min(n, m), memory=memory).fit(X)
    scores = pca.score_samples(X)
    assert np.isfinite(scores).all()
    assert pca.noise_variance_ == 0
    if dtype == "float64":
        law = multivariate_normal(X.mean(axis=0), np.cov(X.T), allow_singular=True)
        values = np.linalg.eigvalsh(np.cov(X.T))
        if values[values > 1e-14 * values[-1]].min() > 1e-4 * values[-1]:  # what rank is, is clear
            expected = law.logpdf(X)
            inside = np.isfinite(expected)  # theirs has less patience with rounding
            np.testing.assert_allclose(scores[inside], expected[inside], rtol=1e-6, atol=1e-6)
    null = np.linalg.eigh(np.cov(X.T))[1][:, 0]  # the rank is less than n
    outside = X.mean(axis=0) + np.outer([1.0, -1.0, 3.0], null) * np.ptp(X)
    found = pca.score_samples(outside.astype(dtype))
    if dtype == "float32" and m >= n:  # there, rounding of the rows is a variance of its own
        assert (found < scores.min() - 1e4).all()
    else:
        assert (found == -np.inf).all()


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_more_components_than_rows_score_no_rounding(memory):
    draws = np.random.default_rng(0)
    pca = StreamingPCA(10, memory=memory).fit(draws.normal(size=(5, 20)))
    assert pca.score(draws.normal(size=(5, 20))) == -np.inf  # -1.8e14 is no density
    assert np.linalg.matrix_rank(pca.get_precision()) == 4


@pytest.mark.parametrize("X", [np.full((1, 3), 7.0), np.full((9, 3), 7.0), np.zeros((4, 3))])
def test_where_nothing_varies_precision_is_zero_and_only_the_mean_has_a_density(X):
    pca = StreamingPCA(2, whiten=True).fit(X)
    assert not pca.get_precision().any()
    assert pca.score(X) == 0.0
    assert pca.score(X + 1) == -np.inf
    assert not pca.transform(X + 1).any()


@pytest.mark.parametrize("family", ["steep", "one large feature", "polynomial"])
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_float32_rows_that_were_learned_have_a_finite_score(family, memory):
    draws = np.random.default_rng(0)
    X = {
        "steep": draws.normal(size=(40, 17)) * 0.1 ** np.arange(17),
        "one large feature": draws.normal(size=(40, 4)) * [1e4, 1, 1, 1],
        "polynomial": np.linspace(0.1, 1, 17) ** draws.uniform(0, 5, size=(40, 1)),
    }[family].astype("float32")
    p = {"steep": 7, "one large feature": 1, "polynomial": 7}[family]
    pca = StreamingPCA(p, memory=memory).fit(X)
    assert pca.score(X) > -1e3


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whitening_stays_finite_when_variance_is_forgotten(memory, dtype):
    X = (np.random.default_rng(0).normal(size=(200, 6)) * [5, 4, 3, 2, 1, 1] + 3).astype(dtype)
    pca = StreamingPCA(3, whiten=True, memory=memory, half_life=1, batch_size=8).fit(X)
    for _ in range(300):  # the same row again and again: its variance halves with each
        pca.partial_fit(X[:1])
        Z = pca.transform(X)
        assert np.isfinite(Z).all()
        np.testing.assert_allclose(Z[0], 0.0, atol=1e3)
    assert not Z.any()  # below the steps between numbers of this size there is no variance
