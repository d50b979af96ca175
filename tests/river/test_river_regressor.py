"""streampca.river.ReducedRankRegressor: River's checks, the closed form, what comes late."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca import StreamingReducedRankRegression
from streampca.river import PCA, PCAScorer, ReducedRankRegressor


def data(m=700, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 4)) * [1, 2, 3, 4] + 5
    Y = X @ rng.normal(size=(4, 1)) @ rng.normal(size=(1, 3)) + 0.1 * rng.normal(size=(m, 3))
    return X, Y


def named(values, prefix):
    return [dict(zip([f"{prefix}{j}" for j in range(len(v))], v, strict=True)) for v in values]


def learned(X, Y, **parameters):
    model = ReducedRankRegressor(**parameters)
    for x, y in zip(named(X.tolist(), "x"), named(Y.tolist(), "y"), strict=True):
        model.learn_one(x, y)
    return model


@pytest.mark.parametrize("p", [1, 2, None])
def test_predicts_what_the_estimator_predicts(p):
    X, Y = data()
    model = learned(X, Y, n_components=p)
    expected = StreamingReducedRankRegression(p).fit(X, Y)
    coefficients = model.coefficients_
    got = np.array([[coefficients[f"y{i}"][f"x{j}"] for j in range(4)] for i in range(3)])
    np.testing.assert_allclose(got, expected.coef_, rtol=1e-8, atol=1e-10)
    predicted = model.predict_one(named(X[:1], "x")[0])
    np.testing.assert_allclose(list(predicted.values()), expected.predict(X[:1])[0], rtol=1e-9)
    ratios = model.explained_variance_ratio_
    np.testing.assert_allclose(list(ratios.values()), expected.explained_variance_ratio_, rtol=1e-8)


def test_encoder_and_decoder_are_the_ordered_pairs():
    X, Y = data()
    model = learned(X, Y)
    expected = StreamingReducedRankRegression().fit(X, Y)
    B = np.array([[row[f"x{j}"] for j in range(4)] for row in model.encoder_.values()])
    A = np.array([[row[f"y{j}"] for j in range(3)] for row in model.decoder_.values()]).T
    for got, wanted in ((A, expected.decoder_), (B, expected.encoder_)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


def test_a_weight_of_three_equals_three_copies():
    X, Y = data(600)
    weights = np.random.default_rng(1).integers(0, 4, len(X)).tolist()
    model = ReducedRankRegressor(1)
    for x, y, w in zip(named(X.tolist(), "x"), named(Y.tolist(), "y"), weights, strict=True):
        model.learn_one(x, y, w=w)
    expected = StreamingReducedRankRegression(1).fit(X, Y, sample_weight=weights).coef_
    got = [[row[f"x{j}"] for j in range(4)] for _, row in sorted(model.coefficients_.items())]
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="the weight"):
            model.learn_one({"x0": 1.0}, {"y0": 1.0}, w=bad)


def test_features_and_targets_that_come_late_take_their_place():
    X, Y = data(2000)
    model = ReducedRankRegressor()
    for i, (x, y) in enumerate(zip(named(X, "x"), named(Y, "y"), strict=True)):
        if i < 600:
            x.pop("x3")
            y.pop("y1")
        model.learn_one(x, y)
    # rows before count as having had the mean of the first rows with them
    late_X, late_Y = X.copy(), Y.copy()
    first = slice(600, 1024)  # those in the minibatch in which they came
    late_X[:512, 3], late_Y[:512, 1] = X[first, 3].mean(), Y[first, 1].mean()
    late_X[512:600, 3], late_Y[512:600, 1] = X[first, 3].mean(), Y[first, 1].mean()
    expected = StreamingReducedRankRegression().fit(late_X, late_Y)
    coefficients = model.coefficients_
    got = np.array([[coefficients[f"y{i}"][f"x{j}"] for j in range(4)] for i in range(3)])
    np.testing.assert_allclose(got, expected.coef_, rtol=1e-6, atol=1e-8)


def test_before_any_row_and_with_nothing_to_learn():
    model = ReducedRankRegressor()
    model.learn_one({}, {"a": 1.0})
    model.learn_one({"a": 1.0}, {})
    assert model.predict_one({"a": 1.0}) == {}
    assert (model.coefficients_, model.explained_variance_ratio_) == ({}, {})
    model.learn_one({"a": 1.0}, {"b": 2.0})
    assert model.predict_one({"a": 5.0}) == {"b": 2.0}


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"x0": "a", "x1": 1.0}, {"y0": 1.0}, "feature 'x0' is 'a'"),
        ({"x0": 1.0, "x1": 1.0}, {"y0": float("nan")}, "targets: row 20, feature 'y0' is nan"),
    ],
)
def test_a_bad_row_teaches_nothing(x, y, message):
    X, Y = data(20)
    model, same = learned(X, Y), learned(X, Y)
    with pytest.raises(ValueError, match=message):
        model.learn_one(x, y)
    for each in (model, same):
        each.learn_one(*named(X[:1], "x"), *named(Y[:1], "y"))
    assert model.coefficients_ == same.coefficients_


def test_with_the_next_row_as_target_it_finds_a_damped_oscillator():
    # x_{t+1} = M x_t: a turn by 0.3 and a decay by 0.995, seen through noise
    M = 0.995 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    rng, state = np.random.default_rng(0), np.array([5.0, 0.0])
    model, before = ReducedRankRegressor(), None
    for _ in range(3000):
        x = {"position": state[0], "speed": state[1]}
        if before is not None:
            model.learn_one(before, x)
        before, state = x, M @ state + 0.1 * rng.normal(size=2)
    found = np.array([list(model.coefficients_[name].values()) for name in before])
    np.testing.assert_allclose(found, M, atol=0.03)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(found)), 0.995, atol=0.01)


@given(st.integers(0, 2**32 - 1))
def test_a_row_whose_targets_are_refused_leaves_nothing_behind(seed):
    rng = np.random.default_rng(seed)
    model = ReducedRankRegressor()
    rows = rng.normal(size=(int(rng.integers(1, 600)), 3))
    for row in rows:
        model.learn_one(dict(zip("abc", row, strict=True)), {"u": row.sum(), "v": row[0]})
    before = pickle.dumps(model)
    good = dict(zip("abc", rng.normal(size=3), strict=True))
    x = [good, good | {"new": 1.0}, {"other": 2.0}][rng.integers(3)]
    bad = [
        3.0,
        None,
        [1.0, 2.0],
        "u",
        np.ones(2),
        {"u": math.nan},
        {"w": 1e200},
        {"u": 1, "w": "x"},
    ]
    for y in bad:
        with pytest.raises(ValueError, match="targets: "):
            model.learn_one(x, y)
        with pytest.raises(ValueError, match="for a row|feature"):
            model.learn_one(y, {"u": 1.0})
    assert pickle.dumps(model) == before
    assert list(model.coefficients_["u"]) == ["a", "b", "c"]


def test_a_feature_that_is_named_nan_is_refused():
    for model in (PCA(1), PCAScorer(1)):
        with pytest.raises(ValueError, match="named nan"):
            model.learn_one({math.nan: 1.0, "a": 2.0})
