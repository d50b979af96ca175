"""Ordered modes of a linear dynamic system against the closed form."""

import numpy as np

from benchmarks.paper.oscillator import (
    damped_oscillators,
    distance,
    dynamics,
    forecaster,
    passengers,
)
from streampca.metrics import ordered_share


def test_an_undriven_system_s_eigenvalues_are_found_to_rounding():
    system = damped_oscillators()
    truth = np.linalg.eigvals(system.F)
    # z'' = -2 zeta omega z' - omega^2 z turns at omega sqrt(1 - zeta^2), shrinks at zeta omega
    expected = [
        np.exp(0.1 * (-zeta * omega + 1j * omega * np.sqrt(1 - zeta**2)))
        for omega, zeta in ((1.3, 0.05), (3.1, 0.1))
    ]
    assert distance(truth, np.array(expected)) < 1e-12
    model = forecaster(system.series(400, driven=False), 4, fit_intercept=False, size=37)
    assert distance(dynamics(model), truth) < 1e-8


def test_the_ordered_modes_of_a_driven_system_are_those_of_what_can_be_foreseen():
    system = damped_oscillators()
    P = system.covariance
    np.testing.assert_allclose(system.F @ P @ system.F.T + system.Q, P, atol=1e-12)
    values, vectors = np.linalg.eigh(system.foreseen)
    model = forecaster(system.series(8_000, seed=1), 4)
    assert ordered_share(model.decoder_.T, vectors[:, ::-1][:, :4].T, 0.995) == 1.0
    np.testing.assert_allclose(model.explained_variance_, values[::-1][:4], rtol=0.3)
    assert distance(dynamics(model), np.linalg.eigvals(system.F)) < 0.01


def test_a_real_series_has_the_period_of_a_year():
    turns = dynamics(forecaster(passengers(), 8, size=10))
    periods = [2 * np.pi / np.angle(z) for z in turns if z.imag > 1e-9]
    assert min(abs(period - 12) for period in periods) < 0.1
    assert min(abs(period - 6) for period in periods) < 0.1
