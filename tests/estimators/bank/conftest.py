"""A bank of five models."""

import numpy as np
import pytest

from streampca import KeyedPCA


@pytest.fixture
def bank():
    draws = np.random.default_rng(5)
    X = draws.normal(size=(200, 6)) * [6, 5, 4, 3, 2, 1] + 1
    return KeyedPCA(3).partial_fit(X, np.arange(200) % 5)
