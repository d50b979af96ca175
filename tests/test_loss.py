"""The nested loss: definition = Lemma 1 = autograd = finite differences; its critical points."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.loss import (
    best_encoder,
    gradient_decoder,
    gradient_encoder,
    mse_loss,
    nested_counts,
    nested_gradients,
    nested_loss,
    nested_loss_definition,
    nested_loss_from_products,
    nested_weights,
    optimal_pair,
    optimum_loss,
    target_covariance,
)

F64 = torch.float64


class Problem:
    """Rows with distinct eigenvalues; Y = X, or Y of another width that X partly explains."""

    def __init__(self, n=7, n_in=None, m=40, p=3, seed=0):
        draws = torch.Generator().manual_seed(seed)

        def rand(*shape):
            return torch.randn(*shape, generator=draws, dtype=F64)

        self.p, self.n, self.n_in = p, n, n_in or n
        self.X = rand(self.n_in, m) * torch.arange(1, self.n_in + 1)[:, None]
        self.Y = None
        self.Sxx = self.X @ self.X.T
        self.moments = (self.Sxx,)
        if n_in is not None:
            self.Y = rand(n, n_in) @ self.X + rand(n, m)
            self.moments = (self.Sxx, self.Y @ self.X.T, (self.Y @ self.Y.T).trace())
        self.A, self.B = rand(n, p), rand(p, self.n_in)

    @property
    def cross(self):
        return self.moments[:2]


PROBLEMS = [(7, None, 3), (7, None, 7), (1, None, 1), (6, 9, 4), (9, 6, 4), (5, 5, 5)]
problems = pytest.mark.parametrize("problem", [Problem(n, k, p=p) for n, k, p in PROBLEMS])


@problems
def test_definition_equals_lemma_1(problem):
    by_definition = nested_loss_definition(problem.A, problem.B, problem.X, problem.Y)
    torch.testing.assert_close(nested_loss(problem.A, problem.B, *problem.moments), by_definition)


@problems
def test_mse_equals_its_definition(problem):
    target = problem.X if problem.Y is None else problem.Y
    expected = (target - problem.A @ problem.B @ problem.X).square().sum()
    torch.testing.assert_close(mse_loss(problem.A, problem.B, *problem.moments), expected)


@problems
def test_gradients_equal_autograd_of_the_definition(problem):
    A, B = problem.A.clone().requires_grad_(), problem.B.clone().requires_grad_()
    nested_loss_definition(A, B, problem.X, problem.Y).backward()
    torch.testing.assert_close(gradient_decoder(problem.A, problem.B, *problem.cross), A.grad)
    torch.testing.assert_close(gradient_encoder(problem.A, problem.B, *problem.cross), B.grad)


@problems
def test_gradients_equal_finite_differences(problem):
    dA = gradient_decoder(problem.A, problem.B, *problem.cross)
    dB = gradient_encoder(problem.A, problem.B, *problem.cross)
    step = 1e-5
    draws = torch.Generator().manual_seed(1)
    toA = torch.randn(problem.A.shape, generator=draws, dtype=F64)
    toB = torch.randn(problem.B.shape, generator=draws, dtype=F64)

    def loss(t):
        return nested_loss(problem.A + t * toA, problem.B + t * toB, *problem.moments)

    slope = (loss(step) - loss(-step)) / (2 * step)
    expected = (dA * toA).sum() + (dB * toB).sum()
    # central differences of a quartic: error step**2, against values of 1e4 and more
    torch.testing.assert_close(slope, expected, rtol=1e-6, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 12), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_thin_products_give_the_same_loss_and_gradients(n, share, seed):
    p = max(1, round(share * n))
    problem = Problem(n, p=p, seed=seed)
    SA, SBt = problem.Sxx @ problem.A, problem.Sxx @ problem.B.T
    dA, dB = nested_gradients(problem.A, problem.B, SA, SBt)
    torch.testing.assert_close(dA, gradient_decoder(problem.A, problem.B, problem.Sxx))
    torch.testing.assert_close(dB, gradient_encoder(problem.A, problem.B, problem.Sxx))
    torch.testing.assert_close(
        nested_loss_from_products(problem.A, problem.B, SA, SBt, problem.Sxx.trace()),
        nested_loss(problem.A, problem.B, problem.Sxx),
    )


@problems
def test_best_encoder_is_the_minimum_for_its_decoder(problem):
    full = (None, None) if problem.Y is None else problem.cross
    B = best_encoder(problem.A, *full)
    gradient = gradient_encoder(problem.A, B, *problem.cross)
    scale = gradient_encoder(problem.A, problem.B, *problem.cross).norm()
    assert gradient.norm() <= 1e-9 * scale
    nearby = nested_loss(problem.A, B + 1e-3 * problem.B, *problem.moments)
    assert nested_loss(problem.A, B, *problem.moments) < nearby


def test_best_encoder_ignores_zero_columns():
    problem = Problem(6, p=3)
    A = problem.A.clone()
    A[:, 1] = 0
    B = best_encoder(A)
    assert (B[1].abs() < 1e-12).all()
    assert gradient_encoder(A, B, problem.Sxx).norm() < 1e-8 * problem.Sxx.norm()


@problems
def test_optimum_of_theorem_1(problem):
    A, B = optimal_pair(problem.p, *problem.cross)
    best = optimum_loss(problem.p, *problem.moments)
    torch.testing.assert_close(nested_loss(A, B, *problem.moments), best)
    # A = U D, B = D^-1 U' ... for any nonsingular diagonal D
    D = torch.linspace(-2, 3, problem.p, dtype=F64) + 0.1
    torch.testing.assert_close(nested_loss(A * D, B / D[:, None], *problem.moments), best)
    assert nested_loss(problem.A, problem.B, *problem.moments) > best
    scale = problem.Sxx.norm() * (1 + A.norm())
    assert gradient_decoder(A, B, *problem.cross).norm() < 1e-10 * scale
    assert gradient_encoder(A, B, *problem.cross).norm() < 1e-10 * scale


@problems
def test_cutting_the_optimum_gives_the_best_model_of_every_rank(problem):
    A, B = optimal_pair(problem.p, *problem.cross)
    values = torch.linalg.eigvalsh(target_covariance(*problem.cross)).flip(0)
    total = problem.Sxx.trace() if problem.Y is None else problem.moments[2]
    for k in range(1, problem.p + 1):
        cut = mse_loss(A[:, :k], B[:k], *problem.moments)
        torch.testing.assert_close(cut, total - values[:k].sum(), atol=1e-8, rtol=1e-9)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 4, 2), (5, 3, 1)])
def test_eigenvectors_in_another_order_are_critical_for_both_losses_but_not_minima(order):
    # Theorem 2: critical points of L are critical for MSE; Corollary 1: B Sxx B' is diagonal there
    problem = Problem(6, p=3)
    U = torch.linalg.eigh(problem.Sxx).eigenvectors.flip(1)[:, list(order)]
    scale = problem.Sxx.norm()
    assert gradient_decoder(U, U.T, problem.Sxx).norm() < 1e-10 * scale
    assert gradient_encoder(U, U.T, problem.Sxx).norm() < 1e-10 * scale
    latent = U.T @ problem.Sxx @ U
    assert (latent - latent.diagonal().diag()).norm() < 1e-10 * scale
    A, B = U.clone().requires_grad_(), U.T.clone().requires_grad_()
    mse_loss(A, B, problem.Sxx).backward()
    assert max(A.grad.norm(), B.grad.norm()) < 1e-10 * scale
    best = optimum_loss(3, problem.Sxx)
    assert nested_loss(U, U.T, problem.Sxx) > best + 1e-6 * scale


def test_mse_does_not_see_the_rotation_that_the_nested_loss_sees():
    problem = Problem(6, p=3)
    A, B = optimal_pair(3, problem.Sxx)
    turn = torch.linalg.qr(
        torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    ).Q
    turned = A @ turn, turn.T @ B
    torch.testing.assert_close(mse_loss(*turned, problem.Sxx), mse_loss(A, B, problem.Sxx))
    assert nested_loss(*turned, problem.Sxx) > optimum_loss(3, problem.Sxx) * (1 + 1e-6)


def test_weights_and_counts():
    like = torch.zeros((), dtype=F64)
    assert nested_weights(3, like).tolist() == [3, 2, 1]
    expected = [[3, 2, 1], [2, 2, 1], [1, 1, 1]]  # p - max(i, j) + 1
    assert nested_counts(3, like).tolist() == expected
