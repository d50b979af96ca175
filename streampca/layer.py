"""The nested loss and a linear autoencoder as torch modules, to train inside larger networks.

Rows first, as everywhere in torch: latent (m, p), target (m, n), decoder weight (n, p). The loss
knows nothing of where the latent comes from: a linear encoder gives the paper's autoencoder, any
other network gives it an ordered bottleneck.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streampca.arrays import need_torch, torch
from streampca.loss import nested_counts, nested_weights

if TYPE_CHECKING:
    from torch import Tensor, nn
else:
    need_torch("a torch module (streampca.layer)")
    Tensor, nn = torch.Tensor, torch.nn


def nested_mse_loss(
    latent: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Sum over i of the squared error of the model cut to its first i latent coordinates (Eq. 4).

    Differentiable in all four tensors with the closed-form gradients of Propositions 1 and 2, at
    the price of the mean squared error whatever the number of latent coordinates. A minimum over
    the decoder and a linear layer before it has the coordinates in order (Theorem 1).

    Parameters
    ----------
    latent : Tensor of shape (..., p)
        Coordinates h of each row.
    weight : Tensor of shape (n, p)
        Decoder A, as `torch.nn.Linear(p, n).weight`.
    target : Tensor of shape (..., n)
        What A h + bias should be.
    bias : Tensor of shape (n,), optional
        Added to every cut of the model.
    reduction : {"mean", "sum"}, default="mean"
        "mean" divides by the number of entries of the target, as `torch.nn.MSELoss` does; the sum
        over i stays a sum.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or the reduction is another.

    Notes
    -----
    By Lemma 1, which takes the difference of numbers of the size of p ||target||^2: where the fit
    is nearly perfect, single precision sees the loss to 1e-7 of that.

    Examples
    --------
    >>> import torch
    >>> target = torch.eye(2)
    >>> float(nested_mse_loss(target, torch.eye(2), target, reduction="sum"))  # cut to 1: 1 is left
    1.0
    """
    p, n = latent.shape[-1], target.shape[-1]
    if weight.shape != (n, p) or latent.shape[:-1] != target.shape[:-1]:
        raise ValueError(
            f"latent {tuple(latent.shape)}, weight {tuple(weight.shape)} and target "
            f"{tuple(target.shape)} do not fit: they must be (..., p), (n, p) and (..., n)"
        )
    if bias is not None and bias.shape != (n,):
        raise ValueError(f"bias has shape {tuple(bias.shape)}: it must be ({n},)")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r} is not accepted: use 'mean' or 'sum'")
    scale = 1.0 / max(target.numel(), 1) if reduction == "mean" else 1.0
    loss: Tensor = _NestedLoss.apply(  # type: ignore[no-untyped-call]
        latent.reshape(-1, p), weight, target.reshape(-1, n), bias, scale
    )
    return loss


