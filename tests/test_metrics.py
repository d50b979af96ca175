"""Metrics against closed forms: known rotations, swaps, flips and spectra."""

import numpy as np
import oracle
import pytest
from extras import needs_torch, torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import data_matrices, orthonormal_rows, seeds, splits

from streampca.metrics import (
    acs,
    excess_error,
    excess_variance,
    ordered_share,
    principal_angles,
    ratios,
)

E = np.eye(5)


@settings(max_examples=50)
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


@needs_torch
def test_acs_takes_tensors():
    np.testing.assert_allclose(
        acs(torch.tensor([[3.0, 4.0]]), torch.eye(2)), [[0.6, 0.8]], rtol=1e-6
    )


def test_excess_error_of_known_spectra():
    Sigma = np.diag([5.0, 4.0, 3.0, 2.0, 1.0])
    assert excess_error(E[:2], Sigma) == pytest.approx(0)
    assert excess_error(E[[0, 4]], Sigma) == pytest.approx((4 - 1) / 6)
    assert excess_error(E[[1, 0]], Sigma) == pytest.approx(0)  # order does not matter to it


def test_excess_variance_of_a_known_rotation():
    # turning u_2 towards u_3 by t loses sin(t)**2 (lambda_2 - lambda_3)
    Sigma = np.diag([5.0, 4.0, 3.0, 2.0, 1.0])
    for t in (0.0, 1e-3, 0.3, np.pi / 2):
        turned = np.array([E[0], np.cos(t) * E[1] + np.sin(t) * E[2]])
        assert excess_variance(turned, Sigma) == pytest.approx(np.sin(t) ** 2, abs=1e-14)
        assert excess_error(turned, Sigma) == pytest.approx(np.sin(t) ** 2 / 6, abs=1e-14)


def test_population_excess_ratio_is_one_for_batch_pca_itself():
    rng = np.random.default_rng(0)
    population = np.diag(1.0 / np.arange(1, 9))
    X = rng.normal(size=(500, 8)) @ np.sqrt(population)
    _, batch, _, _ = oracle.batch_pca(X, 3)
    assert excess_variance(batch, population) > 0
    assert excess_variance(2.0 * batch[::-1], population) / excess_variance(
        batch, population
    ) == pytest.approx(1, rel=1e-9)


def test_zero_and_repeated_components_keep_nothing():
    Sigma = np.diag([5.0, 4.0, 3.0, 2.0, 1.0])
    X = np.vstack([np.sqrt(np.diag(Sigma)) * s * e for e in E for s in (1, -1)])
    for rows in ([E[1], 0 * E[0]], [E[1], E[1]], [E[1], -3 * E[1]]):
        assert excess_error(rows, Sigma) == pytest.approx((9 - 4) / 6)
        assert oracle.excess_error(rows, X) == pytest.approx((9 - 4) / 6)
        np.testing.assert_allclose(principal_angles(rows, E[:2]), [0, np.pi / 2], atol=1e-15)
        np.testing.assert_allclose(principal_angles(E[:2], rows), [0, np.pi / 2], atol=1e-15)
    # a repeated row in the middle does not hide the one after it
    np.testing.assert_allclose(
        principal_angles(E[[0, 0, 1]], E[[0, 1, 2]]), [0, 0, np.pi / 2], atol=1e-15
    )
    assert excess_error(np.zeros((2, 5)), Sigma) == pytest.approx(9 / 6)
    np.testing.assert_allclose(principal_angles(np.zeros((2, 5)), E[:2]), np.pi / 2)


def test_where_the_best_leaves_nothing_the_excess_is_nothing_or_infinite():
    rng = np.random.default_rng(0)
    Sigma = np.cov(rng.normal(size=(9, 5)).T)
    turned = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert excess_error(turned, Sigma) == 0.0  # p = n: any basis keeps everything
    flat = np.diag([2.0, 1.0, 0.0, 0.0, 0.0])
    assert excess_error(E[:2], flat) == 0.0
    assert excess_error(E[1:3], flat) == np.inf
    assert excess_error(E[:2], np.zeros((5, 5))) == 0.0


@settings(max_examples=50)
@given(X=data_matrices(), seed=seeds)
def test_excess_of_any_rows_equals_the_oracle(X, seed):
    n = X.shape[1]
    p = 1 + seed % n
    C = np.random.default_rng(seed).normal(size=(p, n))
    D = X - X.mean(axis=0)
    Sigma = D.T @ D / max(len(X) - 1, 1)
    ours, expected = excess_error(C, Sigma), oracle.excess_error(C, X)
    _, best, variances, total = oracle.batch_pca(X, p)
    # batch PCA's own error at rounding level: what is relative to it says nothing
    if total - variances.sum() > 1e-9 * total:
        assert ours == pytest.approx(expected, rel=1e-5, abs=1e-9)
        assert excess_error(best, Sigma) == pytest.approx(0, abs=1e-5)


@settings(max_examples=50)
@given(directions=orthonormal_rows(), seed=seeds)
def test_measures_ignore_lengths_signs_and_the_basis_of_a_span(directions, seed):
    rng = np.random.default_rng(seed)
    p = len(directions)
    lengths = rng.choice([-1, 1], p) * 10.0 ** rng.uniform(-6, 6, p)
    scaled = directions * lengths[:, None]
    assert ratios(scaled, directions) == (1.0, 0.0, 1.0)
    np.testing.assert_allclose(acs(scaled, directions), np.eye(p), atol=1e-12)
    mixed = np.linalg.qr(rng.normal(size=(p, p)))[0] @ directions
    assert principal_angles(mixed, directions).max() < 1e-12
    order = rng.permutation(p)
    found = ratios(directions[order], directions)
    assert found.true_positive == pytest.approx((order == np.arange(p)).mean())
    assert found.total == 1.0


@settings(max_examples=50)
@given(data=st.data(), X=data_matrices(min_rows=2))
def test_oracle_agrees_with_copies_and_with_the_singular_values(data, X):
    n = X.shape[1]
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(X), max_size=len(X))))
    weighted, copied = (
        oracle.batch_pca(X, n, weights),
        oracle.batch_pca(np.repeat(X, weights, 0), n),
    )
    scale = copied[3] + np.square(X).max() * 1e-9
    for a, b in zip(weighted[2:], copied[2:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * scale)
    pieces = data.draw(splits(X))
    assert all(len(piece) for piece in pieces)
    np.testing.assert_array_equal(np.concatenate(pieces), X)
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / (len(X) - 1)
    plain = oracle.batch_pca(X, n)[2][: len(values)]
    np.testing.assert_allclose(plain, values[: len(plain)], rtol=1e-9, atol=1e-9 * scale)


def test_values_that_are_not_finite_are_named():
    broken = E[:2].copy()
    broken[1, 3] = np.nan
    for measure in (acs, principal_angles, ratios):
        with pytest.raises(ValueError, match="components: nan in row 1, feature 3"):
            measure(broken, E[:2])
        with pytest.raises(ValueError, match="reference: nan in row 1, feature 3"):
            measure(E[:2], broken)


@pytest.mark.parametrize("measure", [acs, principal_angles, ratios])
def test_shapes_that_do_not_fit_are_named(measure):
    with pytest.raises(ValueError, match="3 features, the reference has 5"):
        measure(np.ones((1, 3)), E)
    with pytest.raises(ValueError, match="must be a matrix"):
        measure(np.ones(5), E)
    with pytest.raises(ValueError, match="covariance has shape"):
        excess_error(E[:2], np.eye(4))
