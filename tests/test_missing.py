"""Rows with gaps: filled from their own entries; features that nobody has seen yet."""

import numpy as np
import pytest
from oracle import batch_pca
from sklearn.datasets import load_digits

from streampca import Checkpoint, StreamingPCA
from streampca.metrics import principal_angles


@pytest.fixture(scope="module")
def digits():
    return load_digits().data


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_missing_entries_are_filled_from_the_row_s_own(memory):
    # rows of rank 2 plus a little noise: the other entries tell what is missing
    draws = np.random.default_rng(0)
    W = draws.normal(size=(2, 10))
    X = draws.normal(size=(3000, 2)) * [5, 3] @ W + 0.01 * draws.normal(size=(3000, 10)) + 4
    gappy = np.where(draws.uniform(size=X.shape) < 0.2, np.nan, X)
    pca = StreamingPCA(2, memory=memory, missing="impute", batch_size=100)
    for start in range(0, 3000, 50):
        pca.partial_fit(gappy[start : start + 50])
    _, components, _, _ = batch_pca(X, 2)
    assert principal_angles(pca.components_, components).max() < 0.05
    filled = pca.inverse_transform(pca.transform(gappy[-500:]))
    by_mean = np.where(np.isnan(gappy[-500:]), X.mean(0), gappy[-500:])
    error, error_by_mean = np.abs(filled - X[-500:]).mean(), np.abs(by_mean - X[-500:]).mean()
    assert error < 0.1 * error_by_mean


def test_a_row_with_nothing_observed_is_the_mean(digits):
    pca = StreamingPCA(3, missing="impute").partial_fit(digits)
    Z = pca.transform(np.full((1, 64), np.nan))
    np.testing.assert_allclose(Z, 0, atol=1e-9)


def late_feature(first=150, m=600):
    """Rows whose feature 2 is a gap until row `first`, and then stands far from zero."""
    X = np.random.default_rng(0).normal(size=(m, 4)) * [3, 2, 1, 0.5] + [0, 5, 1000, -3]
    gappy = X.copy()
    gappy[:first, 2] = np.nan
    return gappy


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("size", [1, 40, 600])
def test_a_feature_that_comes_late_has_the_mean_of_its_values(memory, size):
    X = late_feature()
    pca = StreamingPCA(2, memory=memory, missing="impute", batch_size=50)
    for start in range(0, 600, size):
        pca.partial_fit(X[start : start + size])
        assert np.isfinite(pca.components_).all()
    # gaps stand at about the mean of the first values: no step from zero to 1000 anywhere
    assert pca.mean_[2] == pytest.approx(np.nanmean(X[:, 2]), abs=0.5)
    assert pca.var_[2] < 1.2
    np.testing.assert_allclose(pca.mean_[[0, 1, 3]], X[:, [0, 1, 3]].mean(0), rtol=1e-9)


def test_a_checkpoint_knows_which_features_are_unseen():
    X = late_feature()
    pca = StreamingPCA(2, missing="impute").partial_fit(X[:100])
    resumed = StreamingPCA.from_checkpoint(Checkpoint.from_bytes(pca.checkpoint().to_bytes()))
    for each in (pca, resumed):
        each.partial_fit(X[100:])
    np.testing.assert_array_equal(resumed.mean_, pca.mean_)
    assert pca.mean_[2] == pytest.approx(1000, abs=1)


def test_merging_tells_where_unseen_features_stand():
    X = late_feature()
    early = StreamingPCA(2, missing="impute").partial_fit(X[:150])
    late = StreamingPCA(2, missing="impute").partial_fit(X[150:])
    assert early.merge(late).mean_[2] == pytest.approx(np.nanmean(X[:, 2]))
    np.testing.assert_allclose(early.mean_[:2], X[:, :2].mean(0))
