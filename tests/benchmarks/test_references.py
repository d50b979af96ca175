"""The references of the benchmarks: their update for one row, and where they end."""

import numpy as np
import pytest
from extras import needs_torch, torch

from benchmarks.paper.references import (
    APEX,
    LMSER,
    RULES,
    Autoencoder,
    EigenGame,
    L2Autoencoder,
    LMSERWeighted,
    NestedAutoencoder,
    OjaWeighted,
    RubnerTavan,
    Sanger,
    VanishingStart,
)
from streampca.loss import mse_loss_rows, nested_loss_rows
from streampca.metrics import ordered_share, principal_angles

VALUES = np.array([1.0, 0.7, 0.45, 0.25, 0.1, 0.05])


def white_rows():
    """Rows whose covariance is exactly diag(VALUES) in a random basis; its eigenvectors as rows."""
    draws = np.random.default_rng(0)
    W = np.linalg.qr(draws.normal(size=(60, 6)))[0] * np.sqrt(60)
    basis = np.linalg.qr(draws.normal(size=(6, 6)))[0]
    return W * np.sqrt(VALUES) @ basis.T, basis.T


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules_end_at_the_ordered_eigenvectors_or_at_their_span_as_their_authors_say(rule):
    X, truth = white_rows()
    method = rule(6, 3, seed=1)
    for rate in np.linspace(0.3, 0.03, 4000):
        method.step(X, rate)
    found = method.components()
    # weighted rules end at columns of other lengths, penalties shrink: directions are compared
    assert principal_angles(found, truth[:3]).max() < 1e-4
    if rule.ordered:
        assert ordered_share(found, truth[:3], 0.9999) == 1.0
    else:
        assert ordered_share(found, truth[:3], 0.9999) < 1.0


def per_unit(rule, x, V, U=None):
    """The update of each unit for one row, as the papers write it."""
    n, p = V.shape
    dV, dU = np.zeros((n, p)), np.zeros((p, p))
    y = np.zeros(p)
    for j in range(p):
        y[j] = V[:, j] @ x + (0 if U is None else sum(U[i, j] * y[i] for i in range(j)))
    for j in range(p):
        if rule is Sanger:
            dV[:, j] = y[j] * (x - sum(y[i] * V[:, i] for i in range(j + 1)))
        elif rule is OjaWeighted:
            theta = np.linspace(0.5, 1, p)[j]
            dV[:, j] = y[j] * (x - theta * sum(y[i] * V[:, i] for i in range(p)))
        elif rule is APEX:
            dV[:, j] = y[j] * x - y[j] ** 2 * V[:, j]
            for i in range(j):
                dU[i, j] = -(y[i] * y[j] + y[j] ** 2 * U[i, j])
        elif rule is RubnerTavan:
            dV[:, j] = y[j] * x
            for i in range(j):
                dU[i, j] = -y[i] * y[j]
        elif rule is EigenGame:
            g = y[j] * (x - sum(y[i] * V[:, i] for i in range(j)))
            dV[:, j] = g - (g @ V[:, j]) * V[:, j]
    return dV, dU


@pytest.mark.parametrize("rule", [Sanger, OjaWeighted, APEX, RubnerTavan, EigenGame])
def test_for_one_row_the_update_is_the_published_one(rule):
    draws = np.random.default_rng(0)
    x = draws.normal(size=5)
    method = rule(5, 3)
    U = None
    if hasattr(method, "U"):
        U = method.U = np.triu(draws.normal(size=(3, 3)), 1)
    V = method.V.copy()
    dV, dU = per_unit(rule, x, V, U)
    expected_U = None if U is None else U + 0.1 * dU
    method.step(x[None], 0.1)
    expected = V + 0.1 * dV
    if rule in (RubnerTavan, EigenGame):
        expected /= np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(method.V, expected, atol=1e-12)
    if U is not None:
        np.testing.assert_allclose(method.U, expected_U, atol=1e-12)


@needs_torch
@pytest.mark.parametrize(
    ("rule", "loss", "factor"),
    [(Autoencoder, mse_loss_rows, 2 * 60), (NestedAutoencoder, nested_loss_rows, 2 * 60 * 3)],
)
def test_autoencoders_descend_the_gradient_of_their_loss(rule, loss, factor):
    X, _ = white_rows()
    method = rule(6, 3)
    method.B += 0.1 * np.random.default_rng(1).normal(size=(3, 6))
    A, B = (torch.tensor(v, requires_grad=True) for v in (method.V, method.B))
    loss(A, B, torch.tensor(X).T).backward()
    dA, dB = method.gradients(X)
    np.testing.assert_allclose(dA * factor, A.grad, atol=1e-9)
    np.testing.assert_allclose(dB * factor, B.grad, atol=1e-9)


@needs_torch
def test_lmser_descends_the_reconstruction_error_and_its_weighted_form_a_brockett_function():
    X, _ = white_rows()
    V = torch.tensor(LMSER(6, 3).V, requires_grad=True)
    C = torch.tensor(X.T @ X / len(X))
    (0.5 * mse_loss_rows(V, V.T, torch.tensor(X).T) / len(X)).backward()
    method = LMSER(6, 3)
    before = method.V.copy()
    method.step(X, 1.0)
    np.testing.assert_allclose(method.V - before, -V.grad, atol=1e-12)
    weighted = LMSERWeighted(6, 3)
    D = torch.diag(torch.tensor(weighted.weights))
    V = torch.tensor(weighted.V, requires_grad=True)
    (0.5 * (D @ V.T @ C @ V).trace()).backward()
    before = weighted.V.copy()
    weighted.step(X, 1.0)
    # the canonical gradient on orthonormal matrices: G - V G'V
    G = V.grad.numpy()
    np.testing.assert_allclose(weighted.V - before, G - before @ G.T @ before, atol=1e-12)


def test_the_penalised_autoencoder_shrinks_as_kunin_says():
    X, _ = white_rows()
    method = L2Autoencoder(6, 3, seed=1, penalty=0.05)
    for rate in np.linspace(0.5, 0.05, 4000):
        method.step(X, rate)
    strengths = np.linalg.svd(method.V @ method.B, compute_uv=False)[:3]
    np.testing.assert_allclose(strengths, 1 - 0.05 / VALUES[:3], atol=1e-6)
    np.testing.assert_allclose(method.B, method.V.T, atol=1e-5)


def test_from_a_vanishing_start_directions_appear_in_order_and_then_lose_it():
    X, truth = white_rows()
    method = VanishingStart(6, 3, seed=1)
    appeared = []
    for _ in range(400):
        method.step(X, 0.1)
        strengths = np.linalg.svd(method.V @ method.B, compute_uv=False)
        appeared.append(int((strengths > 0.5).sum()))
        if appeared[-1] == 2 and 2 not in appeared[:-1]:
            assert ordered_share(method.components()[:2], truth[:2], 0.99) == 1.0
    assert appeared == sorted(appeared)
    assert set(appeared) == {0, 1, 2, 3}
