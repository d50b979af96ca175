"""Models of a bank are those of single estimators: whatever rows, weights and orders come."""

import copy
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from streampca import Checkpoint, KeyedPCA, NotFittedError, StreamingPCA, UnknownKeyError

KEYS = ["press 4", "", "4", 4, -1, None, 2**70, "é"]

options = st.fixed_dictionaries(
    {},
    optional={
        "center": st.booleans(),
        "forgetting_factor": st.sampled_from([0.5, 0.9, 0.999]),
        "whiten": st.booleans(),
        "dtype": st.sampled_from(["float32", "float64"]),
    },
)
calls = st.lists(
    st.tuples(st.integers(1, 40), st.booleans(), st.sampled_from([None, 0.5, 1e-3])),
    min_size=1,
    max_size=5,
)


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
    gaps = np.abs(np.diff(values, append=0.0, prepend=np.inf))
    apart = np.minimum(gaps[1:], gaps[:-1]) > 1e-3 * values[0] * size
    cosines = np.abs((C * pca.components_).sum(axis=1))
    np.testing.assert_allclose(cosines[apart], 1.0, atol=max(1e-9, tolerance))
    assert model.residuals_.max() < 1e-10


@settings(max_examples=60, deadline=None)
@given(options, calls, st.integers(1, 14), st.sampled_from([1, 2, None]), st.integers(0, 99))
def test_each_model_is_that_of_its_rows_alone(parameters, calls, n, p, seed):
    draws = np.random.default_rng(seed)
    p = p if p is None or p <= n else n
    dtype = parameters.get("dtype", "float64")
    parameters = {"n_components": p, **parameters}
    bank, history = KeyedPCA(**parameters), []
    for m, weighted, factor in calls:
        X = (draws.normal(size=(m, n)) * np.geomspace(1, 0.1, n) + 3).astype(dtype)
        keys = [KEYS[i] for i in draws.integers(0, len(KEYS), m)]
        weights = draws.choice([0.0, 0.3, 1.0, 2.0, 1e9], m) if weighted else None
        if weights is not None and not weights.any():
            continue
        bank.partial_fit(X, keys, weights)
        if factor is not None:
            bank.decay(factor)
        history.append((X, keys, weights, factor))
    for key in bank:
        pca = single(bank, key, history, **parameters)
        assert_same(bank[key], pca, size=4.0)
    for X, keys, _, _ in history:
        known = [i for i, key in enumerate(keys) if key in bank]
        if not known or not bank.keys():
            continue
        Z = bank.transform(X[known], [keys[i] for i in known])
        assert Z.dtype == X.dtype
        for i, z in zip(known, Z, strict=True):
            z_alone = bank[keys[i]].transform(X[i : i + 1])[0]
            scale = 1.0 + np.abs(z_alone).max()
            np.testing.assert_allclose(
                z, z_alone, atol=scale * (1e-11 if dtype == "float64" else 1e-3)
            )


@pytest.mark.parametrize("n", [1, 3, 8, 50, 130])
@pytest.mark.parametrize("sizes", [[1] * 6, [20], [20, 20, 40], [3, 90, 1]], ids=str)
def test_few_rows_many_rows_and_all_between(n, sizes):
    draws = np.random.default_rng(n)
    bank, rows = KeyedPCA(1), {key: [] for key in range(7)}
    for size in sizes:
        keys = draws.permutation(np.repeat(np.arange(7), size))
        X = draws.normal(size=(len(keys), n)) + 10
        bank.partial_fit(X, keys)
        for key, mine in rows.items():
            mine.append(X[keys == key])
    for key, mine in rows.items():
        D = np.concatenate(mine)
        model = bank[key]
        np.testing.assert_allclose(model.mean_, D.mean(0), rtol=1e-12)
        np.testing.assert_allclose(
            model.var_, D.var(0, ddof=1) if len(D) > 1 else np.zeros(n), rtol=1e-9, atol=1e-12
        )
        values = np.linalg.eigvalsh(np.atleast_2d(np.cov(D.T)))[::-1] if len(D) > 1 else [0.0]
        assert model.explained_variance_[0] == pytest.approx(values[0], rel=1e-10, abs=1e-12)


