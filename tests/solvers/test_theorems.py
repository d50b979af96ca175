"""The landscape of the nested loss, as the paper states it: what is critical, a saddle, a minimum.

Identities of the loss and its gradients stand in test_loss.py; here are claims about all points:
Hessians by automatic differentiation, roots of the gradient found by a solver that knows no
theorem, descents from random starts, operations counted.
"""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import F64, Problem
from scipy.optimize import least_squares
from strategies import seeds
from torch.utils.flop_counter import FlopCounterMode

from streampca.layer import nested_mse_loss
from streampca.loss import (
    best_encoder,
    gradient_decoder,
    gradient_encoder,
    mse_loss,
    nested_counts,
    nested_loss,
    nested_loss_definition,
    optimal_pair,
    optimum_loss,
    target_covariance,
)
from streampca.metrics import acs, ordered_share
from streampca.moments import make_moments
from streampca.solvers.first_order import FirstOrder
from streampca.solvers.first_order_pairs import FirstOrderPairs

SHAPES = pytest.mark.parametrize("n_in", [None, 6], ids=["Y = X", "Y != X"])


def scaled(n_in, p=2, n=4, seed=0):
    """A problem with tr(Syy) = 1 and tr(Sxx) = 1, so that tolerances need no units."""
    problem = Problem(n, n_in, p=p, seed=seed)
    x = problem.Sxx.trace()
    if n_in is None:
        return (problem.Sxx / x,)
    Sxx, Syx, total = problem.moments
    return Sxx / x, Syx / (x * total).sqrt(), torch.ones((), dtype=F64)


def eigenvectors(moments):
    """Eigenvalues and eigenvectors (columns) of Sigma, largest first."""
    values, vectors = torch.linalg.eigh(target_covariance(*moments[:2]))
    return values.flip(0), vectors.flip(1)


def critical(U, moments):
    """A = U and its encoder U' Syx Sxx^-1."""
    return U, (U.T if len(moments) == 1 else U.T @ moments[1] @ torch.linalg.inv(moments[0]))


def hessian(A, B, moments, loss=nested_loss):
    """Second derivatives of the loss in (A, B), one symmetric matrix."""
    k = A.numel()

    def flat(z):
        return loss(z[:k].reshape(A.shape), z[k:].reshape(B.shape), *moments)

    return torch.autograd.functional.hessian(flat, torch.cat([A.ravel(), B.ravel()]))


def gradient(A, B, moments):
    cross = moments[:2]
    return torch.cat(
        [gradient_decoder(A, B, *cross).ravel(), gradient_encoder(A, B, *cross).ravel()]
    )


# --- Theorem 1: every local minimum is global, and ordered -------------------------------------


@SHAPES
def test_of_all_ordered_choices_of_eigenvectors_only_the_leading_is_no_saddle(n_in):
    moments = scaled(n_in)
    values, U = eigenvectors(moments)
    for order in permutations(range(4), 2):
        A, B = critical(U[:, list(order)], moments)
        assert gradient(A, B, moments).norm() < 1e-12
        curvatures = torch.linalg.eigvalsh(hessian(A, B, moments))
        if order == (0, 1):
            # flat along the two lengths D alone (A D, D^-1 B), otherwise convex
            assert (curvatures > -1e-10).all()
            assert int((curvatures < 1e-8).sum()) == 2
        else:
            # Theorem 2: it goes down somewhere, and by no less than the eigenvalues passed over
            assert curvatures[0] < -1e-3 * float(values[0] - values[1])
            assert curvatures[-1] > 0


@SHAPES
def test_the_mse_s_minima_in_another_basis_are_saddles_of_the_nested_loss(n_in):
    moments = scaled(n_in)
    A, B = optimal_pair(2, *moments[:2])
    swapped = A[:, [1, 0]], B[[1, 0]]
    assert torch.linalg.eigvalsh(hessian(*swapped, moments, mse_loss))[0] > -1e-10
    assert torch.linalg.eigvalsh(hessian(*swapped, moments))[0] < -1e-4
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=F64)
    turned = A @ turn, turn.T @ B  # a minimum of the MSE, not even critical for L
    assert gradient(*turned, moments).norm() > 1e-3


STEPS = 2500


def descended(solver, moments):
    for _ in range(STEPS):
        solver.step(moments)
    return solver


def adam(parameters):
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    # high for half of the way: near saddles small steps take long
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)


