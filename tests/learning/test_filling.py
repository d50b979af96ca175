"""Filling where a model has next to no noise: rounding has no say in what stands in a gap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import StreamingPCA


def filled(pca, X):
    return pca._model.fill(X)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.integers(0, 999),
)
def test_rows_of_low_rank_are_filled_as_they_were(rank, more, constant, center, scale, seed):
    """Entries that decide are seen: the others follow from them, whatever p is."""
    draws = np.random.default_rng(seed)
    n = 3 * rank + 1
    mix, m = draws.normal(size=(rank, n)), 40
    X = draws.normal(size=(m, rank)) @ mix + 2.0 * center
    X = np.hstack([X, np.full((m, constant), 5.0)]) if center else X
    pca = StreamingPCA(min(rank + more, n), missing="impute", center=center, scale=scale).fit(X)
    holes = X[:6].copy()
    for row in holes:
        row[draws.choice(n, n - 2 * rank, replace=False)] = np.nan
    singular = np.linalg.svd(mix / np.linalg.norm(mix, 2), compute_uv=False)
    seen = [np.linalg.svd(mix[:, ~np.isnan(h[:n])], compute_uv=False)[-1] for h in holes]
    if singular[-1] > 0.05 and min(seen) > 0.1:
        np.testing.assert_allclose(filled(pca, holes), X[:6], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("p", [1, 2, 3, 5, 8])
def test_a_feature_that_never_varied_says_nothing(p):
    draws = np.random.default_rng(0)
    X = np.hstack([draws.normal(size=(9, 3)), np.full((9, 5), 4.0)])
    pca = StreamingPCA(p, missing="impute").fit(X)
    row = np.array([[1.0, np.nan, np.nan, 4.0, 4.0, 4.0, 4.0, 4.0]])
    off = np.where(row == 4.0, 9.0, row)
    np.testing.assert_allclose(filled(pca, off)[0, :3], filled(pca, row)[0, :3], rtol=1e-9)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_after_few_rows_the_last_bits_do_not_decide(n, rows):
    draws = np.random.default_rng(n)
    X = draws.normal(size=(rows, n)) + 3
    gaps = draws.normal(size=(4, n)) + 3
    gaps[:, 0] = np.nan
    exact = StreamingPCA(None, missing="impute", center=False).fit(X)
    for _ in range(5):
        nudged = X * (1 + 4e-16 * draws.normal(size=X.shape))
        near = StreamingPCA(None, missing="impute", center=False).fit(nudged)
        np.testing.assert_allclose(filled(near, gaps), filled(exact, gaps), rtol=1e-9)