def test_a_key_of_more_rows_than_are_worked_on_at_once(monkeypatch):
    monkeypatch.setattr("streampca.bank.learning._NUMBERS", 64)
    X = np.random.default_rng(0).normal(size=(500, 4)) * [4, 3, 2, 1]
    keys = np.where(np.arange(500) % 10 == 0, "rare", "hot")
    for parameters in ({}, {"half_life": 20.0}):
        bank = KeyedPCA(4, **parameters).partial_fit(X, keys)
        for key in ("rare", "hot"):
            assert_same(bank[key], StreamingPCA(4, **parameters).partial_fit(X[keys == key]))


@pytest.mark.parametrize("scale", [1e-170, 1e-90, 1e90, 1e149])
def test_sizes_of_numbers_do_not_matter(scale):
    X = np.random.default_rng(0).normal(size=(60, 5)) * [5, 4, 3, 2, 1]
    keys = np.arange(60) % 2
    plain, scaled = (KeyedPCA(2).partial_fit(X * s, keys) for s in (1.0, scale))
    for key in (0, 1):
        cosines = (plain[key].components_ * scaled[key].components_).sum(axis=1)
        if scale > 1e-150:  # variances are none, else
            np.testing.assert_allclose(cosines, 1.0, atol=1e-9)
            np.testing.assert_allclose(
                scaled[key].explained_variance_ / scale / scale,
                plain[key].explained_variance_,
                rtol=1e-9,
            )


def test_what_would_overflow_is_refused_and_nothing_is_learned():
    X = np.full((1_000_000, 2), 1e151) * np.where(np.arange(1_000_000) % 2, 1.0, -1.0)[:, None]
    bank = KeyedPCA(1).partial_fit(np.eye(2), ["a", "b"])
    before = bank.nbytes, list(bank)
    with pytest.raises(ValueError, match="too large for a float"):
        bank.partial_fit(X, np.array(["a"] * len(X)))
    assert (bank.nbytes, list(bank)) == before
    assert bank["a"].n_samples_seen_ == 1


def test_models_that_are_added_to_one_by_one_are_the_same(monkeypatch):
    """As where sums might leave float64, and each is checked."""
    X, keys = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 7
    weights = np.random.default_rng(1).uniform(0.5, 2, 60)
    for parameters in ({}, {"half_life": 5.0}):
        together = KeyedPCA(2, **parameters).partial_fit(X, keys, weights)
        with monkeypatch.context() as patch:
            patch.setattr("streampca.bank.learning._FITS", 0.0)
            alone = KeyedPCA(2, **parameters).partial_fit(X, keys, weights)
        for key in together:
            assert_same(together[key], alone[key])


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        list,
        lambda keys: np.array(keys, object),
        lambda keys: pd.Series(keys, dtype=object),
    ],
)
def test_keys_are_told_apart_by_type(made):
    keys = ["1", 1, None, "None", -1, "1"]
    bank = KeyedPCA(1).partial_fit(np.random.default_rng(0).normal(size=(6, 2)), made(keys))
    assert list(bank) == ["1", 1, None, "None", -1]
    assert bank["1"].n_samples_seen_ == 2
    assert 1.0 not in bank
    assert True not in bank


@pytest.mark.parametrize(
    "keys",
    [
        np.array([3, 1, 3, 2]),
        np.array([3, 1, 3, 2], "uint8"),
        pd.Series([3, 1, 3, 2]),
        pa.array([3, 1, 3, 2]),
        pa.chunked_array([[3], [1, 3, 2]]),
        [np.int32(3), 1, np.int64(3), 2],
    ],
    ids=lambda keys: type(keys).__module__,
)
def test_numbers_are_keys_of_any_kind_in_the_order_of_their_rows(keys):
    bank = KeyedPCA(1).partial_fit(np.eye(4), keys)
    assert list(bank) == [3, 1, 2]
    assert all(type(key) is int for key in bank)
    bank = KeyedPCA(1).partial_fit(np.eye(4), np.array([f"k{key}" for key in [*bank, 1]]))
    assert list(bank) == ["k3", "k1", "k2"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["a", "b", 1.5], "row 2: key must be a str, an int or None, not 1.5"),
        (["a", True, "b"], "row 1: key must"),
        (["a", float("nan"), "b"], "row 1: key must"),
        (["a", ["x"], "b"], "row 1: key must"),
        (["a", "\ud800", "b"], "row 1: .*UTF-8"),
        (["a", "b"], r"shape \(2,\): give one for each of the 3 rows"),
        (np.zeros((3, 1), int), r"shape \(3, 1\)"),
        ("abc", "give one key for each"),
        (None, "give one key for each"),
        (np.array([1.0, 2.0, 3.0]), "row 0: key must"),
    ],
)
def test_what_is_no_key_is_refused_by_row_and_nothing_is_learned(keys, message):
    bank = KeyedPCA(1)
    with pytest.raises(ValueError, match=message):
        bank.partial_fit(np.eye(3), keys)
    assert len(bank) == 0