@pytest.mark.parametrize("seed", range(5))
def test_random_restarts_end_at_the_ordered_minimum(seed):
    draws = np.random.default_rng(0)
    X = draws.normal(size=(200, 5)) * [3, 2, 1.4, 1, 0.5]
    moments = make_moments("dense", 5, center=False, dtype="float64")
    moments.update(X)
    Sigma = torch.tensor(moments @ np.eye(5))
    solver = FirstOrder(5, 3, optimizer=adam, dtype="float64", seed=seed)
    with torch.no_grad():
        # any start: columns of other lengths, and B that is not A'
        draws = torch.Generator().manual_seed(100 + seed)
        solver.A.mul_((torch.randn(3, generator=draws, dtype=F64) / 2).exp())
        solver.B.copy_(torch.randn(3, 5, generator=draws, dtype=F64) / 2)
    reading = descended(solver, moments).read(moments)
    assert reading.loss == pytest.approx(float(optimum_loss(3, Sigma)), rel=1e-4)
    U, _ = optimal_pair(3, Sigma)
    assert ordered_share(reading.directions.T, U.T, 0.999) == 1.0
    B = torch.tensor(reading.encoder)
    latent = B @ Sigma @ B.T
    assert (latent - latent.diagonal().diag()).norm() < 1e-2 * latent.norm()


@pytest.mark.parametrize("seed", range(3))
def test_random_restarts_end_there_for_other_targets_too(seed):
    draws = np.random.default_rng(1)
    X = draws.normal(size=(300, 4))
    Y = X @ draws.normal(size=(4, 5)) * [4, 2, 1, 1, 1] + draws.normal(size=(300, 5))
    moments = make_moments("dense", 9, center=False, dtype="float64")
    moments.update(np.c_[X, Y])
    S = torch.tensor(moments @ np.eye(9))
    Sxx, Syx, total = S[:4, :4], S[4:, :4], S[4:, 4:].trace()
    solver = FirstOrderPairs(4, 5, 2, optimizer=adam, dtype="float64", seed=seed)
    descended(solver, moments)
    best = optimum_loss(2, Sxx, Syx, total)
    assert solver.loss(moments) == pytest.approx(float(best), rel=1e-4)
    U, _ = optimal_pair(2, Sxx, Syx)
    assert ordered_share(solver.read_pairs(moments).decoder.T, U.T, 0.999) == 1.0


# --- Theorem 2 and Corollary 1: what a critical point looks like -------------------------------


