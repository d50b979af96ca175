"""Reduced-rank regression: the closed form from the rows themselves, at any batch size and time."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from extras import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regression_rows import EPS, assert_same, closed_form, learned, rows
from sklearn.base import clone, is_regressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from strategies import data_matrices, seeds

from streampca import NotFittedError, StreamingReducedRankRegression
from streampca.metrics import ordered_share, principal_angles

# --- the closed form ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_in", "n", "p"), [(5, 4, 2), (3, 7, 3), (9, 4, 4), (6, 1, 1), (1, 3, 1)]
)
@pytest.mark.parametrize("size", [1, 7, 300])
def test_pairs_are_those_of_least_squares_on_the_rows(n_in, n, p, size):
    X, Y = rows(n_in, n)
    model = learned(X, Y, size, n_components=p)
    A, B, s, _, _ = closed_form(X, Y, p)
    signs = np.sign((model.decoder_ * A).sum(axis=0))
    assert_same(model.decoder_ * signs, A)
    assert_same(model.encoder_ * signs[:, None], B)
    assert_same(model.singular_values_, s)
    assert_same(model.explained_variance_, s**2 / (len(X) - 1))
    assert_same(model.explained_variance_ratio_, s**2 / ((Y - Y.mean(0)) ** 2).sum())
    assert_same(model.coef_, A @ B)
    assert_same(model.intercept_, Y.mean(0) - A @ B @ X.mean(0))
    assert_same(model.predict(X), (X - X.mean(0)) @ (A @ B).T + Y.mean(0))
    assert_same(model.transform(X) * signs, (X - X.mean(0)) @ B.T)
    losses = [((Y - Y.mean(0)) ** 2).sum() - (s[:k] ** 2).sum() for k in range(1, p + 1)]
    assert model.loss_ == pytest.approx(sum(losses) / len(X), rel=1e-8)


def _condition(X):
    """Condition of the correlations of the features, of directions that are more than rounding."""
    D = X - X.mean(0)
    lengths = np.linalg.norm(D, axis=0)
    values = np.linalg.svd(D / np.where(lengths > 0, lengths, 1.0), compute_uv=False) ** 2
    return values[0] / values[values > 1e-13 * values[0]][-1] if values[0] > 0 else 1.0


@settings(max_examples=60)
@given(X=data_matrices(), seed=seeds, n=st.integers(1, 6), size=st.integers(1, 50))
def test_cut_to_k_pairs_it_is_the_best_model_of_rank_k_of_any_rows(X, seed, n, size):
    rng = np.random.default_rng(seed)
    Y = X @ rng.normal(size=(X.shape[1], n)) / max(np.abs(X).max(), 1e-300)
    Y = Y + rng.normal(size=(len(X), n))
    model = learned(X, Y, size, n_components=n)
    _, _, s, _, _ = closed_form(X, Y, n)
    s = np.concatenate([s, np.zeros(n - len(s))])
    total = ((Y - Y.mean(0)) ** 2).sum()
    # moments square the condition, and centring rounds at the size of the mean over the spread
    spread = np.where((sd := X.std(0)) > 1e-9 * np.abs(X.mean(0)), sd, 1.0)
    shift = 1 + np.where(sd > 1e-9 * np.abs(X.mean(0)), np.abs(X.mean(0)) / spread, 0).max()
    tolerance = 1e-10 + 1e3 * EPS * _condition(X) * shift
    A, B = model.decoder_, model.encoder_
    np.testing.assert_allclose(A.T @ A, np.eye(n), atol=1e-12)
    D = X - X.mean(0)
    for k in range(1, n + 1):
        error = ((Y - Y.mean(0) - D @ (A[:, :k] @ B[:k]).T) ** 2).sum()
        assert abs(error - (total - (s[:k] ** 2).sum())) <= tolerance * total + EPS
    np.testing.assert_allclose(model.singular_values_**2, s**2, atol=tolerance * total + EPS)


@pytest.mark.parametrize(("n_in", "n"), [(2, 5), (6, 5)])
def test_beyond_the_rank_the_pairs_lie_in_the_kernel(n_in, n):
    # Remark 9: Sigma has rank 2, by few inputs or by targets that depend on each other
    X, Y = rows(n_in, 2, noise=0.0 if n_in > 2 else 0.3)
    Y = Y @ np.random.default_rng(1).normal(size=(2, n)) if n_in > 2 else rows(n_in, n)[1]
    model = learned(X, Y, n_components=4)
    A, _, s, C, _ = closed_form(X, Y, 2)
    assert_same(np.abs((model.decoder_[:, :2] * A).sum(axis=0)), np.ones(2))
    assert_same(model.singular_values_[:2], s)
    assert model.singular_values_[2:].max() <= 1e-7 * s[0]
    D = X - X.mean(0)
    Sigma = C @ D.T @ D @ C.T
    assert np.linalg.norm(Sigma @ model.decoder_[:, 2:]) <= 1e-8 * np.linalg.norm(Sigma)
    assert np.linalg.norm(D @ model.encoder_[2:].T) <= 1e-7 * s[0]
    np.testing.assert_allclose(model.decoder_.T @ model.decoder_, np.eye(4), atol=1e-12)
    assert_same(model.coef_, C, 1e-7)


def test_of_repeated_eigenvalues_the_eigenspace_is_right():
    rng = np.random.default_rng(0)
    D = rng.normal(size=(50, 6))
    X = np.linalg.qr(D - D.mean(0))[0]  # white, so that Sigma = C C'
    U, V = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (5, 6))
    Y = X @ V[:, :5] @ np.diag([3, 2, 2, 2, 1.0]) @ U.T + 7
    model = learned(X, Y, n_components=5)
    np.testing.assert_allclose(model.singular_values_, [3, 2, 2, 2, 1], rtol=1e-8)
    assert principal_angles(model.decoder_[:, 1:4].T, U.T[1:4]).max() < 1e-8
    assert ordered_share(model.decoder_.T[[0, 4]], U.T[[0, 4]], 1 - 1e-12) == 1.0


# --- scikit-learn's linear models --------------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 7.0])
@pytest.mark.parametrize("weighted", [True, False])
def test_with_all_components_it_is_ordinary_or_ridge_regression(intercept, ridge, weighted):
    X, Y = rows()
    w = np.random.default_rng(3).uniform(0, 3, len(X)) if weighted else None
    model = learned(X, Y, 50, sample_weight=w, ridge=ridge, fit_intercept=intercept)
    other = (
        Ridge(ridge, fit_intercept=intercept)
        if ridge
        else LinearRegression(fit_intercept=intercept)
    )
    other.fit(X, Y, sample_weight=w)
    assert_same(model.coef_, other.coef_)
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-8, atol=1e-12)
    assert_same(model.predict(X), other.predict(X))


def test_ridge_of_lower_rank_is_least_squares_on_rows_with_the_ridge_appended():
    X, Y = rows(mean=0.0)
    X, Y = X - X.mean(0), Y - Y.mean(0)
    model = learned(X, Y, n_components=2, ridge=20.0, fit_intercept=False)
    longer = np.r_[X, np.sqrt(20.0) * np.eye(5)], np.r_[Y, np.zeros((5, 4))]
    plain = learned(*longer, n_components=2, fit_intercept=False)
    assert_same(model.coef_, plain.coef_)
    assert_same(model.singular_values_, plain.singular_values_)


def test_score_is_scikit_learn_s():
    X, Y = rows()
    w = np.random.default_rng(0).uniform(0, 2, len(X))
    model = learned(X, Y, n_components=2)
    assert model.score(X, Y) == pytest.approx(r2_score(Y, model.predict(X)), rel=1e-12)
    expected = r2_score(Y, model.predict(X), sample_weight=w)
    assert model.score(X, Y, sample_weight=w) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="nothing to score"):
        model.score(X, Y, sample_weight=np.zeros(len(X)))
    # targets without variance: 1 where predicted perfectly, otherwise 0
    assert model.score(X[:1], model.predict(X[:1])) == 1.0
    assert model.score(X[:1], Y[:1] + 1, sample_weight=[0.1]) == 0.0


def test_one_target_may_be_a_vector():
    X, Y = rows(n=1)
    model = StreamingReducedRankRegression().fit(X, Y[:, 0])
    plain = LinearRegression().fit(X, Y[:, 0])
    assert model.coef_.shape == (5,)
    assert_same(model.coef_, plain.coef_)
    assert model.intercept_ == pytest.approx(plain.intercept_, rel=1e-8)
    assert model.predict(X).shape == (300,)
    tensors = [torch.tensor(Y[:, 0])] if torch else []
    for vector in (list(Y[:, 0]), pd.Series(Y[:, 0]), pl.Series(Y[:, 0]), *tensors):
        again = StreamingReducedRankRegression().fit(X, vector)
        np.testing.assert_array_equal(again.coef_, model.coef_)
    assert model.score(X, Y[:, 0]) == pytest.approx(plain.score(X, Y[:, 0]), rel=1e-9)


def test_scikit_learn_s_tools_take_it():
    X, Y = rows()
    model = clone(StreamingReducedRankRegression(2, ridge=0.5))
    assert model.get_params()["ridge"] == 0.5
    assert is_regressor(model)
    assert cross_val_score(model, X, Y, cv=3).min() > 0.5
    pipeline = make_pipeline(StandardScaler(), model.set_params(n_components=4, ridge=0.0))
    assert_same(pipeline.fit(X, Y).predict(X), LinearRegression().fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="no parameter 'alpha'"):
        model.set_params(alpha=1.0)
    assert repr(StreamingReducedRankRegression(2)) == (
        "StreamingReducedRankRegression(n_components=2)"
    )


# --- features that say the same, or nothing ----------------------------------------------------


@pytest.mark.parametrize("kind", ["equal", "sum", "constant", "one-hot", "few rows", "one row"])
def test_dependent_features_leave_the_predictions_of_least_squares(kind):
    X, Y = rows()
    if kind == "equal":
        X = np.c_[X, X[:, 2]]
    elif kind == "sum":
        X = np.c_[X, X[:, 0] - 2 * X[:, 1]]
    elif kind == "constant":
        X[:, 1] = 4.0
    elif kind == "one-hot":
        X = np.c_[X, np.eye(3)[np.arange(len(X)) % 3]]
    else:
        X, Y = (V[: 3 if kind == "few rows" else 1] for V in (X, Y))
    model = learned(X, Y)
    plain = LinearRegression().fit(X, Y)
    assert_same(model.predict(X), plain.predict(X))
    D = X - X.mean(0)
    assert model.rank_ == np.linalg.matrix_rank(D, tol=1e-9 * max(np.linalg.norm(D), 1.0))
    if kind == "equal":
        np.testing.assert_allclose(model.coef_[:, 2], model.coef_[:, 5], rtol=1e-6)
    if kind == "constant":
        assert (model.coef_[:, 1] == 0).all()


def test_units_of_the_features_do_not_matter():
    X, Y = rows(mean=0.0)
    units = np.array([1e-9, 1.0, 1e3, 1e9, 1e-4])
    model, scaled = learned(X, Y, n_components=3), learned(X * units, Y, n_components=3)
    assert_same(scaled.coef_ * units, model.coef_)
    assert scaled.rank_ == model.rank_ == 5


def test_means_a_million_times_the_spread():
    X, Y = rows(mean=0.0)
    model = learned(X + 1e6, Y - 1e6, n_components=2)
    plain = learned(X, Y, n_components=2)
    # the rows themselves are rounded to 1e6 eps = 2e-10
    assert_same(model.coef_, plain.coef_, 1e-8)
    np.testing.assert_allclose(model.predict(X + 1e6) + 1e6, plain.predict(X), atol=1e-8)


# --- weights, forgetting, merging --------------------------------------------------------------


def test_a_weight_counts_copies():
    X, Y = rows(m=60)
    w = np.arange(60) % 4
    a = learned(X, Y, 7, sample_weight=w, n_components=2)
    b = learned(X.repeat(w, axis=0), Y.repeat(w, axis=0), n_components=2)
    assert_same(a.coef_, b.coef_)
    assert_same(a.singular_values_, b.singular_values_)
    assert_same(a.explained_variance_, b.explained_variance_)
    assert a.weight_ == w.sum()


@pytest.mark.parametrize("options", [{"forgetting_factor": 0.97}, {"half_life": 25.0}])
def test_forgetting_is_weighting_by_age(options):
    X, Y = rows()
    gamma = options.get("forgetting_factor", 0.5 ** (1 / 25))
    w = gamma ** np.arange(len(X) - 1, -1, -1.0)
    A, B, s, _, _ = closed_form(X, Y, 2, w)
    model = learned(X, Y, 11, n_components=2, **options)
    assert_same(model.coef_, A @ B)
    assert_same(model.singular_values_, s)
    assert model.n_samples_seen_ == 300


def test_merge_of_parts_equals_the_whole():
    X, Y = rows()
    whole = learned(X, Y, n_components=2)
    parts = [learned(X[i::3], Y[i::3], 10, n_components=2) for i in range(3)]
    merged = StreamingReducedRankRegression(2)
    for part in (StreamingReducedRankRegression(2), *parts):
        merged.merge(part)
    assert_same(merged.coef_, whole.coef_)
    assert_same(merged.intercept_, whole.intercept_)
    assert merged.n_samples_seen_ == 300
    assert parts[0].n_samples_seen_ == 100


def test_merging_what_does_not_fit_changes_nothing():
    X, Y = rows()
    model = learned(X, Y, n_components=2)
    before = model.coef_
    cases = [
        (learned(X[:, :4], Y), "4 features and 4 targets into one of 5 and 4"),
        (learned(X[:, :4], np.c_[Y, Y[:, 0]]), "4 features and 5 targets into one of 5 and 4"),
        (learned(X, Y, fit_intercept=False), "not centred"),
    ]
    if torch:
        descending = learned(X, Y, solver="first_order", n_components=2)
        cases.append((descending, "cannot merge minibatch"))
    for other, message in cases:
        with pytest.raises(ValueError, match=message):
            model.merge(other)
    np.testing.assert_array_equal(model.coef_, before)
    fresh = StreamingReducedRankRegression(fit_intercept=False)
    with pytest.raises(ValueError, match="not centred"):
        fresh.merge(model)
    with pytest.raises(NotFittedError):
        _ = fresh.coef_
    a, b = (pd.DataFrame(X, columns=list(names)) for names in ("abcde", "abcdf"))
    with pytest.raises(ValueError, match="feature names differ .missing: 'e'; unexpected: 'f'"):
        StreamingReducedRankRegression().fit(a, Y).merge(StreamingReducedRankRegression().fit(b, Y))


def test_the_answer_is_there_at_any_time_and_keeps_its_sign():
    X, Y = rows(m=400)
    model = StreamingReducedRankRegression(2)
    previous = None
    for stop in range(20, 401, 20):
        model.partial_fit(X[stop - 20 : stop], Y[stop - 20 : stop])
        A, B, _, _, _ = closed_form(X[:stop], Y[:stop], 2)
        assert_same(model.coef_, A @ B)
        if previous is not None:
            assert ((model.decoder_ * previous).sum(axis=0) > 0.5).all()
        previous = model.decoder_
