"""Claims about streampca.river.PCA: River's own checks, and what its users rely on."""

import copy
import importlib
import math
import pickle
import random
import sys
from decimal import Decimal

import numpy as np
import oracle
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from river import compose, datasets, evaluate, linear_model, metrics, preprocessing
from river_rows import NAMES, X, learned, matrix, records, state

from streampca import StreamingPCA
from streampca.river import PCA, PCAScorer

# --- River's contract -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: PCA(3) | linear_model.LinearRegression(),
        lambda: preprocessing.StandardScaler() | PCA(3) | linear_model.LinearRegression(),
        lambda: (PCA(2) + preprocessing.StandardScaler()) | linear_model.LinearRegression(),
        lambda: compose.Select("gallup", "ipsos") | PCA(2) | linear_model.LinearRegression(),
        lambda: (
            compose.TransformerUnion(PCA(2), compose.Select("ipsos") | PCA(1))
            | linear_model.LinearRegression()
        ),
    ],
)
def test_it_works_in_pipelines(make):
    steps = evaluate.iter_progressive_val_score(
        datasets.TrumpApproval().take(300), make(), metrics.MAE(), step=100
    )
    assert all(math.isfinite(step["MAE"].get()) for step in steps)


def test_it_learns_while_predicting_where_river_is_told_so():
    model = PCA(2) | linear_model.LinearRegression()
    with compose.learn_during_predict():
        for x in records(X[:20]):
            model.predict_one(x)
    expected = matrix(learned(records(X[:20]), n_components=2))
    np.testing.assert_allclose(np.abs(matrix(model["PCA"])), np.abs(expected), atol=1e-12)


def test_it_reads_well_when_debugged():
    model = PCA(2) | linear_model.LinearRegression()
    text = model.debug_one(records(X)[0])
    assert "1. PCA\n------\n0: 0.00000 (float)\n1: 0.00000 (float)\n" in text
    assert isinstance(model["PCA"]._memory_usage, str)


@pytest.mark.parametrize("dup", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_goes_on_with_the_same_bits(dup):
    model = learned(records(X[:523]), n_components=2)
    model.transform_one(records(X)[0])
    model.learn_one({"a": 1.0, "z": 2.0})
    other = dup(model)
    for x in records(X[523:]):
        assert other.transform_one(x) == model.transform_one(x)
        model.learn_one(x)
        other.learn_one(x)
    assert other.components_ == model.components_


def test_a_clone_is_as_new():
    model = learned(records(X), n_components=2)
    assert model.clone().components_ == {}
    assert model.clone({"n_components": 3}).n_components == 3


def test_memory_is_flat():
    model = PCA(2)
    sizes = []
    for x in records(np.tile(X, (10, 1))):
        model.learn_one(x)
        model.transform_one(x)
        sizes.append(model._raw_memory_usage if len(sizes) % 700 == 699 else 0)
    reached = [size for size in sizes if size]
    assert max(reached[3:]) - min(reached[3:]) < 200  # an int or two more


def test_without_river_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    for name in [name for name in sys.modules if name.startswith("streampca.river")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r'pip install "streampca\[river\]"'):
        importlib.import_module("streampca.river")


# --- the right answer ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 512, 700])
def test_components_are_those_of_batch_pca(count):
    model = learned(records(X[:count]), n_components=3)
    mean, components, variances, total = oracle.batch_pca(X[:count], 3)
    assert oracle.ordered_share(matrix(model), components, 1 - 1e-10) == 1
    np.testing.assert_allclose(list(model.explained_variance_.values()), variances)
    np.testing.assert_allclose(list(model.explained_variance_ratio_.values()), variances / total)
    np.testing.assert_allclose(list(model.mean_.values()), mean)


def test_one_by_one_and_many_give_the_same_bits():
    one, many = learned(records(X), n_components=3), PCA(3)
    for rows in np.split(X, [1, 8, 600]):
        many.learn_many(pd.DataFrame(rows, columns=NAMES))
    assert one.components_ == many.components_


def test_it_gives_what_the_estimator_gives():
    ours = learned(records(X), n_components=3, half_life=100.0)
    pca = StreamingPCA(3, half_life=100.0, batch_size=512).partial_fit(X)
    np.testing.assert_array_equal(matrix(ours), pca.components_)
    pca = StreamingPCA(3, half_life=100.0).partial_fit(X)  # larger minibatches, other roundings
    np.testing.assert_allclose(matrix(ours), pca.components_, rtol=0, atol=1e-12)


def test_the_order_of_features_does_not_change_a_bit():
    shuffled, names = PCA(3), list(NAMES)
    for x in records(X):
        random.Random(str(x)).shuffle(names)
        shuffled.learn_one({f: x[f] for f in names})
    assert shuffled.components_ == learned(records(X), n_components=3).components_


def test_names_of_several_types_are_names():
    names = (0, "a", ("b", 1), None)
    model = learned(records(X, names), n_components=2)
    assert set(model.components_[0]) == set(names)
    assert len(model.transform_one(records(X, names)[0])) == 2


@pytest.mark.parametrize("whiten", [False, True])
def test_fresh_coordinates_are_components_times_the_centred_row(whiten):
    model = learned(records(X), n_components=3, whiten=whiten)
    C, mean, variances = matrix(model), model.mean_, model.explained_variance_
    for x in records(X[:5]):
        expected = C @ [x[f] - mean[f] for f in NAMES]
        if whiten:
            expected = expected / np.sqrt(list(variances.values()))
        np.testing.assert_allclose(list(model.transform_one(x).values()), expected, atol=1e-12)


@pytest.mark.parametrize("whiten", [False, True])
def test_all_components_give_the_row_back(whiten):
    model = learned(records(X), n_components=6, whiten=whiten)
    for x in records(X[:5]):
        back = model.inverse_transform_one(model.transform_one(x))
        assert back == pytest.approx(x, abs=1e-10)
    assert model.inverse_transform_one({}) == pytest.approx(model.mean_)
    assert model.inverse_transform_one({5: 1.0}) == pytest.approx(model.mean_)
    with pytest.raises(ValueError, match="no component 6: keys are 0 to 5"):
        model.inverse_transform_one({6: 1.0})


def test_coordinates_are_at_most_a_minibatch_or_a_fifth_old():
    model = PCA(2, batch_size=50)
    for seen, x in enumerate(records(X), start=1):
        model.learn_one(x)
        model.transform_one(x)
        age = seen - model._model.view.model.n_samples
        assert age <= min(50, seen / 5)


def test_forgetting_follows_a_change():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(2000, 4)) * [5, 1, 1, 1]
    after = rng.normal(size=(2000, 4)) * [1, 1, 1, 5]
    rows = records(np.concatenate([before, after]))
    assert abs(learned(rows, n_components=1, half_life=200.0).components_[0]["d"]) > 0.99
    assert abs(learned(rows, n_components=1).components_[0]["d"]) < 0.99


