"""Rows for streampca.river.PCA, and what it has learned of them."""

import pickle

import numpy as np

from streampca.river import PCA

NAMES = ("a", "b", "c", "d")


def correlated(count, n=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)) @ rng.normal(size=(2, n)) + 0.1 * rng.normal(
        size=(count, n)
    ) * np.arange(1, n + 1)


X = correlated(700) + np.array([1.0, -2.0, 3.0, 40.0])


def records(values, names=NAMES):
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


def learned(rows, **parameters):
    model = PCA(**parameters)
    for x in rows:
        model.learn_one(x)
    return model


def matrix(model, names=NAMES):
    return np.array([[loadings[f] for f in names] for loadings in model.components_.values()])


def state(model):
    """All that a user can see, with all bits."""
    return pickle.dumps(model)
