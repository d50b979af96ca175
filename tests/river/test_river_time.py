"""Forgetting by time: half_life as a timedelta, rows with the time at which they were observed."""

import datetime as dt
import pickle
import random
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from river import anomaly, evaluate, linear_model, metrics, preprocessing

from streampca.river import PCA, PCAScorer

NAMES = ("a", "b", "c")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(1300, 3)) @ RNG.normal(size=(3, 3)) + [1.0, 20.0, -3.0]
SECONDS = np.cumsum(RNG.exponential(size=len(X))).round(6)
HALF_LIFE = 150.0


def records(values=X):
    return [dict(zip(NAMES, row, strict=True)) for row in values.tolist()]


def at(seconds):
    return START + dt.timedelta(seconds=float(seconds))


def timed(**parameters):
    return PCA(3, half_life=dt.timedelta(seconds=HALF_LIFE), **parameters)


def matrix(model):
    return np.array([[loadings[f] for f in NAMES] for loadings in model.components_.values()])


def covariance(model):
    C = matrix(model)
    return C.T * list(model.explained_variance_.values()) @ C


@pytest.mark.parametrize("batch_size", [None, 1, 7])
@pytest.mark.parametrize("in_order", [True, False])
def test_rows_weigh_by_their_age_in_whatever_order_they_come(in_order, batch_size):
    arriving = list(zip(records(), SECONDS.tolist(), strict=True))
    if not in_order:
        random.Random(0).shuffle(arriving)
    model = timed(batch_size=batch_size)
    for x, seconds in arriving:
        model.learn_one(x, t=at(seconds))
    weights = 2.0 ** ((SECONDS - SECONDS.max()) / HALF_LIFE)
    np.testing.assert_allclose(covariance(model), np.cov(X.T, aweights=weights), rtol=1e-7)
    mean = np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(list(model.mean_.values()), mean, rtol=1e-9)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("kind", [lambda t: t, pd.Timestamp])
def test_hours_that_clocks_leave_out_or_show_twice_are_no_time(zone, kind):
    rng = np.random.default_rng(0)
    for _ in range(20):  # over a year, with both changes in it
        seconds = np.sort(rng.uniform(0, 365 * 86400, size=60)).round()
        changes = rng.choice([87, 303, 276, 94, 66, 305])  # days of changes, in one zone or another
        seconds[:20] = changes * 86400 + np.linspace(-86400, 86400, 20).round()
        half_life = float(rng.uniform(1e3, 1e6))
        model = PCA(3, half_life=dt.timedelta(seconds=half_life))
        for x, each in zip(records(X[:60]), seconds, strict=True):
            model.learn_one(x, t=kind(at(each).astimezone(zoneinfo.ZoneInfo(zone))))
        weights = 2.0 ** ((seconds - seconds.max()) / half_life)
        mean = np.average(X[:60], axis=0, weights=weights)
        np.testing.assert_allclose(list(model.mean_.values()), mean, rtol=1e-7)


def test_a_row_a_second_forgets_as_so_many_rows():
    by_time, by_rows = timed(), PCA(3, half_life=HALF_LIFE)
    for i, x in enumerate(records()):
        by_time.learn_one(x, t=at(i))
        by_rows.learn_one(x)
    np.testing.assert_allclose(matrix(by_time), matrix(by_rows), atol=1e-9)
    np.testing.assert_allclose(covariance(by_time), covariance(by_rows), rtol=1e-9)


def test_a_long_silence_forgets_everything():
    model = timed()
    for x in records(X[:600] * 1000):
        model.learn_one(x, t=START)
    _ = model.components_
    for x in records(X[600:]):
        model.learn_one(x, t=START + dt.timedelta(days=400))
    np.testing.assert_allclose(covariance(model), np.cov(X[600:].T), rtol=1e-9)


def test_frames_come_with_one_time_or_one_for_each_row():
    one, many = timed(), timed()
    for i, (x, seconds) in enumerate(zip(records(), SECONDS, strict=True)):
        one.learn_one(x, t=at(seconds if i < 1000 else 5000))
    many.learn_many(pd.DataFrame(X[:1000], columns=NAMES), t=[at(s) for s in SECONDS[:1000]])
    many.learn_many(pd.DataFrame(X[1000:], columns=NAMES), t=at(5000))
    assert one.components_ == many.components_


def test_rows_without_values_and_late_features_keep_times_and_rows_together():
    model, expected = timed(missing="impute"), timed(missing="impute")
    for i, x in enumerate(records()):
        x = x if i >= 700 else {f: x[f] for f in "ab"}
        model.learn_one({}, t=at(i))
        model.learn_one(x, t=at(i))
        model.learn_one({"a": None}, t=at(i))
        expected.learn_one(x, t=at(i))
    assert model.components_ == expected.components_


def test_pipelines_hand_the_time_on():
    model = preprocessing.StandardScaler() | timed() | linear_model.LinearRegression()
    stream = [(x, x["a"], {"t": at(s)}) for x, s in zip(records(), SECONDS, strict=True)]
    evaluate.progressive_val_score(stream, model, metrics.MAE())
    scaler, alone = preprocessing.StandardScaler(), timed()
    for x, _, kwargs in stream:
        scaler.learn_one(x)
        alone.learn_one(scaler.transform_one(x), **kwargs)
    np.testing.assert_allclose(covariance(model["PCA"]), covariance(alone), rtol=1e-9)


def test_filters_hand_the_time_to_the_scorer():
    half_life = dt.timedelta(seconds=HALF_LIFE)
    scorer = PCAScorer(2, half_life=half_life)
    model = preprocessing.StandardScaler() | anomaly.QuantileFilter(scorer, q=0.99)
    for x, seconds in zip(records(), SECONDS, strict=True):
        model.learn_one(x, t=at(seconds))
    assert model.score_one(records()[0]) > 0


def test_the_time_is_not_looked_at_where_forgetting_goes_by_rows():
    with_time, without = PCA(2), PCA(2)
    for x in records(X[:50]):
        with_time.learn_one(x, t="noon")
        without.learn_one(x)
    assert with_time.components_ == without.components_


def test_a_copy_goes_on_with_the_same_bits():
    model = timed()
    for x, seconds in zip(records(X[:700]), SECONDS, strict=False):
        model.learn_one(x, t=at(seconds))
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        for x, seconds in zip(records(X[700:]), SECONDS[700:], strict=True):
            each.learn_one(x, t=at(seconds))
    assert model.components_ == other.components_


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (None, "each row needs its own: got t=None"),
        (12.5, "got t=12.5"),
        (pd.NaT, "got t=NaT"),
        (dt.datetime(2026, 1, 1), "cannot be compared with the first time"),
        (
            dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=5))),
            "cannot be comp",
        ),
    ],
)
def test_a_time_that_is_none_is_refused_and_nothing_is_learned(t, message):
    model = timed()
    model.learn_one(records()[0], t=START)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        model.learn_one(records()[1], t=t)
    with pytest.raises(ValueError, match=message):
        model.learn_many(pd.DataFrame(X[:3], columns=NAMES), t=t)
    with pytest.raises(ValueError, match="t has 2 times for 3 rows"):
        model.learn_many(pd.DataFrame(X[:3], columns=NAMES), t=[START, START])
    assert pickle.dumps(model) == before


def test_parameters_that_contradict_are_refused():
    with pytest.raises(ValueError, match="give a time above 0"):
        PCA(half_life=dt.timedelta(0))
    with pytest.raises(ValueError, match="give one of them"):
        PCA(half_life=dt.timedelta(1), forgetting_factor=0.9)