# --- at first -----------------------------------------------------------------------------------


def test_before_any_row_coordinates_are_zero():
    model = PCA(3)
    assert model.transform_one({"a": 1.0}) == {0: 0.0, 1: 0.0, 2: 0.0}
    assert model.transform_many(pd.DataFrame({"a": [1.0]})).to_dict("list") == {
        0: [0.0],
        1: [0.0],
        2: [0.0],
    }
    assert model.inverse_transform_one({0: 1.0}) == {}
    assert model.components_ == model.mean_ == model.explained_variance_ratio_ == {}
    model.learn_one({})
    assert model.transform_one({}) == {0: 0.0, 1: 0.0, 2: 0.0}


def test_with_fewer_rows_than_components_the_missing_coordinates_are_zero():
    model = learned(records(X[:2]), n_components=3)
    z = model.transform_one(records(X)[0])
    assert z[0] != 0
    assert (z[1], z[2]) == (0.0, 0.0)


def test_with_constant_features_coordinates_are_zero():
    model = learned([{"a": 1e6, "b": 3.0}] * 30, n_components=2)
    assert model.transform_one({"a": 2e6, "b": 0.0}) == {0: 0.0, 1: 0.0}


def test_more_components_than_features_leave_zeros():
    model = learned(records(X), n_components=6)
    z = model.transform_one(records(X)[0])
    assert list(z) == [0, 1, 2, 3, 4, 5]
    assert z[4] == z[5] == 0.0
    assert len(model.components_) == 4


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "is 'x' (text), not a number"),
        (None, "is None"),
        (math.nan, "is nan"),
        (np.float32("nan"), "is nan"),
        (Decimal("NaN"), "is nan"),
        (math.inf, "is inf"),
        (-math.inf, "is -inf"),
        (1e200, "cannot be squared"),
        (10**400, "too large for a float"),
        (1j, "is 1j (complex)"),
        ([1.0], "is [1.0] (list)"),
        (np.ones(2), "(ndarray)"),
        (pd.Timestamp(0), "(Timestamp)"),
        (np.datetime64("2026-01-01"), "(datetime64)"),
        (pd.NA, "is nan"),
    ],
)
@pytest.mark.parametrize("rows", [0, 3, 600])
def test_a_bad_value_names_row_and_feature_and_loses_nothing(value, message, rows):
    model = learned(records(X[:rows]), n_components=2)
    before = state(model)
    bad = {"a": 1.0, "b": 2.0, "température": 0.0, "c": value, "d": 4.0}
    for x in (bad, {f: bad[f] for f in NAMES}):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - two things are looked for
            model.learn_one(x)
        assert str(caught.value).startswith(f"row {rows}, feature 'c' ")
        assert message in str(caught.value)
    assert state(model) == before
    if rows:
        with pytest.raises(ValueError, match="^feature 'c' "):
            model.transform_one(bad)


