"""Claims about streampca.river.PCAScorer: River's checks, the statistics' definitions, filters."""

import math

import numpy as np
import pytest
from river import anomaly, compose, datasets, preprocessing
from sklearn.metrics import roc_auc_score

from streampca import StreamingPCA
from streampca.monitor import Monitor
from streampca.river import PCAScorer


def rows(m=900, n=6, seed=0):
    mix = np.random.default_rng(99).normal(size=(2, n))
    draws = np.random.default_rng(seed)
    return draws.normal(size=(m, 2)) @ mix + 0.1 * draws.normal(size=(m, n)) + 3


def records(X):
    return [{f"s{j}": value for j, value in enumerate(row)} for row in X.tolist()]


def learned(X, **parameters):
    scorer = PCAScorer(**parameters)
    for x in records(X):
        scorer.learn_one(x)
    return scorer


@pytest.mark.parametrize("statistic", ["spe", "t2", "both"])
def test_scores_are_the_monitor_s_statistics(statistic):
    X = rows()
    scorer = learned(X, n_components=2, statistic=statistic, batch_size=len(X))
    monitor = Monitor(StreamingPCA(2).fit(X))
    expected = {"spe": monitor.spe, "t2": monitor.t2, "both": monitor.combined}[statistic]
    new = rows(50, seed=1)
    got = [scorer.score_one(x) for x in records(new)]
    np.testing.assert_allclose(got, expected(new), rtol=1e-9)


def test_a_broken_relation_scores_high_and_names_its_feature():
    X = rows()
    scorer = learned(X, n_components=2)
    normal = records(rows(100, seed=1))
    usual = max(scorer.score_one(x) for x in normal)
    components = StreamingPCA(2).fit(X).components_
    feature = int(np.argmin((components**2).sum(axis=0)))  # the least explained by the others
    broken = normal[0] | {f"s{feature}": normal[0][f"s{feature}"] + 3.0}
    assert scorer.score_one(broken) > 5 * usual
    contributions = scorer.contributions_one(broken)
    assert max(contributions, key=contributions.get) == f"s{feature}"


def test_too_few_rows_score_zero():
    scorer = PCAScorer(n_components=3)
    assert scorer.score_one({"a": 1.0}) == 0.0
    assert scorer.contributions_one({"a": 1.0}) == {}
    X = rows(9)
    for count, x in enumerate(records(X)):
        if count < 8:
            assert scorer.score_one(x) == 0.0
        scorer.learn_one(x)
    assert scorer.score_one(records(X)[0]) > 0


def test_constant_features_give_finite_scores():
    scorer = learned(np.full((50, 3), 2.0))
    assert scorer.score_one({"s0": 2.0, "s1": 2.0, "s2": 2.0}) == 0.0
    score = scorer.score_one({"s0": 2.0, "s1": 9.0, "s2": 2.0})
    assert score > 1e6
    assert math.isfinite(score)


def test_an_absent_feature_adds_nothing_to_spe():
    scorer = learned(rows(), n_components=2, statistic="spe")
    for x in records(rows(20, seed=2)):
        absent = {feature: value for feature, value in x.items() if feature != "s3"}
        assert scorer.contributions_one(absent)["s3"] < 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda scorer: anomaly.QuantileFilter(scorer, q=0.98),
        lambda scorer: anomaly.ThresholdFilter(scorer, threshold=20.0),
    ],
)
def test_filters_keep_anomalies_from_being_learned(make):
    model = compose.Pipeline(preprocessing.StandardScaler(), make(PCAScorer(n_components=2)))
    gate = next(reversed(model.steps.values()))
    anomalies = 0
    for i, x in enumerate(records(rows(1000))):
        if i >= 300 and i % 100 == 0:
            x = x | {"s4": x["s4"] + 50.0}
            known = gate.anomaly_detector._scorer.n_seen
            anomalies += gate.classify(model.score_one(x))
            model.learn_one(x)
            assert gate.anomaly_detector._scorer.n_seen == known
        else:
            model.learn_one(x)
    assert anomalies == 7
    assert gate.anomaly_detector._scorer.n_seen > 900


def test_ranks_the_anomalies_of_shuttle_above_half_space_trees_and_near_one():
    stream = list(datasets.Shuttle().take(6000))
    labels = [y for _, y in stream]

    def auc(model):
        scores = []
        for x, _ in stream:
            scores.append(model.score_one(x))
            model.learn_one(x)
        return roc_auc_score(labels, scores)

    ours = auc(preprocessing.StandardScaler() | PCAScorer())
    assert ours > 0.97
    assert ours > auc(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=42))


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ValueError, match="statistic='q'"):
        PCAScorer(statistic="q")


def test_bad_values_name_row_and_feature_and_change_nothing():
    scorer = learned(rows(20))
    with pytest.raises(ValueError, match="row 20, feature 's1' is nan"):
        scorer.learn_one({"s0": 1.0, "s1": float("nan")})
    with pytest.raises(ValueError, match="feature 's1' is 'x'"):
        scorer.score_one({"s0": 1.0, "s1": "x"})
    assert scorer._scorer.n_seen == 20
