"""Any rows in any pieces: batch PCA's answer to the stated tolerance, never NaN, never silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import batch_pca
from strategies import data_matrices, seeds, splits

from streampca import StreamingPCA

EPS = np.finfo("float64").eps


@st.composite
def streams(draw):
    """Rows in pieces, in units from 1e-150 to 1e148, maybe far from zero, maybe weighted."""
    X = draw(data_matrices(max_rows=60, max_features=10))
    size = np.abs(X).max() or 1.0
    X = X / size * draw(st.sampled_from([1e-150, 1e-20, 1.0, 1e20, 1e148]))
    far = draw(st.sampled_from([0.0, 0.0, 1e4, 1e8]))
    X = X + far * X.std() if X.std() > 0 and np.abs(X).max() < 1e130 else X
    weights = None
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(seeds))
        weights = rng.choice([0.0, 1.0, 2.5, 1e3], size=len(X))
    pieces = draw(splits(np.arange(len(X))))
    p = draw(st.integers(1, X.shape[1]))
    return X, weights, pieces, p


def learned(X, weights, pieces, **options):
    pca = StreamingPCA(**options)
    for piece in pieces:
        pca.partial_fit(X[piece], None if weights is None else weights[piece])
    return pca


def tolerance(X, weights):
    """Rounding of the covariance, relative to its trace: that of differences from the mean."""
    w = np.ones(len(X)) if weights is None else weights
    scale = np.abs(X).max() or 1.0
    Y = X / scale
    spread = float(((Y - np.average(Y, axis=0, weights=w)) ** 2).max()) ** 0.5
    return 1e-12 + 100 * X.size * EPS * min(1.0 / max(spread, 1e-300), 1e300)


@settings(max_examples=150)
@given(stream=streams(), memory=st.sampled_from(["dense", "factored"]), batch=st.integers(1, 70))
def test_any_rows_in_any_pieces_are_batch_pca(stream, memory, batch):
    X, weights, pieces, p = stream
    pca = learned(X, weights, pieces, n_components=p, memory=memory, batch_size=batch)
    C, values = pca.components_, pca.explained_variance_
    for shown in (C, values, pca.mean_, pca.var_, pca.noise_variance_, pca.loss_, pca.residuals_):
        assert np.isfinite(shown).all()
    np.testing.assert_allclose(C @ C.T, np.eye(p), atol=1e-10)
    assert pca.n_samples_seen_ == len(X)
    if weights is not None and weights.sum() == 0:
        assert (values == 0).all()
        return
    scale = np.abs(X).max() or 1.0
    mean, _, variances, total = batch_pca(X / scale, p, weights)
    bound = tolerance(X, weights)
    if bound > 1e-3 or total < 1e-24:
        return  # here there is nothing but rounding
    np.testing.assert_allclose(pca.mean_ / scale, mean, atol=1e-13 + 100 * EPS)
    # relative to the total, variances need no convention for weights
    np.testing.assert_allclose(values / pca.var_.sum(), variances / total, atol=bound)


@settings(max_examples=60)
@given(stream=streams(), cut=st.floats(0, 1), memory=st.sampled_from(["dense", "factored"]))
def test_merging_is_commutative_and_is_learning_in_one_stream(stream, cut, memory):
    X, weights, _, p = stream
    at = round(cut * len(X))
    parts = [slice(0, at), slice(at, None)]
    left, right = (
        learned(X, weights, [part] if len(X[part]) else [], n_components=p, memory=memory)
        for part in parts
    )
    whole = learned(X, weights, [slice(None)], n_components=p, memory=memory)
    one = StreamingPCA(p, memory=memory).merge(left).merge(right)
    other = StreamingPCA(p, memory=memory).merge(right).merge(left)
    scale = np.abs(X).max() or 1.0
    bound = tolerance(X, weights) if weights is None or weights.sum() else 1.0
    total = max(whole.var_.sum(), 1e-300)
    for merged in (one, other):
        np.testing.assert_allclose(merged.mean_ / scale, whole.mean_ / scale, atol=1e-13)
        if bound < 1e-3 and whole.var_.sum() / scale / scale > 1e-24:
            np.testing.assert_allclose(
                merged.explained_variance_ / total, whole.explained_variance_ / total, atol=bound
            )


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_a_thousand_million_rows_of_weight_do_not_drift(memory):
    X = np.random.default_rng(0).normal(size=(1000, 5)) * [5, 4, 3, 2, 1] + 10
    pca = StreamingPCA(3, memory=memory)
    for _ in range(100):
        pca.partial_fit(X, sample_weight=np.full(1000, 1e4))
    mean, components, variances, _ = batch_pca(X, 3)
    assert pca.weight_ == pytest.approx(1e9)
    np.testing.assert_allclose(pca.mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(pca.explained_variance_, variances * 999 / 1000, rtol=1e-7)
    np.testing.assert_allclose(np.abs((pca.components_ * components).sum(axis=1)), 1, atol=1e-12)


@pytest.mark.parametrize("gamma", [1e-9, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_forgetting_near_its_ends(gamma, memory):
    X = np.random.default_rng(0).normal(size=(300, 4)) * [4, 3, 2, 1] + 5
    pca = learned(X, None, [slice(i, i + 7) for i in range(0, 300, 7)], n_components=2,
                  memory=memory, forgetting_factor=gamma)  # fmt: skip
    w = gamma ** np.arange(299, -1, -1.0)
    mean = w @ X / w.sum()
    np.testing.assert_allclose(pca.mean_, mean, rtol=1e-9)
    assert np.isfinite(pca.components_).all()
    if gamma > 0.9:
        variances = batch_pca(X, 2)[2]
        np.testing.assert_allclose(pca.explained_variance_, variances, rtol=1e-6)
