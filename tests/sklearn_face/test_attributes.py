"""Attributes that are assigned, or written into, are the model."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.decomposition import IncrementalPCA as Theirs
from sklearn.exceptions import NotFittedError

from streampca.sklearn import IncrementalPCA, StreamingPCA

KINDS = [IncrementalPCA, StreamingPCA]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)) + 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whiten", [False, True])
def test_arrays_that_were_saved_are_a_model(kind, whiten, rows):
    saved = PCA(3, whiten=whiten).fit(rows)
    loaded = kind(3, whiten=whiten)
    for name in ("components_", "mean_", "explained_variance_", "n_samples_"):
        setattr(loaded, name, getattr(saved, name))
    assert np.allclose(loaded.transform(rows), saved.transform(rows), rtol=0, atol=1e-10)
    back = loaded.inverse_transform(loaded.transform(rows))
    assert np.allclose(back, saved.inverse_transform(saved.transform(rows)), rtol=0, atol=1e-10)
    assert loaded.components_ is saved.components_


def test_directions_that_are_not_orthonormal_are_used_as_they_are(rows):
    pca = IncrementalPCA(2)
    pca.components_, pca.mean_ = np.array([[2.0] + [0.0] * 7, [1.0] * 8]), np.zeros(8)
    assert np.allclose(pca.transform(rows), rows @ pca.components_.T)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_added_to_an_assigned_model(kind, rows):
    flat = rows @ np.diag([1.0, 1, 1, 0, 0, 0, 0, 0])  # rank 3: nothing is lost in three components
    first, loaded = kind(3).fit(flat[:200]), kind(3)
    for name in ("components_", "mean_", "singular_values_", "n_samples_seen_", "var_"):
        setattr(loaded, name, getattr(first, name))
    for pca in (first, loaded):
        pca.partial_fit(flat[200:])
    exact = PCA(3).fit(flat)
    for name in ("explained_variance_", "singular_values_", "mean_", "explained_variance_ratio_"):
        assert np.allclose(getattr(loaded, name), getattr(exact, name)), name
        assert np.allclose(getattr(first, name), getattr(exact, name)), name
    assert loaded.n_samples_seen_ == 300
    assert np.allclose(np.abs((loaded.components_ * exact.components_).sum(1)), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_turned_round_in_place_stays_so_and_nothing_is_forgotten(kind, rows):
    pca = kind(2).fit(rows[:200])
    turned = -pca.components_[0]
    pca.components_[0] *= -1
    assert np.allclose(pca.transform(rows)[:, 0], (rows - pca.mean_) @ turned)
    pca.partial_fit(rows[200:])
    assert pca.components_[0] @ turned > 0.5
    assert np.allclose(pca.explained_variance_, PCA(2).fit(rows).explained_variance_)


def test_a_mean_that_is_assigned_is_subtracted(rows):
    pca = IncrementalPCA(2).fit(rows)
    pca.mean_ = np.zeros(8)
    assert np.allclose(pca.transform(rows), rows @ pca.components_.T)
    assert np.allclose(pca.explained_variance_, PCA(2).fit(rows).explained_variance_)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_assigned_is_not_made_up(kind, rows):
    pca = kind(2)
    pca.components_, pca.mean_ = np.eye(2, 8), np.zeros(8)
    pca.transform(rows)
    for name in ("explained_variance_", "singular_values_", "n_samples_seen_", "noise_variance_"):
        with pytest.raises(AttributeError, match=name):
            getattr(pca, name)
    with pytest.raises(ValueError, match="Assign it, or call fit"):
        pca.partial_fit(rows)
    pca.whiten = True
    with pytest.raises(AttributeError, match="explained_variance_"):
        pca.transform(rows)
    pca.explained_variance_ = np.array([4.0, 1.0])
    pca.n_samples_seen_ = 10
    assert np.allclose(pca.transform(rows), rows[:, :2] / [2.0, 1.0])


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_handed_out_are_the_callers(kind, rows):
    pca = kind(2).fit(rows)
    before = pca.explained_variance_.copy()
    held = pca.components_
    pca.partial_fit(rows)
    held[:] = 0  # of a model that is gone
    assert np.allclose(pca.explained_variance_, before, rtol=0.01)
    assert np.allclose(np.linalg.norm(pca.components_, axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_there_before_rows(kind):
    pca = kind(2)
    assert not any(name for name in vars(pca) if name.endswith("_"))
    assert not hasattr(pca, "components_")
    with pytest.raises(NotFittedError):
        pca.transform(np.eye(3))
    with pytest.raises(NotFittedError):
        _ = pca.mean_
    assert not hasattr(clone(kind(2).fit(np.eye(3))), "components_")


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_call_leaves_everything_as_it_was(kind, rows):
    pca = kind(2).fit(rows)
    before = pca.transform(rows)
    for bad in (rows[:, :5], np.full((3, 8), np.nan), rows.astype(complex), "text"):
        for call in (pca.fit, pca.partial_fit):
            if call == pca.fit and np.shape(bad) == (300, 5):
                continue
            with pytest.raises(ValueError):  # noqa: PT011 - scikit-learn's many words
                call(bad)
            assert np.array_equal(pca.transform(rows), before)
            assert pca.n_samples_seen_ == 300


@pytest.mark.parametrize("n_components", [None, 1, 3])
@pytest.mark.parametrize("batch_size", [None, 5, 64])
def test_attributes_mean_what_they_mean_in_scikit_learn(n_components, batch_size, rows):
    ours = IncrementalPCA(n_components, batch_size=batch_size).fit(rows)
    theirs = Theirs(n_components, batch_size=batch_size).fit(rows)
    exact = PCA(ours.n_components_).fit(rows)
    assert ours.n_components_ == theirs.n_components_
    assert ours.batch_size_ == theirs.batch_size_
    assert ours.n_samples_seen_ == ours.n_samples_ == theirs.n_samples_seen_
    assert ours.n_features_in_ == theirs.n_features_in_
    assert np.allclose(ours.mean_, theirs.mean_)
    assert np.allclose(ours.var_, theirs.var_)
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_"):
        assert np.allclose(getattr(ours, name), getattr(exact, name)), name
    assert np.isclose(ours.noise_variance_, exact.noise_variance_)
    assert np.allclose(ours.get_covariance(), exact.get_covariance())
    assert np.allclose(ours.get_precision(), exact.get_precision())


def test_a_scaled_model_has_its_scale_and_is_not_assigned_in_part(rows):
    from streampca.sklearn import StreamingPCA as Scaled

    model = Scaled(2, scale=True).fit(rows)
    np.testing.assert_allclose(model.scale_, np.std(rows, axis=0, ddof=1))
    assert model.constant_features_.tolist() == []
    model.components_ = model.components_[:, ::-1]
    with pytest.raises(ValueError, match="scale=True cannot be assigned"):
        model.transform(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(20))
def test_a_noise_variance_that_is_assigned_is_that_of_the_covariance(kind, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 8))
    p = int(rng.integers(1, n))
    rows = rng.normal(size=(40, n)) @ rng.normal(size=(n, n)) + 10
    saved = Theirs(p, batch_size=10).fit(rows)  # after some batches its noise is not that of `var_`
    loaded, needed = kind(p), ["components_", "mean_", "explained_variance_", "n_samples_seen_"]
    names = rng.permutation([*needed, "var_"] if rng.random() < 0.5 else needed)
    for name in names:
        setattr(loaded, name, getattr(saved, name))
    if "var_" not in names:
        for lacking in ("noise_variance_", "explained_variance_ratio_", "var_"):
            with pytest.raises(AttributeError, match=lacking):
                getattr(loaded, lacking)
        with pytest.raises(AttributeError, match="noise_variance_"):
            loaded.get_covariance()
    if rng.random() < 0.5:
        loaded.transform(rows)
    loaded.noise_variance_ = saved.noise_variance_
    np.testing.assert_allclose(loaded.get_covariance(), saved.get_covariance(), rtol=1e-9)
    loaded.noise_variance_ = 2 * saved.noise_variance_
    saved.noise_variance_ *= 2
    np.testing.assert_allclose(loaded.get_covariance(), saved.get_covariance(), rtol=1e-9)
    np.testing.assert_allclose(loaded.transform(rows), saved.transform(rows), atol=1e-9)
