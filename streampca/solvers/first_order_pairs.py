"""The paper's method for Y != X: A and B descend the nested loss, and Sxx^-1 is never formed.

Moments are those of the stacked rows [x, y]; three thin products with them give the gradients of
Propositions 1 and 2, so any kind that can multiply will do.
"""

from __future__ import annotations

import numpy as np

from streampca.arrays import to_device, to_numpy, torch
from streampca.loss import gradients_from_products, nested_loss_from_products
from streampca.moments import Moments
from streampca.solvers.first_order import FirstOrder, MakeOptimizer
from streampca.solvers.reduced_rank import Float64, Pairs


class FirstOrderPairs(FirstOrder):
    """A (n, p), B (p, n') and a torch optimizer that moves both.

    Inputs and targets are scaled to unit total variance, so that a learning rate does not depend
    on their units.

    Parameters
    ----------
    n_features, n_targets, n_components : int
        n', n and p.
    optimizer, dtype, device, seed
        As for `FirstOrder`.
    """

    def __init__(
        self,
        n_features: int,
        n_targets: int,
        n_components: int,
        *,
        optimizer: MakeOptimizer | None = None,
        dtype: str = "float32",
        device: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.n_features = n_features
        draws = torch.Generator().manual_seed(0 if seed is None else int(seed))
        rows = max(n_features, n_targets)
        start = torch.randn(rows, n_components, generator=draws, dtype=torch.float64)
        start = torch.linalg.qr(start).Q.to(device or "cpu", getattr(torch, dtype))
        self._begin(start[:n_targets], start[:n_features].T, optimizer)

    def _descent(self, moments: Moments) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x, y = self._units(moments)
        SxxBt, SyxBt, SxyA = self._cross_products(moments)
        SxxBt, SyxBt, SxyA = SxxBt / x**2, SyxBt / (x * y), SxyA / (x * y)
        # tr(A T B Sxy) reads off Sxy A as it does off Sigma A where Y = X
        loss = nested_loss_from_products(self.A, self.B, SxyA, SxxBt, 1.0)
        return loss, *gradients_from_products(self.A, self.B, SyxBt, SxyA.T, SxxBt.T)

    def _units(self, moments: Moments) -> tuple[float, float]:
        """Roots of the total variances of the inputs and of the targets; 1 where there is none."""
        variance = moments.variance
        x, y = variance[: self.n_features].sum(), variance[self.n_features :].sum()
        return float(np.sqrt(x)) or 1.0, float(np.sqrt(y)) or 1.0

    def _cross_products(self, moments: Moments) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sxx B' (n', p), Syx B' (n, p) and Sxy A (n', p)."""
        k, p = self.n_features, self.A.shape[1]
        A, B = self.A.detach(), self.B.detach()
        both = torch.zeros(k + len(A), 2 * p, dtype=A.dtype, device=A.device)
        both[:k, :p], both[k:, p:] = B.T, A  # (n' + n, 2 p)
        product = moments @ to_device(both, moments.device)
        product = to_device(product, str(both.device)).to(both.dtype)
        return product[:k, :p], product[k:, :p], product[:k, p:]

    @torch.no_grad()
    def loss(self, moments: Moments) -> float:
        """L of A and B as they stand, in the units of the targets' variance."""
        return float(self._descent(moments)[0]) * self._units(moments)[1] ** 2

    @torch.no_grad()
    def read_pairs(self, moments: Moments) -> Pairs:
        """A and B as they stand, in the units of the rows.

        Singular values are the roots of the variances that each pair fits: those of Sigma at the
        minimum, where the columns of A are orthogonal.
        """
        x, y = self._units(moments)
        A: Float64 = to_numpy(self.A).astype("float64")
        B: Float64 = to_numpy(self.B).astype("float64") * (y / x)
        SxxBt = to_numpy(self._cross_products(moments)[0]).astype("float64") * (y / x)  # (n', p)
        latent = np.einsum("ij,ji->i", B, SxxBt)  # (p,) variance of each coordinate
        fitted = np.sqrt((A * A).sum(axis=0) * np.clip(latent, 0.0, None))
        return Pairs(A, B, fitted, self.n_features)