def test_a_bad_frame_names_row_and_feature_and_loses_nothing():
    model = learned(records(X[:10]), n_components=2)
    before = state(model)
    for value in (math.nan, math.inf, "x", 1e200):
        frame = pd.DataFrame(X, columns=NAMES).astype(object)
        frame.loc[3, "c"] = value
        for call in (model.learn_many, model.transform_many):
            with pytest.raises(ValueError, match="row 3, feature 'c' is"):
                call(frame)
    with pytest.raises(ValueError, match="give a data frame"):
        model.learn_many(X)
    assert state(model) == before


@pytest.mark.parametrize("gap", [None, math.nan, pd.NA])
def test_missing_values_count_as_absent_where_asked(gap):
    rows = records(X)
    absent, missing = PCA(2, missing="impute"), PCA(2, missing="impute")
    for i, x in enumerate(rows):
        kept = {f: v for f, v in x.items() if i % 3 or f != "b"}
        absent.learn_one(kept)
        missing.learn_one({f: kept.get(f, gap) for f in NAMES})
        missing.learn_one(dict.fromkeys(NAMES, gap))  # says nothing
    assert missing.components_ == absent.components_
    x = {"a": 1.0, "b": gap}
    assert missing.transform_one(x) == absent.transform_one({"a": 1.0})


def test_numbers_of_any_type_are_read():
    plain, odd = PCA(2), PCA(2)
    for i in range(30):
        plain.learn_one({"a": float(i % 5), "b": float(i % 2), "c": i / 2})
        odd.learn_one({"a": np.int8(i % 5), "b": i % 2 == 1, "c": Decimal(i) / 2})
    assert odd.components_ == plain.components_


@pytest.mark.parametrize(
    "bad",
    [{"n_components": 0}, {"missing": "drop"}, {"half_life": -1.0}, {"memory": "all"}],
)
def test_bad_parameters_are_refused_at_once(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        PCA(**bad)


@pytest.mark.parametrize("kind", [PCA, PCAScorer])
def test_a_half_life_that_is_text_is_told_what_a_time_is(kind):
    with pytest.raises(ValueError, match="half_life='1h' .* a datetime.timedelta"):
        kind(half_life="1h").learn_one({"a": 1.0})


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_frame_gives_a_frame_of_its_kind(kind):
    pandas = pd.DataFrame(X[:20], columns=NAMES, index=range(100, 120))
    frame = {"pandas": pandas, "polars": pl.DataFrame(pandas), "pyarrow": None}[kind]
    frame = pa.table(dict(zip(NAMES, X[:20].T, strict=True))) if frame is None else frame
    model = PCA(2)
    model.learn_many(frame)
    Z = model.transform_many(frame)
    assert type(Z) is type(frame)
    values = np.column_stack([np.asarray(Z[c]) for c in ([0, 1] if kind == "pandas" else "01")])
    expected = [list(model.transform_one(x).values()) for x in records(X[:20])]
    np.testing.assert_allclose(values, expected, atol=1e-12)
    if kind == "pandas":
        assert list(Z.index) == list(range(100, 120))


@pytest.mark.parametrize("to", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (lambda: preprocessing.StandardScaler() | PCA(2), 2),
        (lambda: compose.Select("a", "b") | PCA(1), 1),
        (lambda: preprocessing.StandardScaler() | (PCA(2) + compose.Select("a", "b")), 4),
    ],
)
def test_frames_go_through_pipelines(make, columns, to):
    frame, model = to(dict(zip(NAMES, X[:50].T, strict=True))), make()
    model.learn_many(frame)
    Z = model.transform_many(frame)
    assert type(Z) is type(frame)
    assert Z.shape == (50, columns)


def test_a_frame_may_lack_columns_and_have_others():
    model = learned(records(X), n_components=2)
    frame = pd.DataFrame({"z": [1.0, 2.0], "c": X[:2, 2], "a": X[:2, 0]})
    Z = model.transform_many(frame)
    for i, row in enumerate(X[:2]):
        expected = model.transform_one({"a": row[0], "c": row[2]})
        assert Z.iloc[i].to_dict() == pytest.approx(expected)


def test_columns_numbered_by_pandas_are_features():
    model = PCA(2)
    model.learn_many(pd.DataFrame(X))
    assert set(model.components_[0]) == {0, 1, 2, 3}
