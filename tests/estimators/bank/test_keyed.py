"""Models of a bank are those of single estimators: whatever rows, weights and orders come."""

import numpy as np
import pytest
from banks import assert_same, fed, single
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import KeyedPCA, StreamingPCA

KEYS = ["press 4", "", "4", 4, -1, None, 2**70, "é"]


options = st.fixed_dictionaries(
    {},
    optional={
        "center": st.booleans(),
        "forgetting_factor": st.sampled_from([0.5, 0.9, 0.999]),
        "whiten": st.booleans(),
        "scale": st.booleans(),
        "dtype": st.sampled_from(["float32", "float64"]),
    },
)
calls = st.lists(
    st.tuples(st.integers(1, 40), st.booleans(), st.sampled_from([None, 0.5, 1e-3])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(options, calls, st.integers(1, 14), st.sampled_from([1, 2, None]), st.integers(0, 99))
def test_each_model_is_that_of_its_rows_alone(parameters, calls, n, p, seed):
    draws = np.random.default_rng(seed)
    p = p if p is None or p <= n else n
    dtype = parameters.get("dtype", "float64")
    parameters = {"n_components": p, **parameters}

    def batch(m, weighted, factor):
        X = (draws.normal(size=(m, n)) * np.geomspace(1, 0.1, n) + 3).astype(dtype)
        keys = [KEYS[i] for i in draws.integers(0, len(KEYS), m)]
        weights = draws.choice([0.0, 0.3, 1.0, 2.0, 1e9], m) if weighted else None
        return X, keys, weights, factor

    bank = KeyedPCA(**parameters)
    history = fed(bank, [batch(*call) for call in calls])
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
    monkeypatch.setattr("streampca.estimators.bank.learning._NUMBERS", 64)
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
            patch.setattr("streampca.estimators.bank.learning._FITS", 0.0)
            alone = KeyedPCA(2, **parameters).partial_fit(X, keys, weights)
        for key in together:
            assert_same(together[key], alone[key])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [3, 40])
def test_scaled_models_have_the_eigenvectors_of_correlations(m, dtype):
    draws = np.random.default_rng(m)
    units = np.array([1e-6, 1.0, 1e4, 10.0, 0.1])
    X = ((draws.normal(size=(3 * m, 5)) @ draws.normal(size=(5, 5)) + 2) * units).astype(dtype)
    X[:, 3] = 7.0  # does not vary
    keys = np.arange(3 * m) % 3
    bank = KeyedPCA(2, scale=True).partial_fit(X[:m], keys[:m]).partial_fit(X[m:], keys[m:])
    for key in range(3):
        mine, model = X[keys == key].astype(float), bank[key]
        scale = np.where(np.arange(5) == 3, 1.0, mine.std(axis=0, ddof=1))
        values, vectors = np.linalg.eigh(np.cov((mine / scale).T))
        np.testing.assert_allclose(model.explained_variance_, values[:-3:-1], rtol=1e-5)
        cosines = np.abs((model.components_ * vectors[:, :-3:-1].T).sum(axis=1))
        np.testing.assert_allclose(cosines, 1, atol=1e-10 if dtype == "float64" else 1e-5)
        np.testing.assert_allclose(model.scale_, scale, rtol=1e-10 if dtype == "float64" else 1e-5)
        assert model.constant_features_.tolist() == [3]
        assert model.explained_variance_ratio_.sum() == pytest.approx(values[-2:].sum() / 4, 1e-5)
        found = model.transform(X[keys == key])
        np.testing.assert_allclose(
            bank.transform(X[keys == key], keys[keys == key]), found, rtol=1e-4, atol=1e-4
        )
    again = KeyedPCA.from_checkpoints(bank.checkpoints())
    assert again.get_params() == bank.get_params() | {"n_components": 2}
    for key in range(3):
        np.testing.assert_array_equal(again[key].components_, bank[key].components_)
        np.testing.assert_array_equal(again[key].scale_, bank[key].scale_)
    np.testing.assert_allclose(bank.merge(again)[0].scale_, again[0].scale_, rtol=0.3)


def test_checkpoints_of_a_bank_are_those_of_its_models(bank):
    for scale in (False, True):
        draws = np.random.default_rng(9)
        made = KeyedPCA(2, scale=scale).partial_fit(draws.normal(size=(90, 6)), np.arange(90) % 7)
        for key, together in zip(made, made.checkpoints(window_end=5, sequence=2), strict=True):
            alone = made[key].checkpoint(key=key, window_end=5, sequence=2)
            assert together == alone


def test_an_empty_bank_has_no_checkpoints(bank):
    assert list(KeyedPCA(2).checkpoints()) == []
    assert list(bank.checkpoints([])) == []
    with pytest.raises(KeyError):
        list(KeyedPCA(2).checkpoints(["a"]))