def test_unknown_keys_are_named():
    bank = KeyedPCA(1)
    with pytest.raises(NotFittedError, match="KeyedPCA has not seen any row"):
        bank.transform(np.eye(3), [1, 2, 3])
    with pytest.raises(UnknownKeyError):
        bank["a"]
    bank.partial_fit(np.eye(3), ["a", "b", "a"])
    with pytest.raises(KeyError) as error:
        bank.transform(np.eye(3), ["a", "x", "y"])
    assert str(error.value).startswith("row 1: key 'x' has no model")
    assert "2 of 3 keys have none" in str(error.value)
    for missing in ("c", 1, True, 1.0, None, ["a"], ()):
        with pytest.raises((UnknownKeyError, TypeError)):
            bank[missing]
    with pytest.raises(UnknownKeyError):
        bank.decay(0.5, ["a", "nobody"])
    assert bank["a"].weight_ == 2


# --- rows -----------------------------------------------------------------------------------------


def test_bad_rows_are_named_and_change_nothing():
    bank = KeyedPCA(1).partial_fit(np.eye(3), [1, 2, 1])
    bad = np.eye(3)
    bad[1, 2] = np.nan
    for X, keys, weights, message in [
        (bad, [1, 2, 1], None, "row 1, feature 2 is nan"),
        (np.eye(4), [1, 2, 1, 2], None, "4 features, but 3 are expected"),
        (np.eye(3), [1, 2, 1], [1.0, -1.0, 1.0], "row 1: the weight"),
        (np.eye(3), [1, 2, 1], [0.0, 0.0, 0.0], "weights of all rows are zero"),
        (np.eye(3), [1, 9], None, "keys have shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            bank.partial_fit(X, keys, weights)
    assert (len(bank), bank[1].n_samples_seen_) == (2, 2)
    assert bank.partial_fit(np.empty((0, 3)), []) is bank


def test_frames_sparse_rows_and_rows_of_no_weight():
    X = np.abs(np.random.default_rng(0).normal(size=(12, 3)))
    keys = np.arange(12) % 3
    plain = KeyedPCA(2).partial_fit(X, keys)
    frame = KeyedPCA(2).partial_fit(pd.DataFrame(X, columns=list("abc")), keys)
    assert frame.feature_names_in_.tolist() == ["a", "b", "c"]
    assert frame[0].feature_names_in_.tolist() == ["a", "b", "c"]
    turned = pd.DataFrame(X[:, ::-1], columns=list("cba"))
    np.testing.assert_array_equal(frame.transform(turned, keys), plain.transform(X, keys))
    sparse = KeyedPCA(2).partial_fit(scipy.sparse.csr_array(X), keys)
    np.testing.assert_array_equal(sparse.transform(X, keys), plain.transform(X, keys))
    weights = (keys != 2).astype(float)
    assert list(KeyedPCA(2).partial_fit(X, keys, weights)) == [0, 1]


def test_rows_are_never_changed():
    X = np.random.default_rng(0).normal(size=(40, 5))
    for dtype in ("float32", "float64"):
        rows = X.astype(dtype)
        kept = rows.copy()
        rows.setflags(write=False)
        bank = KeyedPCA(2).partial_fit(rows, np.zeros(40, int)).partial_fit(rows, [7] * 40)
        bank.transform(rows, [7] * 40)
        np.testing.assert_array_equal(rows, kept)


# --- views ----------------------------------------------------------------------------------------


@pytest.fixture
def bank():
    draws = np.random.default_rng(5)
    X = draws.normal(size=(200, 6)) * [6, 5, 4, 3, 2, 1] + 1
    return KeyedPCA(3).partial_fit(X, np.arange(200) % 5)


def test_a_view_learns_where_the_bank_keeps_it(bank):
    view, other = bank[2], bank[3].components_
    X = np.random.default_rng(1).normal(size=(30, 6)) * [1, 2, 3, 4, 5, 6]
    alone = StreamingPCA.from_checkpoint(view.checkpoint())
    assert view.partial_fit(X) is view
    alone.partial_fit(X)
    assert_same(bank[2], alone)
    np.testing.assert_array_equal(view.components_, bank[2].components_)
    np.testing.assert_array_equal(bank[3].components_, other)
    view.decay(0.25)
    assert bank[2].weight_ == pytest.approx(70 / 4)
    view.merge(StreamingPCA(3).partial_fit(X))
    assert bank[2].n_samples_seen_ == 100
    assert_same(view.fit(X), StreamingPCA(3).partial_fit(X))
    with pytest.raises(ValueError, match="0 sample"):
        view.fit(X[:0])
    with pytest.raises(ValueError, match="nan"):
        view.fit(X * np.nan)
    assert bank[2].n_samples_seen_ == 30


def test_a_view_answers_as_an_estimator(bank):
    X = np.random.default_rng(1).normal(size=(30, 6))
    view, alone = bank[2], StreamingPCA.from_checkpoint(bank[2].checkpoint())
    for verb in ("transform", "score_samples"):
        np.testing.assert_allclose(getattr(view, verb)(X), getattr(alone, verb)(X), rtol=1e-9)
    np.testing.assert_allclose(
        view.inverse_transform(view.transform(X)), alone.inverse_transform(alone.transform(X))
    )
    for name in ("loss_", "noise_variance_", "memory_", "n_features_in_", "n_components_"):
        assert (
            getattr(view, name) == pytest.approx(getattr(alone, name), rel=1e-9)
            if name != "memory_"
            else view.memory_ == "dense"
        )
    np.testing.assert_allclose(view.get_covariance(), alone.get_covariance())
    assert "KeyedPCA" in repr(view)
    assert "[2]" in repr(view)
    with pytest.raises(ValueError, match="the bank's"):
        view.set_params(n_components=2)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda view: pickle.loads(pickle.dumps(view))]
)
def test_a_copy_of_a_view_is_an_estimator_of_its_own(bank, copied):
    alone = copied(bank[1])
    assert type(alone) is StreamingPCA
    np.testing.assert_array_equal(alone.components_, bank[1].components_)
    alone.partial_fit(np.ones((3, 6)))
    assert (alone.n_samples_seen_, bank[1].n_samples_seen_) == (43, 40)
    fresh = clone(bank[1])
    assert type(fresh) is StreamingPCA
    assert fresh.n_components == 3


