"""Features that come late, by River's face: what is wide is as sound as what was narrow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spectra import FAMILIES
from spectral_truth import Truth

from streampca.river import PCA


def as_arrays(model):
    """Components (p, n) and eigenvalues (p,) with features in the order of columns."""
    shown = model.components_
    C = np.array([list(row.values()) for row in shown.values()])
    return C, np.array(list(model.explained_variance_.values()))


@pytest.mark.parametrize("memory", ["dense", "factored"])
@settings(max_examples=40)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    n=st.integers(2, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_features_that_come_late(memory, family, n, seed):
    rng = np.random.default_rng(seed)
    m, narrow = int(rng.integers(4, 120)), int(rng.integers(1, n))
    X = FAMILIES[family](rng, m, n)
    cut = int(rng.integers(2, m - 1))
    p = int(rng.integers(1, narrow + 1))
    model = PCA(n_components=p, memory=memory)
    names = [f"x{i}" for i in range(n)]
    model.learn_many(pd.DataFrame(X[:cut, :narrow], columns=names[:narrow]))
    C, _ = as_arrays(model)
    assert np.abs(C @ C.T - np.diag((C != 0).any(axis=1) * 1.0)).max() <= 1e-10
    model.learn_many(pd.DataFrame(X[cut:], columns=names))
    C, values = as_arrays(model)
    assert C.shape[1] == n
    assert np.abs(C @ C.T - np.diag((C != 0).any(axis=1) * 1.0)).max() <= 1e-10
    # documented: rows so far count as having had the new features' means
    full = X.copy()
    full[:cut, narrow:] = X[cut:, narrow:].mean(axis=0)
    truth = Truth.of(full, np.ones(m), np.ones(m), True)
    found = values / truth.unit / truth.unit
    assert found.sum() <= truth.total * (1 + 1e-10) + 1e-25
    if memory == "dense":
        np.testing.assert_allclose(found, truth.values[:p], atol=1e-12 * truth.total + 1e-25)
