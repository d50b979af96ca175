"""Sums of squares of arrays of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca.arrays import sum_of_squares


@given(
    size=st.one_of(st.integers(0, 40_000), st.sampled_from([8192, 8193, 16_384, 54_000])),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_sums_of_squares_are_those_of_numpy(size, dtype):
    values = np.random.default_rng(size).normal(size=size).astype(dtype)
    expected = float(np.square(values.astype("float64")).sum())
    # each sum of at most 8,192 squares may be rounded that often
    assert abs(sum_of_squares(values) - expected) <= 8192 * np.finfo(dtype).eps * expected


@pytest.mark.parametrize("shape", [(1000, 54), (7, 3, 2), (0, 5)])
def test_whatever_the_shape(shape):
    values = np.random.default_rng(0).normal(size=shape)
    assert sum_of_squares(values) == pytest.approx(float(np.square(values).sum()), rel=1e-12)


@pytest.mark.parametrize("entry", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("place", [0, 8999, 9000])
def test_what_cannot_be_summed_shows(entry, place):
    values = np.ones(9001, "float32")
    values[place] = entry
    assert not np.isfinite(sum_of_squares(values))
