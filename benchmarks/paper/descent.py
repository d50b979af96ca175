"""Adam on the nested loss or on the MSE, full batch or in minibatches, as the paper ran it.

The gradients are those of streampca.loss; a history of decoders is left to a callback, so that
nothing here knows what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from streampca.loss import nested_gradients, nested_loss_from_products

Gradients = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class State(NamedTuple):
    """Where a run stands."""

    iteration: int
    A: Tensor  # (n, p)
    B: Tensor  # (p, n)


def mse_gradients(A: Tensor, B: Tensor, SA: Tensor, SBt: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the mean squared error: those of L with all of S and T equal to one."""
    return -2 * (SBt - A @ (B @ SBt)), -2 * (SA.T - (A.T @ A) @ SBt.T)


GRADIENTS: dict[str, Gradients] = {"nested": nested_gradients, "mse": mse_gradients}


def losses(A: Tensor, B: Tensor, S: Tensor) -> tuple[float, float]:
    """The nested loss and the MSE, each per unit of total variance, in float64."""
    A, B, S = A.double(), B.double(), S.double()
    SA, SBt, total = S @ A, S @ B.T, S.trace()
    nested = nested_loss_from_products(A, B, SA, SBt, total)
    mse = total - 2 * (SA * B.T).sum() + ((A.T @ A) * (B @ SBt)).sum()
    return float(nested / total), float(mse / total)


def full_batch(S: Tensor) -> Callable[[Tensor], Tensor]:
    """The product with the covariance of all rows."""
    return lambda V: S @ V


def minibatches(X: Tensor, size: int, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """The product with the covariance of the next minibatch; rows are shuffled every epoch."""
    draws = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(X), generator=draws)
    start = 0

    def product(V: Tensor) -> Tensor:
        nonlocal order, start
        if start + size > len(X):
            order, start = torch.randperm(len(X), generator=draws), 0
        rows = X[order[start : start + size]]
        start += size
        return rows.T @ (rows @ V) / size

    return product


def adam(
    product: Callable[[Tensor], Tensor],
    n: int,
    p: int,
    loss: str,
    *,
    iterations: int,
    rates: tuple[float, float] = (1e-3, 1e-6),
    initial_sd: float = 1e-7,
    seed: int = 0,
    every: int = 500,
    report: Callable[[State], None],
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
) -> State:
    """Descend with a rate that falls geometrically from the first of `rates` to the second.

    `report` is called at the start, at every `every`-th iteration and at the end. The product is
    with Sigma over its trace or any other scale: Adam does not see it.
    """
    draws = torch.Generator().manual_seed(seed)
    A = torch.nn.Parameter(initial_sd * torch.randn(n, p, generator=draws))
    B = torch.nn.Parameter(initial_sd * torch.randn(p, n, generator=draws))
    descent = optimizer([A, B], lr=rates[0])
    fall = (rates[1] / rates[0]) ** (1 / iterations)
    schedule = torch.optim.lr_scheduler.ExponentialLR(descent, fall)
    gradients = GRADIENTS[loss]
    with torch.no_grad():
        for iteration in range(iterations):
            if iteration % every == 0:
                report(State(iteration, A, B))
            both = product(torch.cat([A, B.T], dim=1))  # one pass over the rows for both
            A.grad, B.grad = gradients(A, B, both[:, :p], both[:, p:])
            descent.step()
            schedule.step()
        last = State(iterations, A.detach(), B.detach())
        report(last)
    return last
