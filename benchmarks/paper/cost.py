"""One forward and backward of the nested loss costs what one of the mean squared error does.

The price does not depend on p beyond the price of the MSE itself (Remarks 4 and 8): the loss by
its definition, one product for each i, stands beside it.

    python -m benchmarks.paper.cost
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from streampca.layer import nested_mse_loss

SHAPES = [(256, 784, 10), (256, 784, 100), (1000, 784, 32), (1000, 1000, 100), (4000, 256, 64)]
"""Rows m, width n, components p."""


def mse(latent: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return torch.nn.functional.mse_loss(latent @ weight.T, target)


def definition(latent: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    cuts = range(1, weight.shape[1] + 1)
    return torch.stack(
        [torch.nn.functional.mse_loss(latent[:, :i] @ weight[:, :i].T, target) for i in cuts]
    ).sum()


def seconds(loss: Callable[..., Tensor], m: int, n: int, p: int, repeats: int) -> list[float]:
    """Times of forward and backward through a linear encoder, after one that is not counted."""
    draws = torch.Generator().manual_seed(0)
    X = torch.randn(m, n, generator=draws)
    encoder = torch.randn(p, n, generator=draws, requires_grad=True)
    decoder = torch.randn(n, p, generator=draws, requires_grad=True)
    taken = []
    for _ in range(repeats + 1):
        encoder.grad = decoder.grad = None
        start = time.perf_counter()
        loss(X @ encoder.T, decoder, X).backward()
        taken.append(time.perf_counter() - start)
    return taken[1:]


def ratios(repeats: int = 15, rounds: int = 5) -> list[tuple[float, float, float, float]]:
    """For each shape: ms of the MSE and of the nested loss, their ratio, that of the definition.

    The two take turns, and each counts by its fastest time, which other work on the machine
    disturbs least.
    """
    rows = []
    for m, n, p in SHAPES:
        plain, nested = [], []
        for _ in range(rounds):
            plain += seconds(mse, m, n, p, repeats)
            nested += seconds(nested_mse_loss, m, n, p, repeats)
        a, b = min(plain), min(nested)
        c = min(seconds(definition, m, n, p, 3))
        rows.append((1e3 * a, 1e3 * b, b / a, c / a))
    return rows


def main() -> None:
    # one thread: two that wait for each other on a busy machine measure the machine
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread, float32, fastest times")
    print("|     m |    n |   p | MSE, ms | nested, ms | nested / MSE | definition / MSE |")
    print("|------:|-----:|----:|--------:|-----------:|-------------:|-----------------:|")
    found = ratios()
    for (m, n, p), (a, b, ratio, sums) in zip(SHAPES, found, strict=True):
        print(f"| {m:5} | {n:4} | {p:3} | {a:7.2f} | {b:10.2f} | {ratio:12.2f} | {sums:16.1f} |")
    print(f"largest nested / MSE: {np.max([r for _, _, r, _ in found]):.2f}")


if __name__ == "__main__":
    main()
