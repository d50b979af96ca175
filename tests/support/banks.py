"""A bank beside single estimators."""

import numpy as np
import pytest

from streampca import StreamingPCA


def fed(bank, batches):
    """What a bank has been given: of (X, keys, weights, factor) all that has a weight."""
    history = []
    for X, keys, weights, factor in batches:
        if weights is not None and not weights.any():
            continue
        bank.partial_fit(X, keys, weights)
        if factor is not None:
            bank.decay(factor)
        history.append((X, keys, weights, factor))
    return history


def single(bank, key, history, **parameters):
    """One estimator that has seen what the bank has seen of a key, in the same order."""
    pca = StreamingPCA(**parameters, memory="dense")
    for X, keys, weights, factor in history:
        mine = np.array([type(k) is type(key) and k == key for k in keys])
        w = None if weights is None else weights[mine]
        if mine.any() and (w is None or w.any()):
            pca.partial_fit(X[mine], sample_weight=w)
            pca.flush()
        if factor is not None and pca._learner is not None:
            pca.decay(factor)
    return pca


def after(pca, p):
    """The eigenvalue that comes after the p largest; 0 where there is none."""
    moments = pca._learner.moments
    if pca.scale:
        moments = moments.rescaled(moments.scale)
    values = np.linalg.eigvalsh(moments.scatter)[::-1] / moments.denominator
    return values[p] if len(values) > p else 0.0


def assert_same(model, pca, size=1.0):
    """To rounding; components where their variances are apart."""
    tolerance = 1e-12 if model.components_.dtype == "float64" else 1e-5
    assert model.n_samples_seen_ == pca.n_samples_seen_
    assert model.weight_ == pytest.approx(pca.weight_, rel=1e-12)
    np.testing.assert_allclose(model.mean_, pca.mean_, rtol=tolerance, atol=tolerance * size)
    np.testing.assert_allclose(
        model.explained_variance_,
        pca.explained_variance_,
        rtol=tolerance * 100,
        atol=tolerance * max(size * size, pca.explained_variance_[0]),
    )
    C, values = model.components_.astype("float64"), pca.explained_variance_
    np.testing.assert_allclose(
        C @ C.T, np.eye(len(C)), atol=max(tolerance, 1e-6 * (C.dtype != "float64"))
    )
    gaps = np.abs(np.diff(values, append=after(pca, len(values)), prepend=np.inf))
    apart = np.minimum(gaps[1:], gaps[:-1]) > 1e-3 * values[0] * size
    cosines = np.abs((C * pca.components_).sum(axis=1))
    np.testing.assert_allclose(cosines[apart], 1.0, atol=max(1e-9, tolerance))
    assert model.residuals_.max() < 1e-10
