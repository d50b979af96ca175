"""StreamingPCA: exact at any batch size, at any time; weights, forgetting, merging, sign."""

import copy
import pickle

import numpy as np
import pytest
from learning import BATCHES, FITTED, angle, learned
from oracle import batch_pca
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, IncrementalPCA

from streampca import Checkpoint, NotFittedError, StreamingPCA

# --- the right answer -------------------------------------------------------------------------


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_components_equal_batch_pca_at_every_batch_size(digits, size, dtype):
    pca = learned(digits.astype(dtype), size, n_components=5)
    mean, components, variances, total = batch_pca(digits, 5)
    tolerance = 1e-5 if dtype == "float32" else 1e-9
    cosines = np.abs((pca.components_ * components).sum(1))
    assert cosines.min() > 1 - tolerance
    np.testing.assert_allclose(pca.explained_variance_, variances, rtol=tolerance)
    np.testing.assert_allclose(pca.mean_, mean, atol=tolerance)
    np.testing.assert_allclose(pca.explained_variance_ratio_, variances / total, rtol=tolerance)
    assert pca.components_.dtype == dtype
    assert pca.transform(digits[:3].astype(dtype)).dtype == dtype


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_noise_covariance_and_score_are_those_of_batch_pca(digits, size, memory):
    pca = learned(digits, size, n_components=10, memory=memory, oversample=40)
    batch = PCA(10, svd_solver="full").fit(digits)
    assert pca.noise_variance_ == pytest.approx(batch.noise_variance_, rel=0.01)
    assert pca.score(digits) == pytest.approx(batch.score(digits), rel=0.01)
    gap = np.linalg.norm(pca.get_covariance() - batch.get_covariance(), 2)
    assert gap <= 0.01 * np.linalg.norm(batch.get_covariance(), 2)
    np.testing.assert_allclose(pca.get_covariance() @ pca.get_precision(), np.eye(64), atol=1e-8)
    np.testing.assert_allclose(pca.singular_values_, batch.singular_values_, rtol=1e-3)
    np.testing.assert_allclose(pca.var_, digits.var(0, ddof=1), rtol=1e-9)


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_single_rows_small_batches_and_a_merge_agree(digits, memory):
    options = {"n_components": 6, "memory": memory, "oversample": 58}
    whole = learned(digits, len(digits), **options)
    others = [learned(digits, 1, **options), learned(digits, 7, **options)]
    others.append(learned(digits[:900], 50, **options).merge(learned(digits[900:], 31, **options)))
    for other in others:
        assert angle(whole.components_, other.components_) <= 1e-5
        assert other.n_samples_seen_ == len(digits)


def test_answers_after_every_row(digits):
    pca = StreamingPCA(n_components=4)
    for m, row in enumerate(digits[:12], start=1):
        pca.partial_fit(row[None])
        assert pca.components_.shape == (4, 64)
        np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(4), atol=1e-10)
        expected = np.zeros(4)
        if m > 1:
            values = np.linalg.eigvalsh(np.cov(digits[:m].T))[::-1][:4]
            expected[: m - 1] = values[: m - 1]
        np.testing.assert_allclose(pca.explained_variance_, expected, rtol=1e-8, atol=1e-10)
        assert np.isfinite(pca.transform(digits[:2])).all()


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_whitened_coordinates_of_unseen_directions_are_zero(digits, memory):
    pca = StreamingPCA(n_components=4, whiten=True, memory=memory).partial_fit(digits[:3])
    Z = pca.transform(digits[:3])
    np.testing.assert_allclose(Z[:, :2].var(0, ddof=1), 1.0)
    assert (Z[:, 2:] == 0).all()
    np.testing.assert_allclose(pca.inverse_transform(Z), digits[:3], atol=1e-8)


def test_n_components_as_share_of_variance_and_none(digits):
    for share in (0.5, 0.9, 0.99):
        pca = learned(digits, 200, n_components=share)
        assert pca.n_components_ == PCA(share).fit(digits).n_components_
    pca = learned(digits, 200)
    assert pca.n_components_ == 64
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(digits)), digits, atol=1e-9)


def test_residuals_and_loss_certify_the_solution(digits):
    pca = learned(digits, 100, n_components=8)
    _, _, variances, total = batch_pca(digits, 8)
    m = len(digits)
    optimum = (8 * total - np.arange(8, 0, -1) @ variances) * (m - 1) / m  # Eq. 5
    assert pca.loss_ == pytest.approx(optimum, rel=1e-9)
    assert pca.residuals_.max() <= 1e-11
    np.testing.assert_allclose(pca.decoder_, pca.encoder_.T)
    assert pca.discarded_variance_ == 0.0


