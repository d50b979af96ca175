"""The nested loss of a linear autoencoder, its gradients, its best encoder and its optimum.

Pure torch functions of the decoder A (n, p) and encoder B (p, n'), after Oftadeh, Shen, Wang and
Shell, "Eliminating the Invariance on the Loss Landscape of Linear Autoencoders", ICML 2020. Rows
are the columns of X (n', m) and Y (n, m), as in the paper; Sxx = X X', Syx = Y X', Syy = Y Y'.
Where Y = X, leave Syx out. Any floating dtype and device.
"""

from __future__ import annotations

import torch
from torch import Tensor


def nested_weights(p: int, like: Tensor) -> Tensor:
    """Diagonal of T: p, p - 1, ..., 1, the number of truncations that contain each component."""
    return torch.arange(p, 0, -1, dtype=like.dtype, device=like.device)


def nested_counts(p: int, like: Tensor) -> Tensor:
    """S (p, p), S_ij = p - max(i, j) + 1: how many truncations contain both i and j."""
    weights = nested_weights(p, like)
    return torch.minimum(weights[:, None], weights)


def nested_loss_definition(A: Tensor, B: Tensor, X: Tensor, Y: Tensor | None = None) -> Tensor:
    """L = sum_i ||Y - A I_{i:p} B X||_F^2, the sum over the model cut to its first i columns.

    The definition (Eq. 4), one product for each i: `nested_loss` gives the same at the price of
    one.

    Examples
    --------
    >>> import torch
    >>> X = torch.eye(2, dtype=torch.float64)
    >>> float(nested_loss_definition(X, X, X))  # the first column alone leaves 1, both leave 0
    1.0
    """
    target = X if Y is None else Y
    H = B @ X  # (p, m)
    losses = [(target - A[:, :i] @ H[:i]).square().sum() for i in range(1, A.shape[1] + 1)]
    return torch.stack(losses).sum()


def nested_loss(
    A: Tensor, B: Tensor, Sxx: Tensor, Syx: Tensor | None = None, trace_Syy: Tensor | None = None
) -> Tensor:
    """L = p tr(Syy) - 2 tr(A T B Sxy) + tr(B' (S o A'A) B Sxx) (Lemma 1, Eq. 21)."""
    Syx = Sxx if Syx is None else Syx
    total = Sxx.trace() if trace_Syy is None else trace_Syy
    p = A.shape[1]
    linear = (nested_weights(p, A) * ((Syx @ B.T) * A).sum(dim=0)).sum()
    quadratic = (nested_counts(p, A) * (A.T @ A) * (B @ Sxx @ B.T)).sum()
    return p * total - 2 * linear + quadratic


def mse_loss(
    A: Tensor, B: Tensor, Sxx: Tensor, Syx: Tensor | None = None, trace_Syy: Tensor | None = None
) -> Tensor:
    """||Y - A B X||_F^2 = tr(Syy) - 2 tr(A B Sxy) + tr(B' A'A B Sxx): no order among minima."""
    Syx = Sxx if Syx is None else Syx
    total = Sxx.trace() if trace_Syy is None else trace_Syy
    return total - 2 * ((Syx @ B.T) * A).sum() + ((A.T @ A) * (B @ Sxx @ B.T)).sum()


def gradient_decoder(A: Tensor, B: Tensor, Sxx: Tensor, Syx: Tensor | None = None) -> Tensor:
    """dL/dA = -2 [Syx B' T - A (S o (B Sxx B'))] (Proposition 2, Eq. 11), (n, p)."""
    Syx = Sxx if Syx is None else Syx
    return _decoder_from_products(A, Syx @ B.T, B @ Sxx @ B.T)


def gradient_encoder(A: Tensor, B: Tensor, Sxx: Tensor, Syx: Tensor | None = None) -> Tensor:
    """dL/dB = -2 [T A' Syx - (S o (A'A)) B Sxx] (Proposition 1, Eq. 8-9), (p, n')."""
    Syx = Sxx if Syx is None else Syx
    return _encoder_from_products(A, A.T @ Syx, B @ Sxx)


