"""Block Lanczos: as accurate as asked for, and no deeper than that needs."""

import numpy as np
import pytest
from counted import Counted

from streampca.moments import make_moments
from streampca.rows import Minibatch
from streampca.solvers.exact import solve
from streampca.solvers.krylov import BLOCK, first_look, krylov, room


def moments_of(spectrum, seed=0):
    """Dense moments whose Sigma has this spectrum, up to a factor."""
    n = len(spectrum)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    X = Q.T * np.sqrt(spectrum)[:, None]
    moments = make_moments("dense", n, dtype="float64")
    moments.update(Minibatch(np.concatenate([X, -X])))
    return moments


def worst(moments, found, p):
    R = (moments @ np.eye(moments.n_features)) @ found.A[:, :p] - found.A[:, :p] * found.values[:p]
    return np.linalg.norm(R, axis=0).max() / found.values[0]


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8, 1e-11])
def test_it_goes_as_deep_as_the_tolerance_asks(tolerance):
    moments = Counted(moments_of(1.0 / np.arange(1, 301) ** 2))
    found = krylov(moments, 4, 16, 150, tolerance)
    assert moments.columns < 150
    assert worst(moments, found, 4) <= tolerance + 1e-14
    np.testing.assert_allclose(found.A.T @ found.A, np.eye(16), atol=1e-12)
    np.testing.assert_allclose(found.SA, moments @ found.A, atol=1e-14 * found.values[0])
    expected = np.linalg.eigvalsh(moments @ np.eye(300))[::-1][:4]
    np.testing.assert_allclose(found.values[:4], expected, rtol=1e-9)


def test_a_lower_tolerance_costs_more_products():
    counts = []
    for tolerance in (1e-2, 1e-7, 1e-11):
        moments = Counted(moments_of(np.arange(1, 301) ** -0.5))
        assert krylov(moments, 4, 16, 160, tolerance) is not None
        counts.append(moments.columns)
    assert first_look(4) <= counts[0] < counts[1] < counts[2] <= 160


@pytest.mark.parametrize("p", [1, 4, 30, 100])
def test_many_components_are_found_with_a_few_times_as_many_columns(p):
    moments = Counted(moments_of(1.0 / np.arange(1, 601)))
    found = krylov(moments, p, p + 6, 600, 1e-11)
    assert moments.columns <= 4 * p + 100
    assert worst(moments, found, p) <= 1e-11
    expected = np.linalg.eigvalsh(moments @ np.eye(600))[::-1][:p]
    np.testing.assert_allclose(found.values[:p], expected, rtol=1e-10)


def test_a_flat_spectrum_is_given_up_at_the_second_look():
    moments = Counted(moments_of(np.linspace(1.0, 0.99, 200)))
    assert krylov(moments, 4, 8, 150, 1e-11) is None
    assert moments.columns < room(4)


def test_columns_are_never_more_than_there_may_be():
    moments = Counted(moments_of(np.arange(1, 301) ** -0.5))
    for most in range(0, room(4), BLOCK):
        moments.columns = 0
        krylov(moments, 4, 16, most, 1e-11)
        assert moments.columns <= most


def test_fewer_directions_than_it_looks_for():
    moments = moments_of(np.r_[4.0, 1.0, np.zeros(158)])
    found = krylov(moments, 4, 16, 120, 1e-11)
    expected = np.linalg.eigvalsh(moments @ np.eye(160))[::-1][:2]
    np.testing.assert_allclose(found.values[:2], expected, rtol=1e-12)
    assert np.abs(found.values[2:]).max() <= 1e-12 * expected[0]


def test_nothing_remembered_is_no_error():
    moments = make_moments("dense", 160, dtype="float64")
    assert not krylov(moments, 4, 16, 120, 1e-11).values.any()


@pytest.mark.parametrize("copies", [2, 12, 40])
def test_equal_eigenvalues_are_all_there_or_missed(copies):
    """More copies than a block has columns cannot be seen in it; Cholesky tells."""
    moments = moments_of(np.r_[np.full(copies, 4.0), 1.0 / np.arange(1, 261)])
    solution = solve(moments, copies)
    expected = np.linalg.eigvalsh(moments @ np.eye(260 + copies))[::-1][:copies]
    np.testing.assert_allclose(solution.eigenvalues, expected, rtol=1e-10)


def test_a_start_near_the_answer_saves_columns():
    moments = Counted(moments_of(np.arange(1, 301) ** -0.5))
    vectors = np.linalg.eigh(moments @ np.eye(300))[1][:, ::-1]
    counts = []
    for start in (None, vectors[:, :16]):
        moments.columns = 0
        found = krylov(moments, 4, 16, 160, 1e-11, start)
        counts.append(moments.columns)
        assert worst(moments, found, 4) <= 1e-11
    assert counts[1] < counts[0]


def test_a_start_that_is_blind_to_a_direction_does_not_hide_it():
    moments = moments_of(1.0 / np.arange(1, 301))
    vectors = np.linalg.eigh(moments @ np.eye(300))[1][:, ::-1]
    found = krylov(moments, 4, 16, 160, 1e-11, vectors[:, 1:9])
    np.testing.assert_allclose(abs(found.A[:, 0] @ vectors[:, 0]), 1.0, rtol=1e-10)