# --- weights, forgetting, merging


@pytest.mark.parametrize("size", [1, 13, 300])
@pytest.mark.parametrize("options", [{"forgetting_factor": 0.99}, {"half_life": 69.0}])
def test_forgetting_is_weighted_pca_at_every_batch_size(digits, size, options):
    X = digits[:300]
    gamma = options.get("forgetting_factor", 0.5 ** (1 / 69.0))
    pca = learned(X, size, n_components=4, **options)
    weights = gamma ** np.arange(299, -1, -1.0)
    values, vectors = np.linalg.eigh(np.cov(X.T, aweights=weights))
    np.testing.assert_allclose(pca.explained_variance_, values[::-1][:4], rtol=1e-9)
    assert angle(pca.components_, vectors[:, ::-1][:, :4].T) < 1e-9


def test_a_weight_of_three_equals_three_copies(digits):
    X = digits[:200]
    weights = np.random.default_rng(0).integers(0, 4, 200)
    weighted = StreamingPCA(n_components=5)
    for start in range(0, 200, 9):
        weighted.partial_fit(X[start : start + 9], sample_weight=weights[start : start + 9])
    repeated = StreamingPCA(n_components=5).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.explained_variance_, repeated.explained_variance_)
    np.testing.assert_allclose(weighted.components_, repeated.components_, atol=1e-9)
    assert weighted.weight_ == repeated.weight_


def test_merge_into_an_estimator_that_has_seen_nothing(digits):
    other = learned(digits, 100, n_components=3)
    merged = StreamingPCA(n_components=3).merge(other)
    np.testing.assert_allclose(merged.components_, other.components_, atol=1e-12)
    assert merged.merge(StreamingPCA(n_components=3)).n_samples_seen_ == len(digits)


def test_merge_of_different_features_is_refused_and_changes_nothing(digits):
    pca = learned(digits, 100, n_components=3)
    before = pca.components_.copy()
    with pytest.raises(ValueError, match="10 features"):
        pca.merge(learned(digits[:, :10], 100, n_components=3))
    np.testing.assert_array_equal(pca.components_, before)


# --- order and sign ----------------------------------------------------------------------------


def test_components_keep_their_sign_while_the_stream_turns():
    draws = np.random.default_rng(0)
    pca = StreamingPCA(n_components=2, half_life=200.0)
    previous = None
    for turn in np.linspace(0, 4 * np.pi, 200):
        basis = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0]])
        pca.partial_fit(draws.normal(size=(100, 2)) * [3.0, 1.0] @ basis)
        if previous is not None:
            assert ((pca.components_ * previous).sum(1) > 0.5).all()
        previous = pca.components_


def test_first_sign_is_deterministic(digits):
    a = StreamingPCA(n_components=6).fit(digits)
    b = StreamingPCA(n_components=6, batch_size=50).fit(digits[::-1])
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-8)
    largest = np.abs(a.components_).argmax(1)
    assert (a.components_[np.arange(6), largest] > 0).all()


# --- the contract of scikit-learn and of Python


def test_nothing_seen_is_not_fitted():
    pca = StreamingPCA(n_components=2)
    assert not hasattr(pca, "components_")
    with pytest.raises(NotFittedError, match="partial_fit"):
        pca.transform(np.ones((2, 2)))


def test_fit_forgets_and_partial_fit_does_not(digits):
    pca = StreamingPCA(n_components=2).fit(digits[:100])
    assert pca.partial_fit(digits[:50]).n_samples_seen_ == 150
    assert pca.fit(digits[:70]).n_samples_seen_ == 70


def test_clone_pickle_and_deepcopy(digits):
    pca = learned(digits[:103], 10, n_components=3, half_life=50)
    assert clone(pca).get_params() == pca.get_params()
    assert not hasattr(clone(pca), "components_")
    pca.partial_fit(digits[103:106])  # these wait in the buffer
    for copied in (pickle.loads(pickle.dumps(pca)), copy.deepcopy(pca), copy.copy(pca)):
        np.testing.assert_array_equal(copied.components_, pca.components_)
        copied.partial_fit(digits[:5])
        assert copied.n_samples_seen_ == 111
        assert pca.n_samples_seen_ == 106