def test_a_copy_of_a_bank_goes_on_to_the_same_bits(bank):
    X, keys = np.random.default_rng(1).normal(size=(30, 6)), np.arange(30) % 7
    for twin in (copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        one = copy.deepcopy(bank)
        for each in (twin, one):
            each.partial_fit(X, keys)
        np.testing.assert_array_equal(twin.transform(X, keys), one.transform(X, keys))
    assert len(bank) == 5
    assert clone(bank).get_params() == bank.get_params()


# --- merging, deleting, checkpoints ---------------------------------------------------------------


def test_merged_banks_are_those_of_all_rows(bank):
    draws = np.random.default_rng(8)
    X, keys = draws.normal(size=(90, 6)), draws.integers(3, 9, 90)
    other = KeyedPCA(3).partial_fit(X, keys)
    for key in other:
        alone = (
            StreamingPCA.from_checkpoint(bank[key].checkpoint()) if key in bank else StreamingPCA(3)
        )
        alone.merge(StreamingPCA.from_checkpoint(other[key].checkpoint()))
        expected = copy.deepcopy(bank).merge(other)
        assert_same(expected[key], alone)
    untouched = KeyedPCA(3).merge(bank)
    assert list(untouched) == list(bank)
    assert bank.merge(KeyedPCA(3)) is bank
    with pytest.raises(ValueError, match="n_features"):
        bank.merge(KeyedPCA(3).partial_fit(np.eye(4), [1] * 4))
    with pytest.raises(ValueError, match="center"):
        bank.merge(KeyedPCA(3, center=False).partial_fit(X, keys))


def test_a_key_that_is_deleted_begins_anew_in_the_same_memory(bank):
    sizes = set()
    X = np.random.default_rng(1).normal(size=(40, 6))
    for key in range(5, 50):
        del bank[key - 5]
        assert key - 5 not in bank
        bank.partial_fit(X, [key] * 40)
        assert_same(bank[key], StreamingPCA(3).partial_fit(X))
        sizes.add(bank.nbytes)
    assert len(sizes) == 1
    with pytest.raises(UnknownKeyError):
        del bank[0]


def test_checkpoints_go_on_where_they_were_taken(bank):
    X, keys = np.random.default_rng(1).normal(size=(60, 6)), np.arange(60) % 6
    taken = [
        Checkpoint.from_bytes(checkpoint.to_bytes())
        for checkpoint in bank.checkpoints(window_start=0, window_end=60_000_000)
    ]
    assert [(c.key, c.window_end) for c in taken] == [(key, 60_000_000) for key in range(5)]
    back = KeyedPCA.from_checkpoints(taken)
    assert back.get_params() == bank.get_params() | {"dtype": None}
    for key in bank:
        np.testing.assert_array_equal(back[key].components_, bank[key].components_)
    for each in (bank, back):
        each.partial_fit(X, keys)
    np.testing.assert_array_equal(back.transform(X, keys), bank.transform(X, keys))
    (one,) = bank.checkpoints([3])
    assert StreamingPCA.from_checkpoint(one).n_samples_seen_ == bank[3].n_samples_seen_


def test_checkpoints_that_do_not_fit_are_refused(bank):
    one, two = list(bank.checkpoints([0, 1]))
    X = np.eye(6)
    for checkpoints, message in [
        ([], "no checkpoint"),
        ([one, one], "two checkpoints are of key 0"),
        ([one.without_moments()], "it has no moments"),
        ([StreamingPCA(3, memory="factored").fit(X).checkpoint(key=7)], "factored moments"),
        ([one, StreamingPCA(2).fit(X).checkpoint(key=7)], "parameters"),
        ([one, StreamingPCA(3).fit(np.eye(7)).checkpoint(key=7)], "n_features"),
        ([two, StreamingPCA(3, missing="impute").fit(X).checkpoint(key=7)], "fills gaps"),
        ([StreamingPCA(0.9).fit(X).checkpoint(key=7)], "whole number, or None"),
    ]:
        with pytest.raises(ValueError, match=message):
            KeyedPCA.from_checkpoints(checkpoints)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 4}, "n_components=4 is more than the 3 features"),
        ({"n_components": 0}, "n_components=0 is not accepted"),
        ({"n_components": 0.5}, "whole number, or None"),
        ({"half_life": -1.0}, "half_life=-1.0"),
        ({"half_life": 1.0, "forgetting_factor": 0.5}, "give one of them"),
        ({"dtype": "int8"}, "dtype='int8'"),
    ],
)
def test_parameters_are_checked_with_the_first_rows(parameters, message):
    bank = KeyedPCA(**parameters)
    with pytest.raises(ValueError, match=message):
        bank.partial_fit(np.eye(3), [1, 2, 3])
    assert len(bank) == 0


