"""scale=True in River: the correlation of all rows; a scaler in front depends on their order."""

import numpy as np
import pytest
from river import preprocessing
from river_rows import NAMES, X, learned, matrix, records

from streampca.metrics import principal_angles
from streampca.river import PCA, PCAScorer

UNITS = np.array([1e-3, 1.0, 1e4, 10.0])


def correlation(rows, p):
    values, vectors = np.linalg.eigh(np.corrcoef(rows.T))
    return values[::-1][:p], vectors[:, ::-1][:, :p].T


@pytest.mark.parametrize("order", ["as they come", "sorted"])
def test_components_are_those_of_the_correlation_whatever_the_order(order):
    rows = X * UNITS
    if order == "sorted":  # a drift, the hardest case for a running scaler
        rows = rows[np.argsort(rows[:, 0])]
    values, vectors = correlation(rows, 2)
    model = learned(records(rows), n_components=2, scale=True)
    found = list(model.explained_variance_.values())
    np.testing.assert_allclose(found, values, rtol=1e-10)
    assert principal_angles(matrix(model), vectors).max() < 1e-9

    scaler, other = preprocessing.StandardScaler(), PCA(2)
    for x in records(rows):
        scaler.learn_one(x)
        other.learn_one(scaler.transform_one(x))
    theirs = principal_angles(matrix(other), vectors).max()
    assert theirs > 1e-3  # each row was scaled by what was known when it came


def test_coordinates_and_rows_back_are_in_units_of_the_scale():
    rows = X * UNITS
    model = learned(records(rows), n_components=4, scale=True)
    x = records(rows)[5]
    back = model.inverse_transform_one(model.transform_one(x))
    assert back == pytest.approx(x, rel=1e-9)
    D = (rows[5] - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)
    z = np.array(list(model.transform_one(x).values()))
    np.testing.assert_allclose(np.linalg.norm(z), np.linalg.norm(D), rtol=0.05)


@pytest.mark.parametrize("statistic", ["spe", "t2", "both"])
def test_scores_do_not_depend_on_units(statistic):
    found = []
    for units in (np.ones(4), UNITS):
        model = PCAScorer(2, statistic, scale=True)
        for x in records(X * units):
            model.learn_one(x)
        odd = dict(zip(NAMES, ((X[3] + [0, 9, 0, 0]) * units).tolist(), strict=True))
        found.append((model.score_one(odd), *model.contributions_one(odd).values()))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_features_that_come_later_get_a_scale_of_their_own():
    rows = X * UNITS
    first = [{k: v for k, v in x.items() if k != "c"} for x in records(rows[:600])]
    model = learned([*first, *records(rows)], n_components=4, scale=True)
    assert sum(model.explained_variance_.values()) == pytest.approx(4.0)
