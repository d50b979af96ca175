"""Rows with gaps: filled from their own entries; features that nobody has seen yet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import batch_pca, excess_error
from strategies import data_matrices, seeds, splits

from streampca import Checkpoint, KeyedPCA, StreamingPCA
from streampca.metrics import principal_angles


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


@pytest.mark.parametrize("kind", ["dense", "scaled", "factored", "keyed"])
def test_what_does_not_vary_stands_exactly_where_it_stands(kind):
    # a loading of rounding size times a coordinate was all the variance of such a feature: a
    # component of its own, where features count in units of their standard deviations
    for seed in range(80):
        rng = np.random.default_rng(seed)
        n, batch = int(rng.integers(4, 9)), int(rng.integers(3, 30))
        k, place = int(rng.integers(1, n + 1)), rng.choice([0.0, 7.0])
        X = rng.normal(size=(80, k)) @ rng.normal(size=(k, n)) + 0.2 * rng.normal(size=(80, n))
        X *= 10.0 ** rng.uniform(-2, 2, n)
        still, unseen = n // 2, n // 2 + 1  # in the middle: solvers leave the first ones exact
        X[:, still] = place
        gappy = np.where(rng.random(X.shape) < rng.choice([0.05, 0.3, 0.7]), np.nan, X)
        gappy[:, unseen] = np.nan
        p = int(rng.integers(1, n + 1))
        if kind == "keyed":
            bank = KeyedPCA(p, missing="impute", scale=True)
        else:
            memory = "factored" if kind == "factored" else "dense"
            scaled = kind == "scaled"
            pca = StreamingPCA(p, memory=memory, scale=scaled, missing="impute", batch_size=batch)
        for start in range(0, 80, batch):
            rows = gappy[start : start + batch]
            pca = (
                bank.partial_fit(rows, ["a"] * len(rows))["a"]
                if kind == "keyed"
                else pca.partial_fit(rows)
            )
        assert pca.mean_[still] == place
        assert (pca.var_[[still, unseen]] == 0).all()
        varies = pca.explained_variance_ > 1e-12 * pca.explained_variance_[0]
        np.testing.assert_allclose(pca.components_[varies][:, [still, unseen]], 0, atol=1e-3)


@given(seed=seeds, merged=st.booleans(), keyed=st.booleans())
def test_without_centring_no_feature_has_a_mean_however_late_it_comes(seed, merged, keyed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 4)) + rng.uniform(-1000, 1000, size=4)
    gappy = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    gappy[:20, rng.integers(4)] = np.nan
    kind = KeyedPCA if keyed else StreamingPCA
    parts = [
        ({"keys": ["a"] * len(rows)} if keyed else {}) | {"X": rows} for rows in np.split(gappy, 4)
    ]

    def learned(parts):
        model = kind(2, missing="impute", center=False)
        for part in parts:
            model.partial_fit(**part)
            assert np.isfinite((model["a"] if keyed else model).components_).all()
        return model

    model = learned(parts[:2]).merge(learned(parts[2:])) if merged else learned(parts)
    pca = model["a"] if keyed else model
    assert (pca.mean_ == 0).all()
    np.testing.assert_allclose(pca.transform(X), X @ pca.components_.T, rtol=1e-9, atol=1e-6)


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


# --- how good imputation is -----------------------------------------------------------------------


def sensors(m=4000, n=30, rank=4, seed=0):
    """Rows that few hidden causes explain, up to noise."""
    draws = np.random.default_rng(seed)
    W = draws.normal(size=(rank, n)) * np.linspace(2, 1, rank)[:, None]
    return draws.normal(size=(m, rank)) @ W + 0.5 * draws.normal(size=(m, n)) + 10


def scattered(X, share, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def sensors_out(X, share, seed=1):
    draws, gappy = np.random.default_rng(seed), X.copy()
    while np.isnan(gappy).mean() < share:
        start = draws.integers(0, len(X) - 50)
        gappy[start : start + 100, draws.integers(X.shape[1])] = np.nan
    return gappy


def fed(X, **options):
    pca = StreamingPCA(4, batch_size=100, **options)
    for start in range(0, len(X), 100):
        pca.partial_fit(X[start : start + 100])
    return pca


@pytest.mark.parametrize("p", [1, 3, 6])
@pytest.mark.parametrize("count", [1, 200])
def test_a_gap_is_filled_with_its_expectation_under_the_model(p, count):
    X = sensors(500, 6, 3)
    pca = StreamingPCA(p, missing="impute").fit(X)
    gappy = scattered(X[:count], 0.4)
    filled = pca._model.fill(gappy)
    Sigma, mean = pca.get_covariance(), pca.mean_
    for row, rest in zip(filled, gappy, strict=True):
        gone = np.isnan(rest)
        seen = ~gone
        across = Sigma[np.ix_(gone, seen)] @ np.linalg.pinv(Sigma[np.ix_(seen, seen)])
        expected = mean[gone] + across @ (rest[seen] - mean[seen])
        np.testing.assert_allclose(row[gone], expected, rtol=1e-7, atol=1e-7)
        np.testing.assert_array_equal(row[seen], rest[seen])


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("gaps", [scattered, sensors_out])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_imputing_beats_means_and_complete_rows(gaps, share, memory):
    X = sensors()
    gappy = gaps(X, share)
    mean_filled = np.where(np.isnan(gappy), np.nanmean(gappy, axis=0), gappy)
    by_components, by_means = fed(gappy, missing="impute", memory=memory), fed(mean_filled)
    _, _, variances, _ = batch_pca(X, 4)
    assert excess_error(by_components.components_, X) < excess_error(by_means.components_, X) / 2

    def bias(pca):
        return abs(1 - pca.explained_variance_.sum() / variances.sum())

    # conditional expectations vary less than what they stand for, means not at all
    assert bias(by_components) < bias(by_means) / 4
    complete = gappy[~np.isnan(gappy).any(1)]
    if len(complete) >= 8:
        by_complete = fed(complete)
        assert excess_error(by_components.components_, X) < excess_error(by_complete.components_, X)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_imputed_variances_are_too_small_by_no_more_than_the_noise_of_what_is_missing(share):
    # each missing entry lacks its conditional variance, about that of the noise (0.25), so the
    # total falls short by about share * n * 0.25 and the components' variances by less
    X = sensors(seed=2)
    pca = fed(scattered(X, share), missing="impute")
    short = X.var(0, ddof=1).sum() - pca.var_.sum()
    assert 0 < short < 1.5 * share * 30 * 0.25 + 0.01 * X.var(0).sum()


@settings(max_examples=100)
@given(
    X=data_matrices(max_rows=40, max_features=8),
    share=st.sampled_from([0.05, 0.3, 0.7]),
    seed=seeds,
    batch=st.integers(1, 50),
    memory=st.sampled_from(["dense", "factored"]),
    data=st.data(),
)
def test_whatever_is_missing_all_answers_are_numbers(X, share, seed, batch, memory, data):
    p = data.draw(st.integers(1, X.shape[1]))
    gappy = scattered(X, share, seed)
    pca = StreamingPCA(p, missing="impute", batch_size=batch, memory=memory)
    for piece in data.draw(splits(gappy)):
        pca.partial_fit(piece)
    seen = ~np.isnan(gappy)
    for shown in (pca.components_, pca.explained_variance_, pca.mean_, pca.transform(gappy)):
        assert np.isfinite(shown).all()
    filled = pca._model.fill(gappy)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[seen], gappy[seen])
    # what is filled in is no further out than what was seen would have it
    spread = np.abs(gappy - pca.mean_)[seen].max(initial=0.0)
    assert np.abs(filled - pca.mean_).max() <= 1e3 * spread + 1e-9 * np.abs(pca.mean_).max()