def test_a_pickle_holds_the_rows_that_wait_and_not_the_room_for_more():
    pca = StreamingPCA(2, batch_size=100_000).partial_fit(np.ones((3, 50)))
    assert len(pickle.dumps(pca)) < 50_000  # 40 MB of room, 20 kB of moments
    copied = pickle.loads(pickle.dumps(pca)).partial_fit(np.zeros((1, 50)))
    np.testing.assert_allclose(copied.mean_, 0.75)


def test_counts_and_means_are_read_without_a_solve(digits, monkeypatch):
    pca = learned(digits, 100, n_components=3)
    monkeypatch.setattr("streampca.solvers.exact.solve", None)
    assert (pca.n_samples_seen_, pca.weight_, pca.n_features_in_) == (1797, 1797.0, 64)
    np.testing.assert_allclose(pca.mean_, digits.mean(0))
    np.testing.assert_allclose(pca.var_, digits.var(0, ddof=1))


def test_in_a_pipeline_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_iris(return_X_y=True)
    ours = make_pipeline(StandardScaler(), StreamingPCA(n_components=2), LogisticRegression())
    theirs = make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    assert ours.fit(X, y).score(X, y) == theirs.fit(X, y).score(X, y)


def test_attributes_have_the_meaning_and_shape_of_incremental_pca(digits):
    theirs = IncrementalPCA(5).fit(digits)
    ours = StreamingPCA(n_components=5).fit(digits)
    for name in (*FITTED, "n_components_", "n_features_in_", "n_samples_seen_"):
        assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name)), name
    np.testing.assert_allclose(ours.singular_values_, PCA(5).fit(digits).singular_values_)
    assert list(ours.get_feature_names_out()) == [f"streamingpca{i}" for i in range(5)]


def test_repr_shows_what_was_changed():
    assert repr(StreamingPCA(n_components=3, whiten=True)) == (
        "StreamingPCA(n_components=3, whiten=True)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 1.5}, "n_components=1.5"),
        ({"n_components": 65}, "64 features"),
        ({"n_components": True}, "n_components=True"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"memory": "big"}, "memory='big'"),
        ({"solver": "newton"}, "solver='newton'"),
        ({"forgetting_factor": 0.0}, "forgetting_factor=0.0"),
        ({"half_life": -1}, "half_life=-1"),
        ({"half_life": 5, "forgetting_factor": 0.5}, "give one of them"),
        pytest.param({"device": "abacus"}, "abacus", marks=pytest.mark.needs_torch),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"n_components": 0.9, "memory": "factored"}, "memory='dense'"),
        ({"n_components": 0.9, "solver": "first_order"}, "solver='exact'"),
    ],
)
def test_parameters_out_of_range_are_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        StreamingPCA(**options).partial_fit(digits)


def test_set_params_names_an_unknown_parameter():
    with pytest.raises(ValueError, match="no parameter 'p'"):
        StreamingPCA().set_params(p=3)


# --- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resumes_from_a_checkpoint_bit_for_bit(digits, memory, dtype):
    X = digits.astype(dtype)
    straight = StreamingPCA(5, memory=memory, half_life=400).partial_fit(X[:1000])
    saved = Checkpoint.from_bytes(straight.checkpoint(key="a", window_end=7).to_bytes())
    resumed = StreamingPCA.from_checkpoint(saved)
    assert resumed.get_params() == straight.get_params()
    np.testing.assert_array_equal(resumed.components_, straight.components_)
    assert resumed.loss_ == straight.loss_
    for pca in (straight, resumed):
        pca.partial_fit(X[1000:1500])
    np.testing.assert_array_equal(resumed.components_, straight.components_)
    np.testing.assert_array_equal(resumed.explained_variance_, straight.explained_variance_)
    np.testing.assert_array_equal(resumed.transform(X), straight.transform(X))


def test_a_checkpoint_holds_what_its_names_say(digits):
    pca = StreamingPCA(3).partial_fit(digits)
    saved = pca.checkpoint(key="k", window_start=1, window_end=2, sequence=4)
    assert (saved.key, saved.window_start, saved.window_end, saved.sequence) == ("k", 1, 2, 4)
    np.testing.assert_array_equal(saved.components, pca.components_)
    np.testing.assert_array_equal(saved.decoder, pca.decoder_)
    np.testing.assert_allclose(saved.transform(digits[:4]), pca.transform(digits[:4]))
    assert saved.n_samples_seen == len(digits)
