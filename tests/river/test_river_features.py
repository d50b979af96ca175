"""Claims about streampca.river.PCA where features come and go."""

import random

import numpy as np
import oracle
import pytest
from river_rows import NAMES, X, correlated, learned, matrix, records

from streampca.river import PCA

# --- features come and go -----------------------------------------------------------------------


def test_an_absent_feature_is_filled_by_the_components_not_by_zero():
    t = np.random.default_rng(0).normal(size=600)
    rows = [{"a": 100 + v, "b": 50 - 2 * v, "c": v} for v in t.tolist()]
    model = learned(rows, n_components=1)
    for x in rows[:5]:
        for gone in "abc":
            present = {f: v for f, v in x.items() if f != gone}
            assert model.transform_one(present)[0] == pytest.approx(
                model.transform_one(x)[0], abs=1e-6
            )
    assert model.transform_one({}) == {0: 0.0}  # nothing known: the mean


def test_gaps_while_learning_leave_the_components_of_correlated_features():
    rng = random.Random(0)
    rows = records(correlated(4000) * [3.0, 1.0, 1.0, 1.0] + 100.0)
    gappy = [{f: v for f, v in x.items() if rng.random() > 0.1} for x in rows]
    whole, gaps = learned(rows, n_components=2), learned(gappy, n_components=2)
    cosines = np.abs((matrix(whole) * matrix(gaps)).sum(axis=1))
    assert cosines.min() > 0.99


def test_features_that_come_one_at_a_time_are_learned():
    model = PCA(2)
    for i, x in enumerate(records(X)):
        feature = NAMES[i % 4]
        model.learn_one({feature: x[feature]})
    assert set(model.mean_) == set(NAMES)
    for j, feature in enumerate(NAMES):
        spread = X[:, j].std()
        assert model.mean_[feature] == pytest.approx(X[j::4, j].mean(), abs=0.2 * spread)


def test_old_components_keep_their_meaning_when_features_appear():
    model = learned(records(X[:600, :3], NAMES[:3]), n_components=2)
    before = model.components_
    late = {"d": 1000.0}
    model.learn_one(records(X[:1, :3], NAMES[:3])[0] | late)
    after = model.components_
    for i in before:
        assert sum(before[i][f] * after[i][f] for f in before[i]) > 0.999
    assert model.mean_["d"] == pytest.approx(1000.0)
    assert abs(after[0]["d"]) < 1e-9
    for x in records(X):
        model.learn_one(x)
        assert len(model.transform_one(x)) == 2


def test_a_late_feature_counts_as_at_its_mean_before():
    early, late = X[:600, :3], X[600:]
    model = learned(records(early, NAMES[:3]), n_components=4)
    _ = model.components_
    for x in records(late):
        model.learn_one(x)
    filled = np.concatenate([np.column_stack([early, np.full(600, late[:, 3].mean())]), late])
    _, components, variances, _ = oracle.batch_pca(filled, 4)
    assert oracle.ordered_share(matrix(model), components, 1 - 1e-9) == 1
    np.testing.assert_allclose(list(model.explained_variance_.values()), variances)


@pytest.mark.parametrize("memory", ["auto", "factored"])
def test_more_features_than_dense_memory_holds(memory):
    rng = np.random.default_rng(0)
    names = [f"f{i:04d}" for i in range(1100)]
    rows = rng.normal(size=(900, 3)) @ rng.normal(size=(3, 1100)) + 0.01 * rng.normal(
        size=(900, 1100)
    )
    model = learned(records(rows[:300, :1000], names[:1000]), n_components=3, memory=memory)
    _ = model.components_
    for x in records(rows[300:], names):
        model.learn_one(x)
    _, components, _, _ = oracle.batch_pca(rows, 3)
    cosines = np.abs((matrix(model, names) * components).sum(axis=1))
    assert cosines.min() > 0.98  # the late features were constant for a third of the rows


def test_a_wider_model_may_have_more_components():
    model = learned([{"a": float(i % 7)} for i in range(20)], n_components=3)
    assert model.transform_one({"a": 1.0})[1] == 0.0
    for x in records(X):
        model.learn_one(x)
    assert len(model.components_) == 3
    assert all(model.explained_variance_.values())
