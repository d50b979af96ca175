"""What is true of the rows that a stream has sent so far, and how far rounding may lead from it.

The bounds. u is the unit roundoff of the dtype of the rows, u64 that of float64, m the rows, n the
features, T the total variance. Roundings of different operations are taken as independent of each
other and of either sign, so that k of them add up to 8 sqrt(k) u in place of k u, but for
probabilities of 1e-14 (Higham and Mary 2019); the worst case would allow 1e-4 at a thousand rows of
float32, which hides defects.

- Products. An entry of Z'Z is a sum of m products, off by 8 sqrt(m) u |Z|'|Z|, and
  || |Z|'|Z| || <= trace Z'Z. Rows that are not centred one by one are multiplied as they are, where
  their means are at most twice their spread: their sum of squares is at most 1 + 4**2 times that
  of centred ones, or what it is about zero, whichever is less. Codes are sums of n products. b
  updates of directions that are kept in the dtype of the rows each round them once. Altogether
  gamma = 8 u (sqrt(m) + sqrt(n) + sqrt(b) sqrt(n)), the last for factored memory alone.
- The eigenvalue solver, and the line below which values count as zero: 2 n eps64 T.
- Means. A minibatch's is a mean of differences from a row or from the running mean, which are of
  the size of the deviations and, in the first minibatch, of that of its first row, which may be
  the one that lies far from all others: 8 sqrt(m) u r with r**2 the sum of both squares. It is
  rounded and added to the running
  mean in float64, b times: 8 sqrt(b) u64 |largest entry|. With delta (n,) the sum of both, the
  outer products that join minibatches, whose trace is at most T, are off by 2 sqrt(T) |delta| and
  the rest by |delta|**2, times the root of, and the ratio of the weight to what it is divided by.

So || error of Sigma || <= `sigma` below, and by Weyl eigenvalues are no further off. Factored
memory may have lost `discarded_variance_` besides: it is what it certifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}
LIKELY = 8.0
"""Standard deviations of a sum of roundings that are allowed."""


def denominator(copies, remembered):
    """What the scatter is divided by: weights as counts or as shares, whichever is more.

    With v_i = w_i g_i what is left of each weight and W their sum: W - sum(v_i g_i) / W for counts,
    W - sum(v_i v_i) / W for shares. The second is the sum of v_i v_j over pairs of different rows
    by W, and the first is that and the sum of v_i g_i (w_i - 1) by W: no differences of close
    numbers. One row has no spread: its scatter is zero, and this only must not be.
    """
    v = copies * remembered
    total = v.sum()
    before = np.concatenate([[0.0], np.cumsum(v)[:-1]])
    pairs = 2.0 * (before @ v) / total
    same = (v * remembered) @ (copies - 1.0) / total
    return pairs + max(same, 0.0) or total


@dataclass
class Truth:
    """Weighted moments of rows in float64, in units near one (a power of two: no rounding)."""

    X: np.ndarray  # (m, n) float64, scaled
    copies: np.ndarray  # (m,) weights as given
    remembered: np.ndarray  # (m,) what forgetting has left
    center: bool
    unit: float

    @classmethod
    def of(cls, X, copies, remembered, center):
        largest = float(np.abs(X).max(initial=0.0))
        unit = 2.0 ** np.frexp(largest)[1] if largest else 1.0
        return cls(X.astype("float64") / unit, copies, remembered, center, unit)

    @cached_property
    def w(self):
        return self.copies * self.remembered

    @cached_property
    def weight(self):
        return float(self.w.sum())

    @cached_property
    def divisor(self):
        return denominator(self.copies, self.remembered) if self.center else self.weight

    @cached_property
    def mean(self):
        if not self.center:
            return np.zeros(self.X.shape[1])
        first = self.X[0]  # differences from a row: large means cost no digits
        D = self.X - first
        offset = self.w @ D / self.weight
        D -= offset
        return first + (offset + self.w @ D / self.weight)

    @cached_property
    def deviations(self):
        if not self.center:
            return self.X
        D = self.X - self.X[0]
        D -= self.w @ D / self.weight
        return D - self.w @ D / self.weight

    @cached_property
    def Z(self):
        """Rows with Z'Z = Sigma, (m, n)."""
        return self.deviations * np.sqrt(self.w / self.divisor)[:, None]

    @cached_property
    def values(self):
        """All n eigenvalues, by singular values: small ones keep their digits."""
        s = np.linalg.svd(self.Z, compute_uv=False) ** 2
        n = self.X.shape[1]
        return np.pad(s, (0, max(0, n - len(s))))[:n]

    @cached_property
    def variance(self):
        return (self.Z**2).sum(axis=0)

    @cached_property
    def total(self):
        return float(self.variance.sum())

    def product(self, V):
        """Sigma V."""
        return self.Z.T @ (self.Z @ V)


@dataclass
class Bounds:
    """How far rounding may lead, in units of the truth."""

    truth: Truth
    dtype: str
    factored: bool
    n_updates: int

    @cached_property
    def gamma(self):
        m, n = self.truth.X.shape
        roots = m**0.5 + n**0.5 + (self.n_updates * n) ** 0.5 * self.factored
        return LIKELY * UNIT[self.dtype] * roots

    @cached_property
    def about(self):
        """Sums of squares of what is multiplied, (n,)."""
        t = self.truth
        if not t.center:
            return t.variance
        return np.minimum(t.variance + t.mean**2 * self.ratio, 17 * t.variance)

    @cached_property
    def delta(self):
        """Of the mean, (n,)."""
        t = self.truth
        spread = np.sqrt(np.maximum((t.deviations**2).mean(axis=0), t.variance))
        m, n_updates = len(t.X), self.n_updates
        if not t.center:
            return np.zeros_like(spread)
        entry = np.abs(t.X).max(axis=0)
        u, least = UNIT[self.dtype], float(np.finfo(self.dtype).smallest_subnormal)
        spread = np.hypot(spread, t.deviations[0])
        rounding = m**0.5 * u * spread + n_updates**0.5 * UNIT["float64"] * entry
        return LIKELY * (rounding + least / t.unit / min(1.0, t.weight))

    @cached_property
    def ratio(self):
        """Of the weight to what the scatter is divided by: 1 but for a few rows."""
        return self.truth.weight / self.truth.divisor

    @cached_property
    def solver(self):
        return 4 * self.truth.X.shape[1] * UNIT["float64"] * self.truth.total

    @cached_property
    def sigma(self):
        """Of Sigma in spectral norm."""
        d, total = float(np.linalg.norm(self.delta)), self.truth.total
        products = self.gamma * float(self.about.sum())
        joined = 2 * (self.ratio * total) ** 0.5 * d + self.ratio * d * d
        return products + self.solver + joined

    @cached_property
    def variance(self):
        """Of each feature's variance, (n,)."""
        t = self.truth
        joined = 2 * np.sqrt(self.ratio * t.variance) * self.delta + self.ratio * self.delta**2
        # squares, times weights, below the least number become zero
        least = float(np.finfo(self.dtype).smallest_subnormal)
        underflow = len(t.X) * least / t.unit / t.unit / min(1.0, t.divisor)
        return self.gamma * self.about + joined + underflow
