"""Rows centred in products: taken where means are near zero, and the same as centring them."""

import numpy as np
import pytest

from streampca.arrays.linalg import orthonormal
from streampca.moments import make_moments
from streampca.moments.unshifted import unshifted

RNG = np.random.default_rng(0)
NEAR = RNG.normal(1.0, 1.0, size=(400, 12)).astype("float32")
FAR = NEAR + np.float32(1000.0)


@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_first_rows_are_not_copied_where_their_means_are_near(kind):
    moments = make_moments(kind, 12, n_directions=5)
    assert unshifted(NEAR, moments) is not None
    assert unshifted(FAR, moments) is None
    one_far = NEAR.copy()
    one_far[:, 3] += 10.0
    assert unshifted(one_far, moments) is None
    constant = NEAR.copy()
    constant[:, 3] = 0.1  # what rounding leaves of it would pass for variance
    assert unshifted(constant, moments) is None
    silent = NEAR.copy()
    silent[:, 3] = 0.0
    assert unshifted(silent, moments) is not None


@pytest.mark.parametrize("first", [NEAR, FAR, np.where(np.arange(12) < 3, 0, NEAR)])
@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_the_first_rows_count_as_all_others_do(kind, first):
    moments = make_moments(kind, 12, n_directions=12)
    moments.update(first.astype("float32"))
    moments.update(NEAR)
    X = np.concatenate([first, NEAR]).astype("float64")
    expected = np.cov(X.T)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(moments @ np.eye(12), expected, atol=1e-5 * scale)
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-6)


def test_a_few_features_that_spoke_up_late_are_near_by_their_own_spread():
    moments = make_moments("dense", 12, dtype="float32")
    quiet = NEAR.copy()
    quiet[:, :4] = 0.0
    moments.update(quiet)
    assert unshifted(NEAR, moments) is not None
    late = NEAR.copy()
    late[:, 2] += 50.0
    assert unshifted(late, moments) is None


@pytest.mark.parametrize("spread", [0.0, 3.0, 20.0])
def test_orthonormal_columns_span_what_they_are_made_of(spread):
    Y = RNG.normal(size=(50, 6)) * 10.0 ** np.linspace(0, spread, 6)
    Q = orthonormal(Y)
    np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-12)
    unit = Y / np.linalg.norm(Y, axis=0)
    np.testing.assert_allclose(Q @ (Q.T @ unit), unit, atol=1e-12)


def test_orthonormal_leaves_out_columns_that_repeat_others():
    Y = RNG.normal(size=(50, 3))
    Q = orthonormal(np.concatenate([Y, Y[:, :1]], axis=1))
    assert abs(np.trace(Q.T @ Q) - 3) <= 1e-12
