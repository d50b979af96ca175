"""Metrics against closed forms: known rotations, swaps, flips and spectra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.metrics import acs, excess_error, ordered_share, principal_angles, ratios

E = np.eye(5)


@settings(max_examples=50, deadline=None)
@given(angle=st.one_of(st.floats(0, np.pi / 2), st.sampled_from([1e-12, 1e-9, 1e-6])))
def test_principal_angle_of_a_known_rotation(angle):
    turned = np.array([E[0], np.cos(angle) * E[1] + np.sin(angle) * E[2]])
    found = principal_angles(E[:2], turned)
    np.testing.assert_allclose(found, [0, angle], rtol=1e-6, atol=1e-15)


def test_principal_angles_of_spaces_of_different_dimension():
    np.testing.assert_allclose(principal_angles(E[:3], E[2:4]), [0, np.pi / 2], atol=1e-15)
    np.testing.assert_allclose(principal_angles(E[2:4], E[:3]), [0, np.pi / 2], atol=1e-15)


def test_swapped_components_are_false_positives_and_signs_do_not_matter():
    found = ratios([E[0], -E[2], E[1]], E[:3])
    assert found == (pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(1))
    assert ordered_share([-E[0], 3 * E[1]], E[:2]) == 1.0


def test_directions_that_nobody_found_and_zero_components():
    assert ratios([E[0], 0 * E[1], E[4]], E[:3]) == (
        pytest.approx(1 / 3),
        0.0,
        pytest.approx(1 / 3),
    )
    assert ratios(E[:1], E[:2]).total == 0.5
    tilted = np.cos(0.15) * E[0] + np.sin(0.15) * E[1]  # cos 0.15 = 0.9888
    assert ordered_share([tilted], E[:1]) == 0.0
    assert ordered_share([tilted], E[:1], threshold=0.98) == 1.0


def test_acs_takes_tensors():
    np.testing.assert_allclose(
        acs(torch.tensor([[3.0, 4.0]]), torch.eye(2)), [[0.6, 0.8]], rtol=1e-6
    )


def test_excess_error_of_known_spectra():
    Sigma = np.diag([5.0, 4.0, 3.0, 2.0, 1.0])
    assert excess_error(E[:2], Sigma) == pytest.approx(0)
    assert excess_error(E[[0, 4]], Sigma) == pytest.approx((4 - 1) / 6)
    assert excess_error(E[[1, 0]], Sigma) == pytest.approx(0)  # order does not matter to it


@pytest.mark.parametrize("measure", [acs, principal_angles, ratios])
def test_shapes_that_do_not_fit_are_named(measure):
    with pytest.raises(ValueError, match="3 features, the reference has 5"):
        measure(np.ones((1, 3)), E)
    with pytest.raises(ValueError, match="must be a matrix"):
        measure(np.ones(5), E)
    with pytest.raises(ValueError, match="covariance has shape"):
        excess_error(E[:2], np.eye(4))
