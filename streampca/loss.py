"""The nested loss of a linear autoencoder, its gradients, its best encoder and its optimum.

Pure functions of the decoder A (n, p) and encoder B (p, n'), after Oftadeh, Shen, Wang and
Shell, "Eliminating the Invariance on the Loss Landscape of Linear Autoencoders", ICML 2020. Rows
are the columns of X (n', m) and Y (n, m), as in the paper; Sxx = X X', Syx = Y X', Syy = Y Y'.
Where Y = X, leave Syx and tr(Syy) out. numpy arrays or torch tensors of any floating dtype and
device; nothing here knows where the moments come from. T = diag(p, ..., 1), and o is the
elementwise product.

Examples
--------
>>> import numpy as np
>>> Sxx = np.diag([3.0, 2.0, 1.0])
>>> A, B = optimal_pair(2, Sxx)  # p tr(Syy) - 2 * 3 - 1 * 2
>>> float(nested_loss(A, B, Sxx)), float(optimum_loss(2, Sxx))
(4.0, 4.0)
>>> swap = [1, 0]
>>> float(nested_loss(A[:, swap], B[swap], Sxx))  # same span, wrong order: MSE would not see it
5.0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streampca.arrays import Array, is_tensor, torch


def _library(x: Array) -> Any:
    return torch if is_tensor(x) else np


def nested_weights(p: int, like: Array) -> Array:
    """Diagonal of T: p, p - 1, ..., 1, the number of truncations that contain each component.

    `like` gives the dtype and device.

    Examples
    --------
    >>> nested_weights(3, np.zeros(()))
    array([3., 2., 1.])
    """
    if is_tensor(like):
        return torch.arange(p, 0, -1, dtype=like.dtype, device=like.device)
    return np.arange(p, 0, -1, dtype=like.dtype)


def nested_counts(p: int, like: Array) -> Array:
    """S (p, p), S_ij = p - max(i, j) + 1: how many truncations contain both i and j.

    Examples
    --------
    >>> nested_counts(3, np.zeros(()))
    array([[3., 2., 1.],
           [2., 2., 1.],
           [1., 1., 1.]])
    """
    weights = nested_weights(p, like)
    return _library(weights).minimum(weights[:, None], weights)


# --- losses ------------------------------------------------------------------------------------


def nested_loss_definition(A: Array, B: Array, X: Array, Y: Array | None = None) -> Array:
    """L = sum_i ||Y - A I_{i:p} B X||_F^2, the sum over the model cut to its first i columns.

    The definition (Eq. 4), one product for each i: `nested_loss` and `nested_loss_rows` give the
    same at the price of one.

    Examples
    --------
    >>> X = np.eye(2)
    >>> float(nested_loss_definition(X, X, X))  # the first column alone leaves 1, both leave 0
    1.0
    """
    target = X if Y is None else Y
    H = B @ X  # (p, m)
    misfits = [target - A[:, :i] @ H[:i] for i in range(1, A.shape[1] + 1)]
    return sum((misfit * misfit).sum() for misfit in misfits)


def nested_loss_rows(A: Array, B: Array, X: Array, Y: Array | None = None) -> Array:
    """L by Lemma 1 straight from X (n', m) and Y (n, m), at the price of the MSE.

    Nothing n x n or m x m is formed. Where the model is nearly perfect, the rounding is that of
    p ||Y||^2, not of L.

    Examples
    --------
    >>> X = np.eye(2)
    >>> float(nested_loss_rows(X, X, X))
    1.0
    """
    target = X if Y is None else Y
    H = B @ X  # (p, m)
    return _lemma_1(A, target @ H.T, H @ H.T, (target * target).sum())


def nested_loss(
    A: Array, B: Array, Sxx: Array, Syx: Array | None = None, trace_Syy: Array | None = None
) -> Array:
    """L = p tr(Syy) - 2 tr(A T B Sxy) + tr(B' (S o A'A) B Sxx) (Lemma 1, Eq. 21).

    Raises
    ------
    ValueError
        If Syx is given without tr(Syy), or the other way round.

    Examples
    --------
    >>> A = np.eye(3, 2)
    >>> float(nested_loss(A, A.T, np.eye(3)))
    3.0
    """
    Syx, total = _targets(Sxx, Syx, trace_Syy)
    return _lemma_1(A, Syx @ B.T, B @ Sxx @ B.T, total)


def nested_loss_from_products(
    A: Array, B: Array, SA: Array, SBt: Array, total_variance: float | Array
) -> Array:
    """L for Y = X (Lemma 1) from Sigma A, Sigma B' (n, p) and tr(Sigma): never n x n.

    Examples
    --------
    >>> A, variances = np.eye(3, 2), np.array([[3.0], [2.0], [1.0]])
    >>> float(nested_loss_from_products(A, A.T, variances * A, variances * A, 6.0))
    4.0
    """
    # tr(A T B Sigma) may be read off Sigma A or off Sigma B'; both are at hand and equal
    p = A.shape[1]
    linear = (nested_weights(p, A) * (SA * B.T).sum(axis=0)).sum()
    quadratic = (nested_counts(p, A) * (A.T @ A) * (B @ SBt)).sum()
    return p * total_variance - 2 * linear + quadratic


def mse_loss_rows(A: Array, B: Array, X: Array, Y: Array | None = None) -> Array:
    """||Y - A B X||_F^2 from X (n', m) and Y (n, m).

    Examples
    --------
    >>> A = np.eye(2, 1)
    >>> float(mse_loss_rows(A, A.T, np.eye(2)))
    1.0
    """
    target = X if Y is None else Y
    misfit = target - A @ (B @ X)
    return (misfit * misfit).sum()


def mse_loss(
    A: Array, B: Array, Sxx: Array, Syx: Array | None = None, trace_Syy: Array | None = None
) -> Array:
    """||Y - A B X||_F^2 = tr(Syy) - 2 tr(A B Sxy) + tr(B' A'A B Sxx): no order among minima.

    Examples
    --------
    >>> A = np.eye(3, 2)
    >>> float(mse_loss(A, A.T, np.eye(3)))
    1.0
    """
    Syx, total = _targets(Sxx, Syx, trace_Syy)
    return total - 2 * ((Syx @ B.T) * A).sum() + ((A.T @ A) * (B @ Sxx @ B.T)).sum()


def _lemma_1(A: Array, SyxBt: Array, BSxxBt: Array, total: Array) -> Array:
    p = A.shape[1]
    linear = (nested_weights(p, A) * (SyxBt * A).sum(axis=0)).sum()
    quadratic = (nested_counts(p, A) * (A.T @ A) * BSxxBt).sum()
    return p * total - 2 * linear + quadratic


def _targets(Sxx: Array, Syx: Array | None, trace_Syy: Array | None) -> tuple[Array, Array]:
    """Syx and tr(Syy), those of Y = X where both are left out."""
    if Syx is None and trace_Syy is None:
        return Sxx, Sxx.trace()
    if Syx is None or trace_Syy is None:
        missing = "Syx" if Syx is None else "trace_Syy"
        raise ValueError(
            f"{missing} is missing: Y != X needs both Syx and trace_Syy; leave both out for Y = X"
        )
    return Syx, trace_Syy


# --- gradients ---------------------------------------------------------------------------------


def gradient_decoder(A: Array, B: Array, Sxx: Array, Syx: Array | None = None) -> Array:
    """dL/dA = -2 [Syx B' T - A (S o (B Sxx B'))] (Proposition 2, Eq. 11), (n, p)."""
    Syx = Sxx if Syx is None else Syx
    return _decoder_from_products(A, Syx @ B.T, B @ Sxx @ B.T)


def gradient_encoder(A: Array, B: Array, Sxx: Array, Syx: Array | None = None) -> Array:
    """dL/dB = -2 [T A' Syx - (S o (A'A)) B Sxx] (Proposition 1, Eq. 8-9), (p, n')."""
    Syx = Sxx if Syx is None else Syx
    return _encoder_from_products(A, A.T @ Syx, B @ Sxx)


def nested_gradients(A: Array, B: Array, SA: Array, SBt: Array) -> tuple[Array, Array]:
    """dL/dA and dL/dB for Y = X from the thin products Sigma A and Sigma B' (n, p) alone.

    Never forms anything n x n, so it serves any moments that can multiply.

    Examples
    --------
    >>> A = np.eye(3, 2)  # the ordered optimum for these variances: both gradients vanish
    >>> SA = np.array([[3.0], [2.0], [1.0]]) * A
    >>> [float(abs(gradient).max()) for gradient in nested_gradients(A, A.T, SA, SA)]
    [0.0, 0.0]
    """
    return gradients_from_products(A, B, SBt, SA.T, SBt.T)


def gradients_from_products(
    A: Array, B: Array, SyxBt: Array, AtSyx: Array, BSxx: Array
) -> tuple[Array, Array]:
    """dL/dA and dL/dB from Syx B' (n, p), A' Syx (p, n') and B Sxx (p, n'), for Y != X too.

    From rows these are Y H', (A'Y) X' and H X' with H = B X: no Sxx^-1, nothing n x n'.
    """
    return _decoder_from_products(A, SyxBt, BSxx @ B.T), _encoder_from_products(A, AtSyx, BSxx)


def _decoder_from_products(A: Array, SyxBt: Array, BSxxBt: Array) -> Array:
    p = A.shape[1]
    return -2 * (SyxBt * nested_weights(p, A) - A @ (nested_counts(p, A) * BSxxBt))


def _encoder_from_products(A: Array, AtSyx: Array, BSxx: Array) -> Array:
    p = A.shape[1]
    return -2 * (nested_weights(p, A)[:, None] * AtSyx - (nested_counts(p, A) * (A.T @ A)) @ BSxx)


# --- minima ------------------------------------------------------------------------------------


def best_encoder(A: Array, Sxx: Array | None = None, Syx: Array | None = None) -> Array:
    """The encoder that minimises L for a given decoder, (p, n').

    B = (S o (A'A))^-1 T A' Syx Sxx^-1 (Eq. 10); without Syx it is that for Y = X (Eq. 10'), which
    needs no moments. Columns of A may have any lengths. Zero columns make S o (A'A) singular:
    their rows of B, which do not matter, are zero. A singular Sxx is inverted on its range.

    Examples
    --------
    >>> best_encoder(np.array([[2.0, 0.0], [0.0, 0.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    if Syx is not None and Sxx is None:
        raise ValueError("Sxx is missing: the best encoder for Y != X needs both Sxx and Syx")
    p, xp = A.shape[1], _library(A)
    lengths = xp.linalg.norm(A, axis=0)  # (p,)
    ones = xp.ones_like(lengths)
    zero = xp.where(lengths == 0, ones, 0 * ones)
    lengths = lengths + zero
    unit = A / lengths
    # With columns of length 1 (or 1 on the diagonal for a zero column) nothing is near singular:
    # by Schur's theorem the least eigenvalue of S o C, C a correlation matrix, is at least that
    # of S, which is above 1/4. A cut-off on S o (A'A) itself would drop short columns.
    M = nested_counts(p, A) * (unit.T @ unit) + xp.diag(
        xp.where((A == 0).all(axis=0), ones, 0 * ones)
    )
    B = xp.linalg.solve(M, nested_weights(p, A)[:, None] * unit.T) / lengths[:, None]
    if Sxx is None or Syx is None:
        return B
    return B @ Syx @ _inverse_on_range(Sxx)


def target_covariance(Sxx: Array, Syx: Array | None = None) -> Array:
    """Sigma = Syx Sxx^-1 Sxy (n, n), whose eigenvectors the decoder finds; Sxx when Y = X."""
    return Sxx if Syx is None else Syx @ _inverse_on_range(Sxx) @ Syx.T


def optimum_loss(
    p: int, Sxx: Array, Syx: Array | None = None, trace_Syy: Array | None = None
) -> Array:
    """Least L = p tr(Syy) - sum_i (p - i + 1) lambda_i, lambda the eigenvalues of Sigma (Eq. 5)."""
    _, total = _targets(Sxx, Syx, trace_Syy)
    Sigma = target_covariance(Sxx, Syx)
    _check_components(p, Sigma)
    xp = _library(Sigma)
    kept = (nested_weights(p, Sxx) * xp.flip(xp.linalg.eigvalsh(Sigma), (0,))[:p]).sum()
    return p * total - kept


def optimal_pair(p: int, Sxx: Array, Syx: Array | None = None) -> tuple[Array, Array]:
    """A = U_p and B = U_p' Syx Sxx^-1: the ordered minimum of L (Theorem 1, with D = I)."""
    Sigma = target_covariance(Sxx, Syx)
    _check_components(p, Sigma)
    xp = _library(Sigma)
    U = xp.flip(xp.linalg.eigh(Sigma)[1], (1,))[:, :p]
    return U, U.T if Syx is None else U.T @ Syx @ _inverse_on_range(Sxx)


def _check_components(p: int, Sigma: Array) -> None:
    if not 1 <= p <= len(Sigma):
        raise ValueError(f"p = {p} components of {len(Sigma)} features: p must be 1 to n")


def _inverse_on_range(S: Array) -> Array:
    """Inverse of a matrix of moments on its range, whatever units the features have.

    A rank cut on S itself would drop features that are merely small, so S is scaled to a unit
    diagonal first. Not the Moore-Penrose inverse then, but Syx, whose rows lie in the range of S,
    cannot tell. The cut: exactly dependent features were seen to leave at most 25 eps (5 features,
    100,000 rows), and the rounding of the eigenvalues themselves grows with n.
    """
    xp = _library(S)
    variances = S.diagonal()
    lengths = xp.where(variances > 0, variances, xp.ones_like(variances)) ** 0.5
    cut = (len(S) + 100) * xp.finfo(S.dtype).eps
    correlation = S / lengths[:, None] / lengths
    inverse = xp.linalg.pinv(correlation, rtol=cut, hermitian=True)
    return inverse / lengths[:, None] / lengths
