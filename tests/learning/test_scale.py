"""scale=True: components of the correlation matrix, whatever way the rows came."""

import numpy as np
import pytest
from extras import needs_torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import batch_covariance
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from streampca import Checkpoint, StreamingPCA
from streampca.metrics import principal_angles


def plant(m, n, seed, *, units=6.0, equal=0):
    """Rows (m, n) of separate correlations, in units of up to 10**units, with constant features."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n, n)) * 0.7 ** np.arange(n)[:, None]
    X = rng.normal(size=(m, n)) @ mix + 0.05 * rng.normal(size=(m, n))
    scale = 10.0 ** rng.uniform(-units, units, n)
    X = (X + rng.normal(size=n)) * scale
    X[:, rng.permutation(n)[:equal]] = 5.5
    return X


def correlation(X, weights=None, remembered=None):
    """Standard deviations, and eigenvalues and eigenvectors (as rows) of the correlation matrix."""
    _, S = batch_covariance(X, weights, remembered)
    sd = np.sqrt(np.diag(S))
    sd[np.ptp(X, axis=0) == 0] = 1.0
    R = S / sd[:, None] / sd
    values, vectors = np.linalg.eigh(R)
    return sd, values[::-1], vectors[:, ::-1].T


def assert_is_correlation(pca, sd, values, vectors, tolerance=1e-10):
    p = pca.n_components_
    np.testing.assert_allclose(pca.scale_, sd, rtol=tolerance)
    np.testing.assert_allclose(pca.explained_variance_, values[:p], atol=tolerance * values[0])
    gaps = np.abs(np.diff(values[: p + 1])) if p < len(values) else np.abs(np.diff(values))
    for k, gap in enumerate(gaps, start=1):
        if gap > 1e-3 * values[0]:
            angle = principal_angles(pca.components_[:k], vectors[:k]).max()
            assert angle <= tolerance / (gap / values[0])


def one_by_one(X, w, make):
    pca = make()
    for row, weight in zip(X, w, strict=True):
        pca.partial_fit(row[None], sample_weight=[weight])
    return pca


def in_batches(X, w, make):
    pca = make()
    for start in range(0, len(X), 7):
        pca.partial_fit(X[start : start + 7], sample_weight=w[start : start + 7])
        _ = pca.components_  # solutions in between leave no trace
    return pca


def merged(X, w, make):
    half = len(X) // 3
    one = make().fit(X[:half], sample_weight=w[:half])
    return one.merge(make().fit(X[half:], sample_weight=w[half:]))


def resumed(X, w, make):
    half = len(X) // 2
    data = make().fit(X[:half], sample_weight=w[:half]).checkpoint().to_parquet_bytes()
    pca = StreamingPCA.from_checkpoint(Checkpoint.from_parquet_bytes(data))
    return pca.partial_fit(X[half:], sample_weight=w[half:])


def switched_on_late(X, w, make):
    pca = make().set_params(scale=False).fit(X[:-1], sample_weight=w[:-1])
    _ = pca.components_
    return pca.set_params(scale=True).partial_fit(X[-1:], sample_weight=w[-1:])


WAYS = [one_by_one, in_batches, merged, resumed, switched_on_late]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**16),
    st.sampled_from([(3, 4), (60, 5), (150, 12), (40, 60)]),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
)
def test_all_ways_of_arriving_give_numpys_correlation_eigenvectors(way, seed, shape, equal, weigh):
    X = plant(*shape, seed, equal=equal)
    w = np.random.default_rng(seed).integers(1, 4, len(X)) if weigh else np.ones(len(X))
    pca = way(X, w, lambda: StreamingPCA(min(shape[1], 3), scale=True))
    assert_is_correlation(pca, *correlation(X, w))
    assert pca.constant_features_.tolist() == np.flatnonzero(np.ptp(X, axis=0) == 0).tolist()


@pytest.mark.parametrize("way", [one_by_one, in_batches, resumed])
@pytest.mark.parametrize("gamma", [0.999, 0.9])
def test_after_forgetting_it_is_the_correlation_of_what_is_left(way, gamma):
    X = plant(200, 6, 3)
    left = gamma ** np.arange(199, -1, -1.0)
    make = lambda: StreamingPCA(3, scale=True, forgetting_factor=gamma)  # noqa: E731
    pca = way(X, np.ones(200), make)
    assert_is_correlation(pca, *correlation(X, None, left))


@pytest.mark.parametrize("center", [True, False])
def test_it_is_a_scaler_and_pca_on_all_rows_at_once(center):
    X = plant(300, 8, 5, equal=1)
    pca = StreamingPCA(4, scale=True, center=center).fit(X)
    if not center:
        size = np.sqrt((X**2).mean(axis=0))
        values, vectors = np.linalg.eigh((X / size).T @ (X / size) / 300)
        np.testing.assert_allclose(pca.scale_, size)
        np.testing.assert_allclose(pca.explained_variance_, values[::-1][:4])
        assert principal_angles(pca.components_, vectors[:, ::-1][:, :4].T).max() < 1e-10
        return
    both = make_pipeline(StandardScaler(), PCA(4)).fit(X)
    np.testing.assert_allclose(pca.explained_variance_ratio_, both[1].explained_variance_ratio_)
    # the scaler divides by the deviation of these rows, this by that of all rows: N and N - 1
    Z = pca.transform(X) * np.sqrt(300 / 299)
    signs = np.sign((pca.components_ * both[1].components_).sum(axis=1))
    np.testing.assert_allclose(Z * signs, both.transform(X), atol=1e-9)
    own = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(own, both.inverse_transform(both.transform(X)), atol=1e-6 * X.max())


@pytest.mark.parametrize("shape", [(300, 6), (5, 9), (300, 9)])
def test_covariance_precision_and_likelihood_are_of_the_rows_own_units(shape):
    from scipy.stats import multivariate_normal

    X = plant(*shape, 7, units=1.0)
    if shape == (300, 9):
        X[:, 8] = X[:, 0] - 3 * X[:, 1]  # singular
    pca = StreamingPCA(scale=True).fit(X)
    S = np.cov(X.T)
    np.testing.assert_allclose(pca.get_covariance(), S, atol=1e-12 * np.abs(S).max())
    exact = np.linalg.pinv(S, rcond=1e-12)
    np.testing.assert_allclose(pca.get_precision(), exact, atol=1e-6 * np.abs(exact).max())
    log = multivariate_normal(X.mean(axis=0), S, allow_singular=True).logpdf(X)
    np.testing.assert_allclose(pca.score_samples(X), log, rtol=1e-6)
    if shape == (300, 6):
        part = StreamingPCA(2, scale=True).fit(X)
        model = multivariate_normal(X.mean(axis=0), part.get_covariance())
        np.testing.assert_allclose(part.score_samples(X), model.logpdf(X), rtol=1e-9)
        product = part.get_covariance() @ part.get_precision()
        np.testing.assert_allclose(product, np.eye(6), atol=1e-9)


@pytest.mark.parametrize("kind", ["numpy", "float32", "sparse", "checkpoint", "whiten"])
def test_coordinates_are_of_centred_rows_in_units_of_the_scale(kind):
    import scipy.sparse

    X = plant(200, 7, 11, units=3.0)
    pca = StreamingPCA(3, scale=True, whiten=kind == "whiten").fit(X)
    wanted = ((X - pca.mean_) / pca.scale_) @ pca.components_.T
    if kind == "whiten":
        wanted /= np.sqrt(pca.explained_variance_)
    given_ = {"float32": X.astype("float32"), "sparse": scipy.sparse.csr_array(X)}.get(kind, X)
    model = pca.checkpoint() if kind == "checkpoint" else pca
    tolerance = 1e-3 if kind == "float32" else 1e-9
    np.testing.assert_allclose(model.transform(given_), wanted, atol=tolerance)
    if kind in ("numpy", "whiten"):
        back = StreamingPCA(scale=True, whiten=kind == "whiten").fit(X)
        rows = back.inverse_transform(back.transform(X))
        np.testing.assert_allclose(rows / pca.scale_, X / pca.scale_, atol=1e-9)


def test_gaps_are_filled_in_units_of_the_scale():
    X = plant(400, 6, 13, units=0.0)
    units = 10.0 ** np.array([-5, 4, 0, 2, -3, 5])
    gappy = X.copy()
    gappy[::5, 2] = np.nan
    gappy[3::7, 4] = np.nan
    one = StreamingPCA(2, scale=True, missing="impute").fit(gappy)
    other = StreamingPCA(2, scale=True, missing="impute").fit(gappy * units)
    np.testing.assert_allclose(other.scale_, one.scale_ * units, rtol=1e-9)
    np.testing.assert_allclose(other.transform(gappy * units), one.transform(gappy), atol=1e-9)


def test_a_feature_that_starts_to_vary_gets_its_scale():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[:100, 1] = 7.0
    pca = StreamingPCA(3, scale=True).fit(X[:100])
    assert pca.scale_[1] == 1.0
    np.testing.assert_allclose(pca.explained_variance_.sum(), 2.0)
    pca.partial_fit(X[100:])
    assert pca.constant_features_.tolist() == []
    assert_is_correlation(pca, *correlation(X))


@pytest.mark.parametrize("value", [0.0, 5.5, -1e-9, 0.1, 1e12])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_feature_is_named_and_says_nothing(value, dtype):
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(500, 3)).astype(dtype)
    X[:, 1] = value
    frame = pd.DataFrame(X, columns=["oil", "air", "heat"])
    pca = StreamingPCA(scale=True)
    for start in range(0, 500, 33):
        pca.partial_fit(frame[start : start + 33])
    assert pca.constant_features_.tolist() == ["air"]
    assert pca.scale_[1] == 1.0
    np.testing.assert_allclose(pca.explained_variance_.sum(), 2.0, rtol=1e-6)
    assert np.abs(pca.components_[:2, 1]).max() < 1e-12


def test_rounding_of_a_large_mean_is_no_variation():
    X = np.full((100, 2), 0.1 + 0.2)
    X[::2, 0] = 0.3  # the next double
    X[:, 1] = np.arange(100.0)
    pca = StreamingPCA(scale=True).fit(X)
    assert pca.constant_features_.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "n", "message"),
    [
        ({"memory": "factored"}, 5, r"give memory='dense', 0 MB, or put a scaler in front"),
        ({"solver": "first_order"}, 5, "solver='exact'"),
        ({}, 8193, "scale=True needs all of the covariance"),
        ({"scale": 1}, 5, "scale=1 is not accepted"),
        ({"scale": None}, 5, "scale=None is not accepted"),
    ],
    ids=str,
)
def test_what_cannot_be_scaled_is_refused_with_what_to_do(options, n, message):
    pca = StreamingPCA(**{"n_components": 2, "scale": True} | options)
    with pytest.raises(ValueError, match=message):
        pca.fit(np.random.default_rng(0).normal(size=(4, n)))


def test_factored_memory_cannot_be_switched_to_scale_and_stays_as_it_was():
    X = plant(50, 6, 0)
    pca = StreamingPCA(2, memory="factored").fit(X)
    before = pca.components_
    pca.set_params(scale=True)
    with pytest.raises(ValueError, match="factored memory does not hold"):
        pca.partial_fit(X)
    assert np.array_equal(pca.set_params(scale=False).components_, before)


def test_a_resumed_model_is_the_same_to_the_bit():
    X = plant(100, 6, 17)
    pca = StreamingPCA(3, scale=True).fit(X)
    again = StreamingPCA.from_checkpoint(pca.checkpoint())
    for name in ("components_", "scale_", "explained_variance_", "mean_"):
        assert np.array_equal(getattr(again, name), getattr(pca, name))
    more = plant(30, 6, 18)
    assert np.array_equal(again.partial_fit(more).components_, pca.partial_fit(more).components_)


@needs_torch
def test_tensors_on_a_device_give_the_same():
    import torch

    X = plant(300, 7, 19, units=2.0)
    here = StreamingPCA(3, scale=True).fit(X)
    there = StreamingPCA(3, scale=True, device="cpu").fit(torch.from_numpy(X))
    np.testing.assert_allclose(there.explained_variance_, here.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(
        np.abs((there.components_ * here.components_).sum(axis=1)), 1.0, atol=1e-10
    )
    np.testing.assert_allclose(
        np.abs(there.transform(torch.from_numpy(X)).numpy()), np.abs(here.transform(X)), atol=1e-8
    )
