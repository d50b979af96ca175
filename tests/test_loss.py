"""The nested loss: definition = Lemma 1 = autograd = finite differences; its critical points."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import F64, PROBLEMS, Problem
from strategies import data_matrices, seeds, widths

from streampca.loss import (
    best_encoder,
    gradient_decoder,
    gradient_encoder,
    gradients_from_products,
    mse_loss,
    mse_loss_rows,
    nested_counts,
    nested_gradients,
    nested_loss,
    nested_loss_definition,
    nested_loss_from_products,
    nested_loss_rows,
    nested_weights,
    optimal_pair,
    optimum_loss,
    target_covariance,
)

problems = pytest.mark.parametrize("problem", [Problem(n, k, p=p) for n, k, p in PROBLEMS])


@problems
def test_definition_equals_lemma_1(problem):
    by_definition = nested_loss_definition(problem.A, problem.B, problem.X, problem.Y)
    torch.testing.assert_close(nested_loss(problem.A, problem.B, *problem.moments), by_definition)
    by_rows = nested_loss_rows(problem.A, problem.B, problem.X, problem.Y)
    torch.testing.assert_close(by_rows, by_definition)


@problems
def test_mse_equals_its_definition(problem):
    target = problem.X if problem.Y is None else problem.Y
    expected = (target - problem.A @ problem.B @ problem.X).square().sum()
    torch.testing.assert_close(mse_loss(problem.A, problem.B, *problem.moments), expected)
    by_rows = mse_loss_rows(problem.A, problem.B, problem.X, problem.Y)
    torch.testing.assert_close(by_rows, expected)


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


@problems
def test_autograd_passes_gradcheck_through_lemma_1(problem):
    A, B = problem.A.clone().requires_grad_(), problem.B.clone().requires_grad_()
    X = problem.X / problem.X.norm()
    Y = None if problem.Y is None else problem.Y / problem.Y.norm()
    assert torch.autograd.gradcheck(lambda A, B: nested_loss_rows(A, B, X, Y), (A, B))


@problems
def test_gradients_from_rows_by_thin_products_alone(problem):
    target = problem.X if problem.Y is None else problem.Y
    A, B = problem.A, problem.B
    H = B @ problem.X
    found = gradients_from_products(
        A, B, target @ H.T, (A.T @ target) @ problem.X.T, H @ problem.X.T
    )
    torch.testing.assert_close(found[0], gradient_decoder(A, B, *problem.cross))
    torch.testing.assert_close(found[1], gradient_encoder(A, B, *problem.cross))


@settings(max_examples=30)
@given(widths=widths(), seed=seeds)
def test_thin_products_give_the_same_loss_and_gradients(widths, seed):
    n, p = widths
    problem = Problem(n, p=p, seed=seed)
    SA, SBt = problem.Sxx @ problem.A, problem.Sxx @ problem.B.T
    dA, dB = nested_gradients(problem.A, problem.B, SA, SBt)
    torch.testing.assert_close(dA, gradient_decoder(problem.A, problem.B, problem.Sxx))
    torch.testing.assert_close(dB, gradient_encoder(problem.A, problem.B, problem.Sxx))
    torch.testing.assert_close(
        nested_loss_from_products(problem.A, problem.B, SA, SBt, problem.Sxx.trace()),
        nested_loss(problem.A, problem.B, problem.Sxx),
    )


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
def test_first_order_functions_stay_on_their_device_and_dtype(device, dtype):
    # "meta" tensors hold no values: whatever was made on the host instead would not fit them
    A, B = (
        torch.zeros(6, 3, device=device, dtype=dtype),
        torch.zeros(3, 6, device=device, dtype=dtype),
    )
    loss = nested_loss_from_products(A, B, A, B.T, 1.0)
    for value in (*nested_gradients(A, B, A, B.T), loss, nested_loss_rows(A, B, A)):
        assert value.device.type == device
        assert value.dtype == dtype


def test_float32_agrees_with_float64_to_its_rounding():
    problem = Problem(7, p=3)
    A, B, S = problem.A, problem.B, problem.Sxx / problem.Sxx.trace()
    exact = nested_gradients(A, B, S @ A, S @ B.T)
    short = nested_gradients(*(x.float() for x in (A, B, S @ A, S @ B.T)))
    for a, b in zip(exact, short, strict=True):
        assert (a - b).norm() < 1e-6 * a.norm()


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


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_best_encoder_does_not_care_how_long_the_columns_are(dtype):
    # a rank cut on S o (A'A) would take the short columns for zeros and lose them silently
    problem = Problem(6, p=4)
    U, _ = optimal_pair(4, problem.Sxx)
    D = torch.tensor([1e-9, 1.0, -1e6, 1e-3], dtype=F64)
    expected = U.T / D[:, None]
    relative = (best_encoder((U * D).to(dtype)).to(F64) - expected) * D[:, None]
    assert relative.abs().max() < 50 * torch.finfo(dtype).eps


def test_best_encoder_of_parallel_columns_is_still_unique():
    problem = Problem(6, p=4)
    A = problem.A[:, :1] * torch.tensor([1.0, -2.0, 3.0, 1e-8], dtype=F64)
    B = best_encoder(A)
    lengths = A.norm(dim=0)
    gradient = gradient_encoder(A / lengths, B * lengths[:, None], problem.Sxx)
    assert gradient.norm() < 1e-12 * problem.Sxx.norm()


def test_optimum_does_not_depend_on_the_units_of_the_inputs():
    problem = Problem(4, 6, p=3)
    units = torch.tensor([1e-9, 1.0, 1e3, 1e9, 1e-4, 1.0], dtype=F64)
    Sxx, Syx, total = problem.moments
    scaled = (Sxx * units[:, None] * units, Syx * units, total)
    best = optimum_loss(3, *problem.moments)
    torch.testing.assert_close(optimum_loss(3, *scaled), best)
    A, B = optimal_pair(3, *scaled[:2])
    torch.testing.assert_close(nested_loss(A, B, *scaled), best)
    torch.testing.assert_close(nested_loss(A, best_encoder(A, *scaled[:2]), *scaled), best)


EPS = torch.finfo(F64).eps


def _condition(S):
    """Condition of the correlations, of directions that are more than rounding."""
    scale = S.diagonal().sqrt()
    correlation = S / torch.where(scale > 0, scale, 1.0).outer(torch.where(scale > 0, scale, 1.0))
    values = torch.linalg.eigvalsh(correlation)
    return values[-1] / values[values > (len(S) + 100) * EPS * values[-1]][0]


@settings(max_examples=50)
@given(rows=data_matrices(), seed=seeds, share=st.floats(0, 1))
def test_no_model_beats_the_optimum_of_any_rows(rows, seed, share):
    X = torch.from_numpy(rows).T
    n = len(X)
    p = max(1, round(share * n))
    Sxx = X @ X.T
    Y = torch.randn(3, n, generator=torch.Generator().manual_seed(seed), dtype=F64) @ X
    moments = (Sxx, Y @ X.T, Y.square().sum())
    for k, args, cross, target in (
        (p, (Sxx,), (), X),
        (min(p, 3), moments, moments[:2], Y),
    ):
        A, B = optimal_pair(k, *args[:2])
        best = optimum_loss(k, *args)
        # Sxx^-1 carries the rounding of Sxx times its condition, where Y is not X itself
        condition = _condition(Sxx) if cross else 1.0
        rounding = (1e-11 + n * EPS * condition) * k * target.square().sum()
        # the definition on the rows themselves, which knows nothing of moments
        assert (nested_loss_definition(A, B, X, target) - best).abs() <= rounding
        noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        turned = A + 0.1 * noise
        found = nested_loss_definition(turned, best_encoder(turned, *cross), X, target)
        assert found >= best - rounding


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


def test_latent_moments_are_diagonal_at_critical_points():
    # Corollary 1: B Sxx B' is diagonal where no column is zero, for Y != X too
    problem = Problem(6, 9, p=4)
    _, B = optimal_pair(4, *problem.cross)
    latent = B @ problem.Sxx @ B.T
    off = latent - latent.diagonal().diag()
    assert off.norm() < 1e-10 * latent.norm()
    B = best_encoder(problem.A, *problem.cross)  # dL/dB = 0 alone is not enough
    latent = B @ problem.Sxx @ B.T
    assert (latent - latent.diagonal().diag()).norm() > 1e-3 * latent.norm()


def test_what_is_missing_is_named():
    problem = Problem(4, 6, p=3)
    A, B, (Sxx, Syx, total) = problem.A, problem.B, problem.moments
    for loss in (nested_loss, mse_loss):
        with pytest.raises(ValueError, match="trace_Syy is missing"):
            loss(A, B, Sxx, Syx)
        with pytest.raises(ValueError, match="Syx is missing"):
            loss(A, B, Sxx, trace_Syy=total)
    with pytest.raises(ValueError, match="trace_Syy is missing"):
        optimum_loss(3, Sxx, Syx)
    with pytest.raises(ValueError, match="Sxx is missing"):
        best_encoder(A, Syx=Syx)
    for p in (0, 5):
        with pytest.raises(ValueError, match=f"p = {p} components of 4 features"):
            optimal_pair(p, Sxx, Syx)


def test_weights_and_counts():
    like = torch.zeros((), dtype=F64)
    assert nested_weights(3, like).tolist() == [3, 2, 1]
    expected = [[3, 2, 1], [2, 2, 1], [1, 1, 1]]  # p - max(i, j) + 1
    assert nested_counts(3, like).tolist() == expected


@pytest.mark.parametrize(("n", "n_in", "p"), PROBLEMS)
def test_arrays_of_numpy_give_what_tensors_give(n, n_in, p):
    problem = Problem(n, n_in, p=p)
    A, B, moments = problem.A, problem.B, problem.moments
    calls = [
        (nested_loss, (A, B, *moments)),
        (nested_loss_definition, (A, B, problem.X, problem.Y)),
        (nested_loss_rows, (A, B, problem.X, problem.Y)),
        (mse_loss, (A, B, *moments)),
        (gradient_decoder, (A, B, *problem.cross)),
        (gradient_encoder, (A, B, *problem.cross)),
        (best_encoder, (A, *problem.cross)),
        (optimum_loss, (p, *moments)),
    ]
    for function, tensors in calls:
        arrays = [v.numpy() if isinstance(v, torch.Tensor) else v for v in tensors]
        found = function(*arrays)
        assert isinstance(found, np.ndarray | np.floating)
        np.testing.assert_allclose(found, function(*tensors).numpy(), rtol=1e-9, atol=1e-9)
