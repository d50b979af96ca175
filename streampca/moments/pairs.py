"""How many pairs of rows a weight stands for: what the covariance is divided by.

Knows weights alone; rows and second moments are other rooms' business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Pairs of rows, and pairs of copies of one row, each divided by the weight.

    A row of weight w_i of which g_i is remembered counts v_i = w_i g_i; W is their sum. The scatter
    about the mean is 1 / (2 W) times the sum of v_i v_j (x_i - x_j)^2 over all i, j, so dividing it
    by D = W - sum(v_i^2) / W = sum of v_i v_j over i != j, divided by W, gives the weighted mean of
    (x_i - x_j)^2 / 2: unbiased for any weights, and unchanged by a factor on all of them. Where
    weights are counts, copies of one row are pairs too, w_i (w_i - 1) g_i^2 of them, and D is
    W - sum(w_i g_i^2) / W, that is W - 1 where nothing is forgotten. Weights are taken as counts
    where that is more.

    Kept as these two sums, not as sums of squares, since D is next to nothing beside W where one
    row outweighs all others; and divided by W, so that forgetting multiplies them as it does W.

    Examples
    --------
    >>> Pairs.of(np.array([3.0, 1.0]), None)  # one row three times, and another
    Pairs(rows=1.5, copies=1.5)
    >>> Pairs.of(np.array([3.0, 1.0]), None).denominator(4.0)
    3.0
    >>> Pairs.of(np.array([0.75, 0.25]), None).denominator(1.0)
    0.375
    """

    rows: float = 0.0
    copies: float = 0.0

    @classmethod
    def of(cls, weights: NDArray[np.float64], decay: NDArray[np.float64] | None) -> Pairs:
        """Those of rows with weights (m,) of which `decay` (m,) is remembered (None: all)."""
        remembered = np.ones_like(weights) if decay is None else decay
        v = weights * remembered
        total = float(v.sum())
        if total <= 0:
            return cls()
        unit = _unit(total)
        v *= unit
        before = np.concatenate([[0.0], np.cumsum(v[:-1])])  # no difference: see above
        rows, copies = 2.0 * (before @ v), ((weights - 1.0) * remembered) @ v
        return cls(float(rows) / (total * unit) / unit, float(copies) / (total * unit))

    @classmethod
    def of_equal(cls, m: float) -> Pairs:
        """Those of m rows of weight 1."""
        return cls(m - 1.0)

    @classmethod
    def of_effective(cls, weight: float, squared_weight: float) -> Pairs:
        """Those of rows of weight 1 of which the sum of squares of what is remembered is known."""
        return cls(max(weight - squared_weight / weight, 0.0)) if weight > 0 else cls()

    def scaled(self, factor: float) -> Pairs:
        """After forgetting."""
        return Pairs(self.rows * factor, self.copies * factor)

    def joined(self, weight: float, others: Pairs, their_weight: float) -> Pairs:
        """Those of these rows and others together."""
        total = weight + their_weight
        if total <= 0:
            return self
        unit = _unit(total)
        a, b, whole = weight * unit, their_weight * unit, total * unit
        rows = self.rows * a + others.rows * b + 2.0 * (weight * b)
        return Pairs(rows / whole, (self.copies * a + others.copies * b) / whole)

    def denominator(self, weight: float) -> float:
        """D; the weight itself where there is one row, whose scatter is zero."""
        found = self.rows + max(self.copies, 0.0)
        return found if found > 0 else (weight or 1.0)

    def effective_rows(self, weight: float, n_rows: int) -> float:
        """How many equal rows say as much as rows of this weight: their number, if all are equal.

        Examples
        --------
        >>> Pairs.of(np.array([0.75, 0.25]), None).effective_rows(1.0, n_rows=2)
        1.6
        """
        rest = weight - self.denominator(weight)
        # one row, or so many that the difference is lost
        return weight / rest if rest > 0 else max(1.0, float(n_rows))


def joint(weight: float, others: float) -> float:
    """What the difference between the means of two sets of rows weighs: w v / (w + v).

    Not by the product, which is 0 or infinite where both are 1e-170 or 1e170.

    Examples
    --------
    >>> joint(1e-300, 1e-300), joint(3.0, 6.0), joint(1e300, 1e300)
    (5e-301, 2.0, 5e+299)
    """
    less, more = (weight, others) if weight < others else (others, weight)
    return less * (more / (weight + others))


def row_weights(
    m: int, weights: NDArray[np.float64] | None, decay: NDArray[np.float64] | None
) -> tuple[float, Pairs, NDArray[np.float64] | None]:
    """Sum of what rows count, their pairs, and what each counts (None: all 1)."""
    if weights is None and decay is None:
        return float(m), Pairs.of_equal(m), None
    w = np.ones(m) if weights is None else np.asarray(weights, "float64")
    v = w if decay is None else w * np.asarray(decay, "float64")
    return float(v.sum()), Pairs.of(w, decay), v


ALONE = 1e-6
"""Share of the others beside one row below which it is added alone. In float32 the sum of squares
of a row about its own mean carries 1e-14 of its square, which beside 1e-6 is still nothing."""


def heaviest(weights: NDArray[np.float64] | None, decay: NDArray[np.float64] | None) -> int | None:
    """The row that outweighs all others together, if there is one; else None."""
    if weights is None and decay is None:
        return None
    v = np.multiply(1.0 if weights is None else weights, 1.0 if decay is None else decay)
    at = int(np.argmax(v))
    others = float(v[:at].sum()) + float(v[at + 1 :].sum())
    return at if 0.0 < others < ALONE * float(v[at]) else None


def with_pairs(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of moments, with pairs; the first had the sum of weight times decay squared alone.

    Its rows count as rows of weight 1, each seen once: what was divided by then is divided by now.

    Raises
    ------
    ValueError
        If they cannot be the pairs of any rows.
    """
    found = dict(state)
    if "pairs" not in found and {"weight", "squared_weight", "n_samples"} <= found.keys():
        weight, squared = float(found["weight"]), float(found["squared_weight"])
        found["pairs"] = np.array(Pairs.of_effective(weight, squared))
        found["n_copies"] = np.float64(found["n_samples"])
    pairs = np.asarray(found.get("pairs", (0.0, 0.0)))
    if pairs.shape != (2,) or not np.isfinite(pairs).all() or pairs[0] < 0:
        raise ValueError(
            f"the state of moments has pairs {pairs.tolist()}: two numbers, the first >= 0"
        )
    return found


def _unit(total: float) -> float:
    """A power of two that brings the total near 1.

    Its products with weights neither vanish nor overflow, and whole numbers stay whole.
    """
    return float(2.0 ** min(1 - math.frexp(total)[1], 1000))