@SHAPES
def test_wherever_the_gradient_vanishes_columns_are_eigenvectors_or_zero(n_in):
    # roots of the gradient by a solver that knows nothing of eigenvectors, from random starts
    moments = scaled(n_in)
    _, U = eigenvectors(moments)
    draws = np.random.default_rng(0)
    shapes = (4, 2), (2, n_in or 4)
    places = set()
    for _ in range(15):
        start = draws.normal(size=sum(a * b for a, b in shapes))

        def fields(z):
            A, B = (torch.tensor(part) for part in np.split(z, [8]))
            return gradient(A.reshape(shapes[0]), B.reshape(shapes[1]), moments).numpy()

        root = least_squares(fields, start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        A, B = (torch.tensor(part) for part in np.split(root.x, [8]))
        A, B = A.reshape(shapes[0]), B.reshape(shapes[1])
        if np.abs(root.fun).max() > 1e-11:
            continue  # it stopped between two roots
        lengths = A.norm(dim=0)
        found = acs(A.T, U.T)  # (2, 4)
        order = []
        for column in range(2):
            if lengths[column] < 1e-4:
                order.append(None)  # Remark 3: zero columns are critical too
                continue
            assert found[column].max() > 1 - 1e-5
            order.append(int(found[column].argmax()))
        places.add(tuple(order))
        # Theorem 2: critical for L is critical for the MSE
        a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
        mse_loss(a, b, *moments).backward()
        assert max(a.grad.abs().max(), b.grad.abs().max()) < 1e-5
        # Corollary 1: what the columns that are not zero see of the inputs is uncorrelated
        kept = lengths > 1e-4
        seen = (B @ moments[0] @ B.T)[kept][:, kept] * lengths[kept].outer(lengths[kept])
        assert (seen - seen.diagonal().diag()).abs().max() < 1e-5 * float(seen.diagonal().max())
    assert (0, 1) in places
    assert len(places) >= 4  # the solver does not prefer minima: other critical points were seen


@settings(max_examples=20)
@given(seed=seeds, data=st.data())
def test_any_selection_of_eigenvectors_of_any_lengths_and_zeros_is_critical_for_both(seed, data):
    moments = scaled(data.draw(st.sampled_from([None, 3, 6])), seed=seed, p=3)
    _, U = eigenvectors(moments)
    order = data.draw(st.permutations(range(4)))[:3]
    lengths = torch.tensor(
        data.draw(st.lists(st.sampled_from([0.0, 1e-2, -1.0, 50.0]), min_size=3, max_size=3)),
        dtype=F64,
    )
    inverse = torch.where(lengths != 0, 1 / lengths, 0.0)
    A, B = critical(U[:, order], moments)
    A, B = A * lengths, B * inverse[:, None]
    # rounding: the condition of Sxx, and lengths of up to 100 in A or in B
    tolerance = 1e-13 * 1e4 * float(torch.linalg.cond(moments[0]))
    assert gradient(A, B, moments).abs().max() < tolerance
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    mse_loss(a, b, *moments).backward()
    assert max(a.grad.abs().max(), b.grad.abs().max()) < tolerance


# --- Proposition 1: for a given decoder there is one best encoder ------------------------------


@SHAPES
@pytest.mark.parametrize("kind", ["random", "parallel", "short"])
def test_the_loss_is_strictly_convex_in_the_encoder_and_newton_s_one_step_is_the_formula(
    n_in, kind
):
    moments = scaled(n_in, p=3)
    draws = torch.Generator().manual_seed(0)
    A = torch.randn(4, 3, generator=draws, dtype=F64)
    if kind == "parallel":
        A = A[:, :1].expand(4, 3) * torch.tensor([1.0, -2.0, 0.5], dtype=F64)
    if kind == "short":
        A = A * torch.tensor([1.0, 1e-3, 1.0], dtype=F64)
    B = torch.randn(3, n_in or 4, generator=draws, dtype=F64)

    def of_encoder(loss):
        def flat(b):
            return loss(A, b.reshape(B.shape), *moments)

        return torch.autograd.functional.hessian(flat, B.ravel())

    H = of_encoder(nested_loss)
    expected = 2 * torch.kron(nested_counts(3, A) * (A.T @ A), moments[0])
    torch.testing.assert_close(H, expected)
    assert torch.linalg.eigvalsh(H)[0] > 0
    step = torch.linalg.solve(H, gradient_encoder(A, B, *moments[:2]).ravel())
    found = B - step.reshape(B.shape)
    torch.testing.assert_close(found, best_encoder(A, *moments[:2]), rtol=1e-6, atol=1e-8)
    if kind == "parallel":  # where the MSE leaves the encoder open
        assert torch.linalg.eigvalsh(of_encoder(mse_loss))[0] < 1e-12


# --- Remark 3: zero columns --------------------------------------------------------------------


def test_a_zero_column_holds_gradient_descent_and_a_nudge_frees_it():
    draws = np.random.default_rng(0)
    X = draws.normal(size=(100, 4)) * [3, 2, 1, 0.5]
    Y = X @ draws.normal(size=(4, 3))
    moments = make_moments("dense", 7, center=False, dtype="float64")
    moments.update(np.c_[X, Y])
    held, freed = (FirstOrderPairs(4, 3, 2, optimizer=adam, dtype="float64") for _ in range(2))
    for solver in (held, freed):
        with torch.no_grad():
            solver.A[:, 1] = 0
            solver.B[1] = 0
    held._nudge = torch.zeros_like(held._nudge)
    for solver in (held, freed):
        descended(solver, moments)
    assert float(held.A[:, 1].detach().norm()) == 0.0
    S = torch.tensor(moments @ np.eye(7))
    U, _ = optimal_pair(2, S[:4, :4], S[4:, :4])
    assert ordered_share(freed.read_pairs(moments).decoder.T, U.T, 0.999) == 1.0


# --- Remarks 4 and 8: as many operations as the MSE --------------------------------------------


def operations(loss, m, n, p):
    """Multiplications and additions in products, forward and backward, of a decoder's loss."""
    latent, weight = torch.zeros(m, p, requires_grad=True), torch.zeros(n, p, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        loss(latent, weight, torch.zeros(m, n)).backward()
    return counter.get_total_flops()


def plain(latent, weight, target):
    return (latent @ weight.T - target).square().mean()


@pytest.mark.parametrize(("m", "n"), [(256, 784), (2000, 1000)])
def test_the_number_of_nested_terms_does_not_add_operations(m, n):
    for p in (2, 10, 100):
        nested, mse = operations(nested_mse_loss, m, n, p), operations(plain, m, n, p)
        # two large products where the MSE takes three, and four of p x p with m or n
        assert nested == 4 * m * n * p + 4 * p * p * (m + n)
        assert mse == 6 * m * n * p
        assert nested < 1.1 * mse


def test_the_definition_s_operations_do_grow_with_it():
    # the oracle against which it is judged: one product for each i
    def definition(latent, weight, target):
        eye = torch.eye(weight.shape[1])
        return nested_loss_definition(weight, eye, latent.T, target.T)

    ten, forty = (
        operations(definition, 100, 100, p) / operations(plain, 100, 100, p) for p in (10, 40)
    )
    assert forty > 3 * ten > 9
