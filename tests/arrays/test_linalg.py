"""Columns of length 1, whatever their size."""

import numpy as np
import pytest

from streampca.arrays import unit_columns


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", [-30, -15, 0, 15, 30, 150, -150])
def test_unit_columns_of_any_size(dtype, power):
    R = np.random.default_rng(0).normal(size=(1000, 3))
    R[:, 1] *= 10.0**power
    R[:, 2] = 0.0
    if dtype == "float32" and abs(power) > 30:
        return
    U, lengths = unit_columns(R.astype(dtype))
    exact = np.linalg.norm(R.astype(dtype).astype("longdouble"), axis=0)
    np.testing.assert_allclose(lengths, exact.astype("float64"), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(U.astype("float64"), axis=0), [1, 1, 0], rtol=1e-6)
    assert U.dtype == dtype
