"""Minibatches on a device: what is looked at before they are folded in, and centring in products.

The host decides by numbers that a look at the rows has brought back while it did something else.
(On the CPU, where asking costs nothing, rows.py and unshifted.py ask as they go.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from streampca.arrays import Array, cast, dtype_name, torch
from streampca.moments.pairs import Pairs
from streampca.moments.parts import alike, parts, signed_sums
from streampca.moments.rows import CentredRows, _centred, fits, weighs_as_rows
from streampca.moments.scatter import Scatter
from streampca.moments.unshifted import Unformed, near

if TYPE_CHECKING:
    from streampca.moments.base import Moments


class Look(NamedTuple):
    """What is known of a minibatch's rows (m, n) before they are folded in."""

    sums: Array  # (n,) of the rows, on the device
    lengths: Array  # (n,) of the columns, on the device
    total: float  # sum of all squares; infinite or NaN if an entry is, or float32 is too small
    near: bool  # whether means are as near to zero as products without centring need


def look(X: torch.Tensor, sums: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Write `sums` and `lengths`, and return `total` and `near` (2,), still on the device."""
    torch.sum(X, dim=0, out=sums)
    torch.linalg.vector_norm(X, dim=0, out=lengths)
    squares, m = lengths.double() ** 2, X.shape[0]
    return torch.stack([squares.sum(), near(sums.double() / m, squares / m).all().double()])


def centred(
    X: Array, weights: Array | None, decay: Array | None, about: Moments, seen: Look
) -> CentredRows:
    """Centre rows (m, n) that have been looked at and join them to what `about` has seen."""
    dtype = about.dtype if fits(seen.total) or seen.total == 0 else "float64"
    equal = weights is None and decay is None and weighs_as_rows(about.weight)
    if not (equal and seen.near and dtype == about.dtype == dtype_name(X)):
        return _centred(X, weights, decay, about, dtype)
    m = float(X.shape[0])
    pairs = Pairs.of_equal(m)
    squares = cast(seen.lengths, "float64") ** 2
    if not about.center:
        return DeviceRows(m, pairs, torch.zeros_like(about._mean), X, None, squares)
    mean = cast(seen.sums, "float64") / m
    squares = torch.clip(squares - m * mean**2, 0.0, None)
    between = None
    if about.weight > 0:
        between = (mean - about._mean) * (about.weight * m / (about.weight + m)) ** 0.5
        squares = squares + between**2
    return DeviceRows(m, pairs, mean, X, between, squares)


@dataclass
class DeviceRows(Unformed):
    """Z = [X - 1 mean'; between], never formed: two passes over the rows less."""

    weight: float
    pairs: Pairs
    mean: torch.Tensor  # (n,) the minibatch's own, zero where rows are not centred
    X: torch.Tensor  # (m, n)
    between: torch.Tensor | None  # (n,) float64
    squares: torch.Tensor  # (n,) float64

    @property
    def total_squares(self) -> float:
        return float(self.squares.sum())

    def _corrections(self) -> torch.Tensor:
        """Minus the mean, and `between`: (2, n) or (1, n) in the dtype of the rows."""
        vectors = [-self.mean] if self.between is None else [-self.mean, self.between]
        return torch.stack(vectors).to(self.X.dtype)

    def project(self, V: Array) -> Array:
        m = self.X.shape[0]
        X, V = alike(self.X, V)
        corrections = self._corrections().to(V.dtype) @ V
        H = torch.empty((self.n_rows, V.shape[1]), dtype=V.dtype, device=V.device)
        torch.matmul(X, V, out=H[:m])
        H[:m] += corrections[0]
        H[m:] = corrections[1:]
        return H

    def combine(self, H: Array) -> Array:
        m = self.X.shape[0]
        X, H = alike(self.X, H)
        sums = torch.cat([H[:m].sum(dim=0)[None], H[m:]])
        return torch.addmm(X.T @ H[:m], self._corrections().to(H.dtype).T, sums)

    def combined(self, signs: Array, count: int) -> Array:
        m = self.X.shape[0]
        sums, totals = signed_sums(signs[:m], self.X, parts(self.n_rows, count))
        corrections = self._corrections()
        sums = sums + corrections[0][:, None] * totals
        if self.between is not None:
            sums[:, -1] += corrections[1] * signs[m]
        return sums

    def add_scatter(self, S: Scatter) -> None:
        C = self._corrections()
        signed = C.clone()
        C[0] *= self.weight**0.5
        signed[0] *= -(self.weight**0.5)
        S.add_rows(self.X, signed, C)

    def densified(self, start: int, stop: int) -> Array:
        m = self.X.shape[0]
        corrections = self._corrections()
        Z = self.X[start : min(stop, m)] + corrections[0]
        return torch.cat([Z, corrections[1:]]) if stop > m else Z
