"""The paper's own method: A and B descend the nested loss by a torch optimizer.

Gradients are the closed forms of Propositions 1 and 2 and need Sigma only through two thin
products, so any moments will do: of the last minibatch (stochastic gradient descent, as in the
paper) or of the complete stream. torch is the optimizer here, not the array library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import (
    Array,
    is_tensor,
    need_torch,
    one_torch_thread,
    to_device,
    to_numpy,
    torch,
)
from streampca.loss import nested_gradients, nested_loss_from_products
from streampca.moments import Moments

need_torch("solver='first_order'")

MakeOptimizer: TypeAlias = "Callable[[list[torch.nn.Parameter]], Any]"
"""Called with [A, B]; returns an optimizer, or an optimizer and a scheduler."""

_NUDGE = 1e-3
"""Length given to a column of A that has become zero: Remark 3, it would never move again."""


class Reading(NamedTuple):
    """The decoder and encoder with what they say about Sigma; all on the host, float64."""

    directions: NDArray[np.float64]  # (n, p) columns of A, scaled to length 1
    eigenvalues: NDArray[np.float64]  # (p,) variance along each
    residuals: NDArray[np.float64]  # (p,) ||Sigma a - lambda a|| / lambda_1
    decoder: NDArray[Any]  # (n, p)
    encoder: NDArray[Any]  # (p, n)
    loss: float


class StepInfo(NamedTuple):
    """What a step saw, before it moved."""

    loss: torch.Tensor  # () L / total variance; a tensor, so that a device is not waited for


def adam(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The default optimizer: Adam at the paper's first learning rate."""
    return torch.optim.Adam(parameters, lr=1e-3)


def random_orthonormal(
    n_rows: int, n_columns: int, *, dtype: str, device: str | None, seed: int | None
) -> torch.Tensor:
    """Orthonormal columns to start from; drawn on the host, so the same wherever they go."""
    draws = torch.Generator().manual_seed(0 if seed is None else int(seed))
    start = torch.randn(n_rows, n_columns, generator=draws, dtype=torch.float64)
    columns: torch.Tensor = torch.linalg.qr(start).Q
    return columns.to(device or "cpu", getattr(torch, dtype))


class FirstOrder:
    """A, B and a torch optimizer that moves both.

    Parameters
    ----------
    n_features, n_components : int
        n and p.
    optimizer : callable, optional
        Called with [A, B]; returns an optimizer, or an optimizer and a scheduler.
    dtype, device, seed
        Type and place of A and B, and the seed of their random orthonormal start (B = A').
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        optimizer: MakeOptimizer | None = None,
        dtype: str = "float32",
        device: str | None = None,
        seed: int | None = None,
    ) -> None:
        start = random_orthonormal(n_features, n_components, dtype=dtype, device=device, seed=seed)
        self._begin(start, start.T, optimizer)

    def _begin(self, A: torch.Tensor, B: torch.Tensor, optimizer: MakeOptimizer | None) -> None:
        self.A = torch.nn.Parameter(A.clone())
        self.B = torch.nn.Parameter(B.clone())
        self._nudge = A * _NUDGE
        made = (optimizer or adam)([self.A, self.B])
        self.optimizer, self.scheduler = made if isinstance(made, tuple) else (made, None)
        self.n_steps = 0

    def step(self, moments: Moments) -> StepInfo:
        """One optimizer step on Sigma / trace(Sigma)."""
        with one_torch_thread(self.A.numel()):
            return self._stepped(moments)

    @torch.no_grad()
    def _stepped(self, moments: Moments) -> StepInfo:
        loss, self.A.grad, self.B.grad = self._descent(moments)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        lengths = self.A.square().sum(dim=0)
        self.A.add_(torch.where(lengths < _NUDGE**4, self._nudge, torch.zeros_like(self._nudge)))
        self.n_steps += 1
        return StepInfo(loss)

    def _descent(self, moments: Moments) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """L, dL/dA and dL/dB of what is remembered."""
        SA, SBt = self._products(moments, _per_total(moments))
        loss = nested_loss_from_products(self.A, self.B, SA, SBt, 1.0)
        return loss, *nested_gradients(self.A, self.B, SA, SBt)

    def _products(self, moments: Moments, scale: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Sigma A and Sigma B', both (n, p), times a scale."""
        both = torch.cat([self.A.detach(), self.B.detach().T], dim=1)  # (n, 2 p)
        product = moments @ to_device(both, moments.device)
        product = to_device(product, str(both.device)).to(both.dtype) * scale
        p = self.A.shape[1]
        return product[:, :p], product[:, p:]

    def read(self, moments: Moments) -> Reading:
        """A and B as they stand, with variances along A's columns, in float64 on the host."""
        with one_torch_thread(self.A.numel()):
            return self._read(moments)

    @torch.no_grad()
    def _read(self, moments: Moments) -> Reading:
        SA, SBt = (to_numpy(x).astype("float64") for x in self._products(moments, 1.0))
        A, B = to_numpy(self.A).astype("float64"), to_numpy(self.B).astype("float64")
        total = moments.total_variance
        tA, tB, tSA, tSBt = (torch.from_numpy(np.ascontiguousarray(x)) for x in (A, B, SA, SBt))
        loss = nested_loss_from_products(tA, tB, tSA, tSBt, total)
        lengths = np.linalg.norm(A, axis=0)
        safe = np.where(lengths > 0, lengths, 1.0)
        A, SA = A / safe, SA / safe
        eigenvalues = (A * SA).sum(axis=0)
        largest = max(float(eigenvalues.max()), np.finfo(float).tiny)
        residuals = np.linalg.norm(SA - A * eigenvalues, axis=0) / largest
        return Reading(
            A, eigenvalues, residuals, to_numpy(self.A).copy(), to_numpy(self.B).copy(), float(loss)
        )

    # --- state ---------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """A, B and the optimizer's own memory, as numpy arrays."""
        arrays = {"A": self.A, "B": self.B, "n_steps": np.int64(self.n_steps)}
        for index, held in self.optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer.{index}.{k}": v for k, v in held.items() if v is not None}
        for index, group in enumerate(self.optimizer.param_groups):
            arrays[f"rate.{index}"] = np.float64(group["lr"])
        return {name: np.array(to_numpy(_detached(value))) for name, value in arrays.items()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state()`; the optimizer must be of the same type.

        Raises
        ------
        ValueError
            If an array is missing or has another shape.
        """
        with torch.no_grad():
            for name, parameter in (("A", self.A), ("B", self.B)):
                if name not in state or state[name].shape != tuple(parameter.shape):
                    raise ValueError(
                        f"the first-order state has no {name} of shape {tuple(parameter.shape)}"
                    )
                parameter.copy_(torch.from_numpy(np.array(state[name])))
        self.n_steps = int(state["n_steps"])
        whole = self.optimizer.state_dict()
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, place, key = name.split(".", 2)
                whole["state"].setdefault(int(place), {})[key] = torch.from_numpy(np.array(value))
        for index, group in enumerate(whole["param_groups"]):
            group["lr"] = float(state[f"rate.{index}"])
        self.optimizer.load_state_dict(whole)
        if self.scheduler is not None:
            self.scheduler.last_epoch = self.n_steps


def _per_total(moments: Moments) -> Array:
    """1 / trace(Sigma); a tensor on a device, so that it is not waited for."""
    if moments.device is None:
        return 1.0 / (moments.total_variance or 1.0)
    total = moments._scatter_diagonal.sum() / moments.denominator
    return 1.0 / torch.where(total > 0, total, torch.ones_like(total))


def _detached(value: Any) -> Any:
    return value.detach() if is_tensor(value) else value
