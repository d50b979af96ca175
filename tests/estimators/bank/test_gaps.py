"""Rows with gaps: each model of a bank fills them as a single estimator of its key's rows does."""

import copy

import numpy as np
import pytest
from banks import assert_same, fed, single
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import Checkpoint, KeyedPCA, StreamingPCA

SPECTRA = {
    "steep": lambda n: 3.0 ** -np.arange(n),
    "power": lambda n: 1.0 / (1 + np.arange(n)),
    "flat": np.ones,
    "low rank": lambda n: (np.arange(n) < max(1, n // 2)).astype(float),
    "one large": lambda n: np.where(np.arange(n) == 0, 30.0, 1.0),
}


def with_gaps(draws, X, pattern):
    """X with NaN: anywhere, sensors out, features that come late, rows and calls without any."""
    m, n = X.shape
    X = X.copy()
    if pattern == "scattered":
        X[draws.random((m, n)) < 0.2] = np.nan
    elif pattern == "most":
        X[draws.random((m, n)) < 0.8] = np.nan
    elif pattern == "sensors out":
        X[:, draws.random(n) < 0.4] = np.nan
    elif pattern == "rows":
        X[draws.random(m) < 0.5] = np.nan
    elif pattern == "all":
        X[:] = np.nan
    return X


options = st.fixed_dictionaries(
    {"n_components": st.sampled_from([1, 2, 4, None])},
    optional={
        "center": st.booleans(),
        "half_life": st.sampled_from([5.0, 30.0]),
        "scale": st.booleans(),
    },
)
calls = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.sampled_from(["none", "scattered", "most", "sensors out", "rows", "all"]),
        st.booleans(),
        st.sampled_from([None, None, 0.5]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=80, deadline=None)
@given(options, calls, st.integers(1, 9), st.sampled_from(sorted(SPECTRA)), st.integers(0, 999))
def test_gaps_are_filled_as_alone(parameters, calls, n, spectrum, seed):
    draws = np.random.default_rng(seed)
    if parameters["n_components"] is not None:
        parameters = parameters | {"n_components": min(n, parameters["n_components"])}
    parameters = parameters | {"missing": "impute"}
    mix = np.linalg.qr(draws.normal(size=(n, n)))[0] * SPECTRA[spectrum](n)

    def batch(m, pattern, weighted, factor):
        X = with_gaps(draws, draws.normal(size=(m, n)) @ mix.T + 3, pattern)
        keys = draws.integers(0, 4, m).tolist()
        weights = draws.choice([0.0, 0.3, 1.0, 2.0], m) if weighted else None
        return X, keys, weights, factor

    bank = KeyedPCA(**parameters)
    history = fed(bank, [batch(*call) for call in calls])
    nudged = [(X * (1 + 1e-14 * draws.normal(size=X.shape)), *rest) for X, *rest in history]
    for key in bank:
        alone, near = (single(bank, key, each, **parameters) for each in (history, nudged))
        moved = max(
            np.abs(alone.mean_ - near.mean_).max(initial=0.0),
            np.abs(alone.explained_variance_ - near.explained_variance_).max(),
        )
        if moved < 1e-8:  # else rounding says what stands in a gap: a model without noise
            size = 4.0 * max(1.0, SPECTRA[spectrum](n).max())
            assert_same(bank[key], alone, size=size + 1e12 * moved)


@pytest.mark.parametrize("scale", [False, True])
def test_a_call_of_many_rows_is_filled_by_so_many(scale):
    draws = np.random.default_rng(0)
    X = with_gaps(draws, draws.normal(size=(3000, 6)) * [6, 5, 4, 3, 2, 1] + 2, "scattered")
    keys = np.where(np.arange(3000) % 5 == 0, "rare", "hot")
    bank = KeyedPCA(2, missing="impute", scale=scale).partial_fit(X, keys)
    for key in ("rare", "hot"):
        alone = StreamingPCA(2, missing="impute", scale=scale).partial_fit(X[keys == key])
        assert_same(bank[key], alone)


@pytest.fixture
def pair():
    """A bank of three models and each of them alone; feature 3 is seen in no row yet."""
    draws = np.random.default_rng(1)
    X, keys = draws.normal(size=(60, 5)) * [5, 4, 3, 2, 1] + 1, np.arange(60) % 3
    X = with_gaps(draws, X, "scattered")
    X[:, 3] = np.nan
    alone = {key: folded(StreamingPCA(2, missing="impute"), X[keys == key]) for key in range(3)}
    return KeyedPCA(2, missing="impute").partial_fit(X, keys), alone


def folded(pca, X):
    """A single estimator that has learned X at once, as a bank does: nothing waits."""
    pca.partial_fit(X).flush()
    return pca


def later(keys):
    draws = np.random.default_rng(2)
    X = draws.normal(size=(len(keys), 5)) * [5, 4, 3, 2, 1] + 100
    return with_gaps(draws, X, "scattered")


def test_a_feature_whose_first_values_come_late_stands_where_they_are(pair):
    bank, alone = pair
    keys = np.arange(30) % 3
    X = later(keys)
    bank.partial_fit(X, keys)
    for key, pca in alone.items():
        folded(pca, X[keys == key])
        assert_same(bank[key], pca, size=100.0)
        assert bank[key].mean_[3] == pytest.approx(pca.mean_[3], rel=1e-12)
        assert bank[key].var_[3] < 200  # about 100, its values vary by two


def test_answers_fill_gaps_by_the_model_of_the_key(pair):
    bank, alone = pair
    keys = np.arange(30) % 3
    X = later(keys)
    Z = bank.transform(X, keys)
    for key, pca in alone.items():
        np.testing.assert_allclose(Z[keys == key], pca.transform(X[keys == key]), rtol=1e-9)
        np.testing.assert_allclose(
            bank[key].score_samples(X[keys == key]), pca.score_samples(X[keys == key]), rtol=1e-8
        )


@pytest.mark.parametrize(
    "way", ["checkpoints", "bytes", "copy", "merge", "merge into it", "view", "view merges"]
)
def test_what_no_row_has_had_goes_with_the_model(pair, way):
    bank, alone = pair
    keys = np.arange(30) % 3
    X = later(keys)
    twins = copy.deepcopy(alone)
    if way == "checkpoints":
        bank = KeyedPCA.from_checkpoints(bank.checkpoints())
    elif way == "bytes":
        bank = KeyedPCA.from_checkpoints(
            Checkpoint.from_bytes(each.to_bytes()) for each in bank.checkpoints()
        )
    elif way == "copy":
        bank = copy.deepcopy(bank)
    elif way == "merge":
        bank = KeyedPCA(2, missing="impute").merge(bank)
    elif way == "view":
        for key in bank:
            bank[key].partial_fit(X[keys == key])
            folded(twins[key], X[keys == key])
    else:
        other = KeyedPCA(2, missing="impute").partial_fit(X, keys)
        if way == "merge into it":
            bank.merge(other)
        for key in bank:
            single = folded(StreamingPCA(2, missing="impute"), X[keys == key])
            if way == "view merges":
                bank[key].merge(single)
            twins[key].merge(single)
    bank.partial_fit(X, keys)
    for key, pca in twins.items():
        assert_same(bank[key], folded(pca, X[keys == key]), size=100.0)


def test_a_key_that_is_forgotten_has_seen_nothing(pair):
    bank, _ = pair
    keys = np.zeros(30, int)
    X = later(keys)
    X[:, 3] = 7.0
    del bank[1]
    bank.partial_fit(X, keys + 1)
    bank[2].fit(X)
    for key in (1, 2):
        assert_same(bank[key], StreamingPCA(2, missing="impute").fit(X), size=100.0)


def test_a_call_that_ends_in_an_error_leaves_gaps_and_sums_alone(pair):
    bank, alone = pair
    before = list(bank.checkpoints())
    far = np.full((1_000_000, 5), 1e151) * np.where(np.arange(1_000_000) % 2, 1.0, -1.0)[:, None]
    with pytest.raises(ValueError, match="too large|overflow|float"):
        bank.partial_fit(far, np.zeros(len(far), int))
    assert list(bank.checkpoints()) == before
    huge = later(np.zeros(30, int)) * 1e138  # near what may overflow: each model by itself
    bank.partial_fit(huge, np.zeros(30, int))
    folded(alone[0], huge)
    cosines = (bank[0].components_ * alone[0].components_).sum(axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1.0, rtol=1e-9)
    np.testing.assert_allclose(bank[0].explained_variance_, alone[0].explained_variance_, rtol=1e-9)


def test_a_row_that_cannot_be_used_is_named_with_its_key():
    X = np.eye(3)
    X[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 1, key 'b', feature 2 is nan: .*missing='impute'"):
        KeyedPCA(1).partial_fit(X, ["a", "b", "a"])
    X[1, 2] = np.inf
    with pytest.raises(ValueError, match="row 1, key 'b', feature 2 is inf"):
        KeyedPCA(1, missing="impute").partial_fit(X, ["a", "b", "a"])
    bank = KeyedPCA(1, missing="impute").partial_fit(np.eye(3), ["a", "b", "a"])
    with pytest.raises(ValueError, match="row 1, key 'b', feature 2 is inf"):
        bank.transform(X, ["a", "b", "a"])
    with pytest.raises(ValueError, match="row 1, feature 2 is inf"):
        bank["a"].partial_fit(X)
    for keys in (None, 7, ["a"]):  # rows first: which keys these are is another matter
        with pytest.raises(ValueError, match="row 1, feature 2 is inf"):
            bank.transform(X, keys)
    with pytest.raises(ValueError, match="missing='drop'"):
        KeyedPCA(1, missing="drop").partial_fit(np.eye(3), [1, 2, 3])


def test_each_key_may_forget_by_a_factor_of_its_own(pair):
    bank, alone = pair
    bank.decay([0.5, 0.25], [2, 0])
    for key, factor in ((0, 0.25), (1, 1.0), (2, 0.5)):
        assert_same(bank[key], alone[key].decay(factor))
    for factor, keys, message in [
        ([0.5, 2.0], [0, 1], "between 0 and 1"),
        ([0.5], [0, 1], "one for each of the 2 keys"),
        ([0.5, 0.1], [1, 1], "given twice"),
        (np.nan, [0], "between 0 and 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            bank.decay(factor, keys)
    assert bank[1].weight_ == alone[1].weight_
