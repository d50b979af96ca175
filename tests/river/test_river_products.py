"""transform_one by one product that centres: the digits and the errors of the careful way."""

import copy
import math
import pickle

import numpy as np
import pytest

pytest.importorskip("river")
from streampca.river import PCA


def learned(mean, spread, n=12, **parameters):
    draws = np.random.default_rng(int(n + abs(mean)) % 1000)
    X = mean + spread * draws.normal(size=(400, n)) / np.arange(1, n + 1)
    pca = PCA(n_components=4, **parameters)
    for row in X.tolist():
        pca.learn_one(dict(enumerate(row)))
    return pca, X


@pytest.mark.parametrize("parameters", [{}, {"whiten": True}, {"scale": True}, {"center": False}])
@pytest.mark.parametrize("mean", [0.0, 1.0, 1e3, 1e6, 1e9, -1e7])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e5])
def test_coordinates_are_those_of_many_rows(mean, spread, parameters):
    import pandas as pd

    pca, X = learned(mean, spread, **parameters)
    pca.transform_one(dict(enumerate(X[0].tolist())))
    expected = pca.transform_many(pd.DataFrame(X[:20])).to_numpy()
    rows = [dict(enumerate(row)) for row in X[:20].tolist()]
    found = np.array([list(pca.transform_one(row).values()) for row in rows])
    allowed = 1e-11 * np.abs(expected).max(axis=0)
    if not pca.center:  # sums of large numbers, in whatever order
        allowed += 1e-14 * np.abs(X).max()
    assert (np.abs(found - expected) <= allowed).all()


@pytest.mark.parametrize(("mean", "folded"), [(1.0, True), (1e9, False)])
def test_a_mean_far_above_the_spread_is_taken_away_first(mean, folded):
    pca, X = learned(mean, 1.0)
    pca.transform_one(dict(enumerate(X[0].tolist())))
    assert (pca._directions[2] is not None) == folded


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200, -1e152, None, "a", 1j])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_what_cannot_be_used_is_named(bad, at):
    pca, X = learned(1.0, 1.0)
    row = dict(enumerate(X[0].tolist()))
    expected = pca.transform_one(row)
    with pytest.raises(ValueError, match=rf"feature {at}\b"):
        pca.transform_one(row | {at: bad})
    assert pca.transform_one(row) == expected


def test_any_order_gaps_new_features_and_copies():
    pca, X = learned(1.0, 1.0)
    row = dict(enumerate(X[0].tolist()))
    expected = pca.transform_one(row)
    assert pca.transform_one(dict(reversed(row.items()))) == expected
    assert pca.transform_one(row | {"unknown": 3.0}) == pytest.approx(expected, rel=1e-10)
    assert len(pca.transform_one({k: v for k, v in row.items() if k != 3})) == 4
    for other in (copy.deepcopy(pca), pickle.loads(pickle.dumps(pca)), pca.clone()):
        if other.components_:
            assert other.transform_one(row) == pytest.approx(expected, rel=1e-10)
        other.learn_one(row | {"new": 1.0})  # one is wider now, and the other is not
        assert len(other.transform_one(row)) == 4
        assert pca.transform_one(row) == expected