class _NestedLoss(torch.autograd.Function):
    """L by Lemma 1 with its gradients; rows first, so Y H' of the paper is Y' H here."""

    @staticmethod
    def forward(
        ctx: Any, H: Tensor, A: Tensor, Y: Tensor, bias: Tensor | None, scale: float
    ) -> Tensor:
        p = A.shape[1]
        D, DtH, SHtH, AtA, SAtA = _NestedLoss.products(H, A, Y, bias)
        ctx.scale = scale
        ctx.save_for_backward(H, A, Y, bias, D, DtH, SHtH, SAtA)
        linear = (nested_weights(p, A) * torch.linalg.vecdot(DtH, A, dim=0)).sum()
        quadratic = (AtA * SHtH).sum()
        # a dot product reads the target once; squaring it first would write it out as well
        flat = D.reshape(-1)
        loss: Tensor = scale * (p * (flat @ flat) - 2 * linear + quadratic)
        return loss

    @staticmethod
    def products(
        H: Tensor, A: Tensor, Y: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Y - bias (m, n), its product with H (n, p), and S o (H'H), A'A, S o (A'A) (p, p)."""
        D = Y if bias is None else Y - bias
        S = nested_counts(A.shape[1], A)
        AtA = A.T @ A
        return D, D.T @ H, S * (H.T @ H), AtA, S * AtA

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        H, A, Y, bias, D, DtH, SHtH, SAtA = ctx.saved_tensors
        if torch.is_grad_enabled():
            # second derivatives: what was kept from `forward` has no history
            D, DtH, SHtH, _, SAtA = _NestedLoss.products(H, A, Y, bias)
        T = nested_weights(A.shape[1], A)
        factor = 2 * ctx.scale * gradient
        needs_H, needs_A, needs_Y, needs_bias = ctx.needs_input_grad[:4]
        dH = dA = dY = db = None
        if needs_H:
            dH = torch.addmm(H @ (factor * SAtA), D, A * (factor * T), alpha=-1)
        if needs_A:
            dA = factor * (A @ SHtH - DtH * T)
        if needs_Y:
            dY = factor * torch.addmm(D, H, (A * T).T, beta=A.shape[1], alpha=-1)
        if needs_bias:
            db = factor * (A @ (T * H.sum(dim=0)) - A.shape[1] * D.sum(dim=0))
        return dH, dA, dY, db, None


class NestedMSELoss(nn.Module):
    """`nested_mse_loss` as a module, for where `torch.nn.MSELoss` would stand.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default="mean"
        As for `nested_mse_loss`.

    Examples
    --------
    >>> import torch
    >>> encoder, decoder = torch.nn.Linear(5, 3), torch.nn.Linear(3, 5)
    >>> X = torch.randn(10, 5)
    >>> loss = NestedMSELoss()(torch.tanh(encoder(X)), decoder.weight, X, decoder.bias)
    >>> loss.backward()
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(
        self, latent: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """The loss of a decoder's weight and bias; shapes as for `nested_mse_loss`."""
        return nested_mse_loss(latent, weight, target, bias, self.reduction)


class NestedLinearAutoencoder(nn.Module):
    """Linear autoencoder whose latent coordinates come in order, for Y = X or other targets.

    Parameters
    ----------
    n_features : int
        Width n' of the rows.
    n_components : int
        Width p of the bottleneck.
    n_targets : int, optional
        Width n of the targets; that of the rows by default.
    encoder_widths, decoder_widths : sequence of int, default=()
        Widths of further linear layers before and behind the bottleneck. The loss depends on the
        products of their weights alone, so its minima are those of one layer each, as long as no
        layer is narrower than p.
    bias : bool, default=True
        Whether the last layers of the encoder and of the decoder have a bias. At the minimum
        every cut to one coordinate or more is centred as PCA is. (Every cut holds the first
        coordinate, so its mean and the decoder's bias may share what the targets' mean needs.)
    device, dtype : optional
        As for `torch.nn.Linear`.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> X = torch.randn(500, 4) * torch.tensor([3.0, 1.0, 2.0, 0.1])
    >>> model = NestedLinearAutoencoder(4, 2)
    >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    >>> for _ in range(1000):
    ...     optimizer.zero_grad()
    ...     model.loss(X).backward()
    ...     optimizer.step()
    >>> model.components().abs().round(decimals=1)
    tensor([[1., 0., 0., 0.],
            [0., 0., 1., 0.]])
    >>> model(X, n_components=1).shape  # the best model of rank 1, from the same weights
    torch.Size([500, 4])
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_targets: int | None = None,
        *,
        encoder_widths: Sequence[int] = (),
        decoder_widths: Sequence[int] = (),
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        n_targets = n_features if n_targets is None else n_targets
        widths = (n_features, *encoder_widths, n_components, *decoder_widths, n_targets)
        if min(widths) < 1:
            raise ValueError(f"widths {widths}: every layer must be at least 1 wide")
        if n_components > min(n_targets, *widths):
            raise ValueError(
                f"n_components={n_components} is more than the narrowest of the layers "
                f"{widths}: the others cannot hold as many directions"
            )
        made = {"device": device, "dtype": dtype}
        self.n_components = n_components
        self.encoder = _linear_layers((n_features, *encoder_widths, n_components), bias, made)
        self.decoder = _linear_layers((n_components, *decoder_widths, n_targets), bias, made)

    def forward(self, X: Tensor, n_components: int | None = None) -> Tensor:
        """The fit of each row, (m, n), by the first `n_components` coordinates (all by default)."""
        k = self.n_components if n_components is None else n_components
        if not 0 <= k <= self.n_components:
            raise ValueError(f"n_components={k}: the model has {self.n_components}")
        fit: Tensor = self.encoder(X)[..., :k] @ self.decoder_matrix()[:, :k].T
        bias = self._bias
        return fit if bias is None else fit + bias

    def loss(self, X: Tensor, Y: Tensor | None = None, reduction: str = "mean") -> Tensor:
        """The nested loss on rows X (m, n') and targets Y (m, n), X itself by default."""
        target = X if Y is None else Y
        matrix = self.decoder_matrix()
        return nested_mse_loss(self.encoder(X), matrix, target, self._bias, reduction)

    def encoder_matrix(self) -> Tensor:
        """B (p, n'): the product of the encoder's weights."""
        return _product(self.encoder)

    def decoder_matrix(self) -> Tensor:
        """A (n, p): the product of the decoder's weights."""
        return _product(self.decoder)

    @torch.no_grad()
    def components(self) -> Tensor:
        """Columns of A as rows of length 1, (p, n): at a minimum the ordered eigenvectors."""
        return nn.functional.normalize(self.decoder_matrix().T, dim=1)

    @property
    def _bias(self) -> Tensor | None:
        bias: Tensor | None = self.decoder[-1].bias  # type: ignore[assignment]
        return bias


def _linear_layers(widths: Sequence[int], bias: bool, made: dict[str, Any]) -> nn.Sequential:
    last = len(widths) - 2
    return nn.Sequential(
        *(
            nn.Linear(k, n, bias=bias and i == last, **made)
            for i, (k, n) in enumerate(pairwise(widths))
        )
    )


def _product(layers: nn.Sequential) -> Tensor:
    matrices = [layer.weight for layer in layers]
    product: Tensor = matrices[0]  # type: ignore[assignment]
    for matrix in matrices[1:]:
        product = matrix @ product  # type: ignore[operator]
    return product
