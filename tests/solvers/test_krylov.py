"""Block Lanczos: as accurate as asked for, and no deeper than that needs."""

import numpy as np
import pytest
from counted import Counted

from streampca.moments import make_moments
from streampca.solvers.krylov import LEAST_DEPTH, krylov


def moments_of(spectrum, seed=0):
    """Dense moments whose Sigma has this spectrum, up to a factor."""
    n = len(spectrum)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    X = Q.T * np.sqrt(spectrum)[:, None]
    moments = make_moments("dense", n, dtype="float64")
    moments.update(np.concatenate([X, -X]))
    return moments


def worst(moments, found, p):
    R = (moments @ np.eye(moments.n_features)) @ found.A[:, :p] - found.A[:, :p] * found.values[:p]
    return np.linalg.norm(R, axis=0).max() / found.values[0]


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8, 1e-11])
def test_it_goes_as_deep_as_the_tolerance_asks(tolerance):
    moments = Counted(moments_of(1.0 / np.arange(1, 301) ** 2))
    found = krylov(moments, 4, 16, 15, tolerance)
    assert moments.products < 15
    assert worst(moments, found, 4) <= tolerance + 1e-14
    np.testing.assert_allclose(found.A.T @ found.A, np.eye(16), atol=1e-12)
    np.testing.assert_allclose(found.SA, moments @ found.A, atol=1e-14 * found.values[0])
    expected = np.linalg.eigvalsh(moments @ np.eye(300))[::-1][:4]
    np.testing.assert_allclose(found.values[:4], expected, rtol=1e-9)


def test_a_lower_tolerance_costs_more_products():
    counts = []
    for tolerance in (1e-3, 1e-7, 1e-11):
        moments = Counted(moments_of(np.arange(1, 301) ** -0.5))
        krylov(moments, 4, 16, 20, tolerance)
        counts.append(moments.products)
    assert LEAST_DEPTH <= counts[0] < counts[1] < counts[2] < 20


def test_a_flat_spectrum_ends_at_the_greatest_depth():
    moments = Counted(moments_of(np.linspace(1.0, 0.99, 200)))
    found = krylov(moments, 4, 8, 9, 1e-11)
    assert moments.products == 9
    assert worst(moments, found, 4) > 1e-11


def test_fewer_directions_than_it_looks_for():
    moments = moments_of(np.r_[4.0, 1.0, np.zeros(158)])
    found = krylov(moments, 4, 16, 9, 1e-11)
    expected = np.linalg.eigvalsh(moments @ np.eye(160))[::-1][:2]
    np.testing.assert_allclose(found.values[:2], expected, rtol=1e-12)
    assert np.abs(found.values[2:]).max() <= 1e-12 * expected[0]


def test_nothing_remembered_is_no_error():
    moments = make_moments("dense", 160, dtype="float64")
    assert not krylov(moments, 4, 16, 9, 1e-11).values.any()


def test_a_start_with_the_answer_in_it_is_seen_at_the_first_look():
    moments = Counted(moments_of(np.arange(1, 301) ** -0.5))
    vectors = np.linalg.eigh(moments @ np.eye(300))[1][:, ::-1]
    moments.products = 0
    found = krylov(moments, 4, 16, 20, 1e-11, vectors[:, :16])
    assert moments.products == LEAST_DEPTH
    assert worst(moments, found, 4) <= 1e-11
