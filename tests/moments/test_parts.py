"""Few rows as one row less: the same Z'Z, where they add up to zero."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.moments.parts import one_less


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(2, 40),
    n=st.integers(1, 30),
    extra=st.integers(0, 1),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 100),
)
def test_rows_about_their_mean_are_one_less(m, n, extra, scale, dtype, seed):
    X = np.random.default_rng(seed).normal(size=(m, n)) * scale
    Z = np.concatenate([X - X.mean(axis=0), X[:extra] * 3.0]).astype(dtype)
    fewer = one_less(Z, m)
    assert fewer.shape == (m - 1 + extra, n)
    assert fewer.dtype == dtype
    expected = Z.astype("float64").T @ Z.astype("float64")
    error = np.abs(fewer.astype("float64").T @ fewer.astype("float64") - expected).max()
    # each entry is rounded twice, and v'Z, which is left out, has the rounding of m terms
    assert error <= 4 * m * np.finfo(dtype).eps * np.trace(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_rows_stay_as_they_are(dtype):
    Z = np.random.default_rng(0).normal(size=(9, 4)).astype(dtype)
    for rows, m in ((Z, 9), (Z[:1], 1), (Z * np.sqrt(np.arange(1.0, 10.0))[:, None], 9)):
        assert one_less(rows, m) is rows


def test_a_small_sum_beside_large_rows_is_not_left_out():
    Z = np.array([[1e6, 0.0], [-1e6, 0.0], [0.0, 1.0]])
    assert one_less(Z, 3) is Z