def nested_gradients(A: Tensor, B: Tensor, SA: Tensor, SBt: Tensor) -> tuple[Tensor, Tensor]:
    """dL/dA and dL/dB for Y = X from the thin products Sigma A and Sigma B' (n, p) alone.

    Never forms anything n x n, so it serves any moments that can multiply.
    """
    return _decoder_from_products(A, SBt, B @ SBt), _encoder_from_products(A, SA.T, SBt.T)


def nested_loss_from_products(
    A: Tensor, B: Tensor, SA: Tensor, SBt: Tensor, total_variance: float | Tensor
) -> Tensor:
    """L for Y = X (Lemma 1) from Sigma A, Sigma B' (n, p) and tr(Sigma)."""
    p = A.shape[1]
    linear = (nested_weights(p, A) * (SA * B.T).sum(dim=0)).sum()
    quadratic = (nested_counts(p, A) * (A.T @ A) * (B @ SBt)).sum()
    return p * total_variance - 2 * linear + quadratic


def _decoder_from_products(A: Tensor, SyxBt: Tensor, BSxxBt: Tensor) -> Tensor:
    p = A.shape[1]
    return -2 * (SyxBt * nested_weights(p, A) - A @ (nested_counts(p, A) * BSxxBt))


def _encoder_from_products(A: Tensor, AtSyx: Tensor, BSxx: Tensor) -> Tensor:
    p = A.shape[1]
    return -2 * (nested_weights(p, A)[:, None] * AtSyx - (nested_counts(p, A) * (A.T @ A)) @ BSxx)


def best_encoder(A: Tensor, Sxx: Tensor | None = None, Syx: Tensor | None = None) -> Tensor:
    """The encoder that minimises L for a given decoder, (p, n').

    B = (S o (A'A))^-1 T A' Syx Sxx^-1 (Eq. 10); without Sxx and Syx it is that for Y = X
    (Eq. 10'). Zero columns of A make S o (A'A) singular: their rows of B, which do not matter,
    are zero. A singular Sxx is inverted on its range.
    """
    p = A.shape[1]
    weighted = nested_weights(p, A)[:, None] * A.T  # (p, n)
    B = _inverse(nested_counts(p, A) * (A.T @ A)) @ weighted
    if Sxx is None or Syx is None:
        return B
    return B @ Syx @ _inverse(Sxx)


def target_covariance(Sxx: Tensor, Syx: Tensor | None = None) -> Tensor:
    """Sigma = Syx Sxx^-1 Sxy (n, n), whose eigenvectors the decoder finds; Sxx when Y = X."""
    if Syx is None:
        return Sxx
    return Syx @ _inverse(Sxx) @ Syx.T


def optimum_loss(
    p: int, Sxx: Tensor, Syx: Tensor | None = None, trace_Syy: Tensor | None = None
) -> Tensor:
    """Least L = p tr(Syy) - sum_i (p - i + 1) lambda_i, lambda the eigenvalues of Sigma (Eq. 5)."""
    total = Sxx.trace() if trace_Syy is None else trace_Syy
    eigenvalues: Tensor = torch.linalg.eigvalsh(target_covariance(Sxx, Syx)).flip(0)[:p]
    kept: Tensor = (nested_weights(p, Sxx) * eigenvalues).sum()
    return p * total - kept


def optimal_pair(p: int, Sxx: Tensor, Syx: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A = U_p and B = U_p' Syx Sxx^-1: the ordered minimum of L (Theorem 1, with D = I)."""
    U = torch.linalg.eigh(target_covariance(Sxx, Syx)).eigenvectors.flip(1)[:, :p]
    if Syx is None:
        return U, U.T
    return U, U.T @ Syx @ _inverse(Sxx)


def _inverse(M: Tensor) -> Tensor:
    """Inverse of a symmetric matrix on its range."""
    inverse: Tensor = torch.linalg.pinv(M, hermitian=True)
    return inverse
