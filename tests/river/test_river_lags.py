"""Lags in River's loop: each row beside those before it, whether it was learned already or not."""

import numpy as np
import pytest
from river import base, compose, preprocessing

from streampca.monitor import Lags as PlainLags
from streampca.river import PCA, Lags, PCAScorer

RNG = np.random.default_rng(0)


def dictionaries(X):
    return [dict(zip("abc", row, strict=False)) for row in X.tolist()]


@pytest.mark.parametrize("lags", [1, 3])
@pytest.mark.parametrize("learn_first", [False, True])
def test_rows_are_those_of_the_plain_transformer(lags, learn_first):
    X = RNG.normal(size=(20, 3))
    X[7] = X[8] = X[6]  # rows that are equal are still several rows
    expected = PlainLags(lags).transform(X)
    model, found = Lags(lags), []
    for x in dictionaries(X):
        if learn_first:  # as a pipeline does while it learns
            model.learn_one(x)
        found.append(model.transform_one(x))
        if not learn_first:
            model.learn_one(x)
    names = list(PlainLags(lags).get_feature_names_out("abc"))
    assert list(found[-1]) == names
    np.testing.assert_array_equal([[row[n] for n in names] for row in found[lags:]], expected)
    assert list(found[0]) == list("abc")


class Kept(base.Transformer):
    """What a pipeline gives the step behind: to transform, and to learn."""

    def __init__(self):
        self.asked, self.learned = [], []

    def learn_one(self, x):
        self.learned.append(x)

    def transform_one(self, x):
        self.asked.append(x)
        return x


@pytest.mark.parametrize("before", [[], [preprocessing.StandardScaler]])
def test_a_pipeline_asks_and_learns_each_row_beside_those_before_it(before):
    X = RNG.normal(size=(40, 3))
    X[20:23] = 1.0
    rows, model = [], compose.Pipeline(*(make() for make in before), Lags(2), Kept())
    scaler = compose.Pipeline(*(make() for make in before), Kept())
    for x in dictionaries(X):
        model.transform_one(x)
        model.learn_one(x)
        scaler.learn_one(x)
    rows = [list(x.values()) for x in scaler["Kept"].learned]
    expected = PlainLags(2).transform(rows)
    learned = model["Kept"].learned
    np.testing.assert_array_equal([list(x.values()) for x in learned[2:]], expected)
    if not before:  # a scaler that has learned a row gives it back as another one
        assert model["Kept"].asked[::2] == learned


def test_components_of_lags_are_those_of_batch_pca():
    X = RNG.normal(size=(300, 3)).cumsum(axis=0)
    lags, pca = Lags(2), PCA(3)
    for x in dictionaries(X):
        made = lags.transform_one(x)
        lags.learn_one(x)
        if len(made) == 9:  # by then all rows before are there
            pca.learn_one(made)
    expected = PlainLags(2).transform(X)
    values = np.linalg.eigvalsh(np.cov(expected.T))[::-1]
    np.testing.assert_allclose(list(pca.explained_variance_.values()), values[:3])


def test_one_dictionary_that_is_filled_anew_is_read_as_the_rows_it_was():
    X = RNG.normal(size=(5, 2))
    model, x, found = Lags(1), {}, []
    for row in dictionaries(X):
        x.update(row)
        found.append(model.transform_one(x))
        model.learn_one(x)
    assert [row["a (t-1)"] for row in found[1:]] == X[:4, 0].tolist()


def test_a_scorer_of_lags_sees_what_one_of_rows_does_not():
    cause = RNG.normal(size=2001)
    rows = np.column_stack([cause[1:], cause[:-1]]) + 0.1 * RNG.normal(size=(2000, 2))
    rows[1800:, 1] = RNG.permutation(rows[1800:, 1])

    def scores(model):
        found = []
        for i, x in enumerate(dictionaries(rows)):
            found.append(model.score_one(x))
            if i < 1800:
                model.learn_one(x)
            elif "Lags" in model.steps:
                model["Lags"].learn_one(x)
        calm, broken = np.array(found[500:1800]), np.array(found[1801:])
        return (broken > np.quantile(calm, 0.99)).mean()

    assert scores(Lags(1) | PCAScorer(n_components=3, statistic="spe")) > 0.5
    assert scores(preprocessing.StandardScaler() | PCAScorer(1, statistic="spe")) < 0.05


@pytest.mark.parametrize("lags", [0, 2.5, "3"])
def test_lags_that_are_none_are_refused(lags):
    with pytest.raises(ValueError, match="lags="):
        Lags(lags)