def test_parameters_that_rows_were_learned_with_do_not_change(bank):
    bank.set_params(n_components=2)
    with pytest.raises(ValueError, match="n_components has changed from 3 to 2"):
        bank.partial_fit(np.eye(6), [1] * 6)
    bank.set_params(n_components=3, half_life=4.0)
    assert bank.partial_fit(np.eye(6), [1] * 6)[1].weight_ < 25
    assert len(bank.fit(np.eye(6), [1] * 6)) == 1


def test_signs_are_kept_from_reading_to_reading(bank):
    draws, scales = np.random.default_rng(3), np.geomspace(100, 1, 6)
    bank.partial_fit(draws.normal(size=(500, 6)) * scales, np.arange(500) % 5)
    before = {key: bank[key].components_ for key in bank}
    for _ in range(5):
        bank.partial_fit(draws.normal(size=(20, 6)) * scales, np.arange(20) % 5)
        for key, C in before.items():
            assert ((bank[key].components_ * C).sum(axis=1) > 0.9).all()
            before[key] = bank[key].components_


def test_memory_is_that_of_the_moments():
    draws = np.random.default_rng(0)
    for n, m in ((50, 20), (50, 60), (8, 3), (8, 40)):
        keys = np.repeat(np.arange(500), m)
        bank = KeyedPCA(2).partial_fit(draws.normal(size=(len(keys), n)), keys)
        moments = 500 * 8 * n * min(n, m if 2 * m < n else n)
        counts = 500 * 8 * (n + 8)
        assert bank.nbytes < 1.3 * (moments + counts)
