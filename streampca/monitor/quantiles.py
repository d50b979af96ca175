"""Quantiles of a stream of numbers in memory that does not grow, closest where limits lie."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streampca.monitor.limits import check_confidence, empirical_limit

Float64 = NDArray[np.float64]

_CLUSTERS = 400
"""At 0.99 a cluster holds up to 0.16 % of the values: below the binomial error of 4,000 rows."""
_BUFFER = 1000


class QuantileSketch:
    """Any quantile of a stream of numbers; fine in the tails, coarse in the middle.

    Up to 1,000 numbers are kept as they are, and quantiles are exact. Of more, neighbours are
    merged into at most 201 clusters (mean and count), whose sizes follow Dunning and Ertl's
    t-digest (2019): a cluster at quantile q holds at most a share 2 pi sqrt(q (1 - q)) / 400.

    Attributes
    ----------
    count : int
        Numbers seen.

    Examples
    --------
    >>> import numpy as np
    >>> sketch = QuantileSketch()
    >>> for block in np.random.default_rng(0).permutation(100_000).reshape(100, 1000):
    ...     sketch.update(block)
    >>> round(sketch.limit(0.99) / 100_000, 3)
    0.99
    >>> sketch.n_kept < 1500
    True
    """

    def __init__(self) -> None:
        self.count = 0
        self._means: Float64 = np.empty(0)
        self._counts: Float64 = np.empty(0)
        self._waiting: list[Float64] = []
        self._n_waiting = 0

    @property
    def n_kept(self) -> int:
        """Numbers in memory: clusters, and numbers that wait."""
        return len(self._means) + self._n_waiting

    def update(self, values: ArrayLike) -> None:
        """Take in more numbers; ValueError, with nothing taken, if one is not finite."""
        values = np.array(values, "float64").ravel()  # a copy: it may wait for long
        if not np.isfinite(values).all():
            where = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"value {where} is {values[where]}: quantiles are of finite numbers")
        self.count += len(values)
        self._waiting.append(values)
        self._n_waiting += len(values)
        if self._n_waiting > _BUFFER:
            self._compress()

    def merge(self, other: QuantileSketch) -> Self:
        """Take in all that another has seen."""
        other._gather()
        self._gather()
        self.count += other.count
        self._means = np.concatenate([self._means, other._means])
        self._counts = np.concatenate([self._counts, other._counts])
        if len(self._means) > _BUFFER:
            self._compress()
        return self

    def clusters(self) -> Float64:
        """What has been seen as (2, k) values in their order, and how many each stands for.

        k is at most 400; of so many numbers, these are the numbers themselves.
        """
        if self.count > _CLUSTERS:
            self._compress()
        return np.stack(self._in_order())

    @classmethod
    def of_clusters(cls, clusters: ArrayLike) -> Self:
        """A sketch that goes on from `clusters`."""
        made = cls()
        made._means, made._counts = np.array(clusters, "float64")
        made.count = round(float(made._counts.sum()))
        return made

    def limit(self, confidence: float = 0.99) -> float:
        """The value that a share 1 - confidence exceeds.

        Raises
        ------
        ValueError
            If nothing was seen, or so few that no value is known to be exceeded so rarely.
        """
        check_confidence(confidence)
        if self.count * (1.0 - confidence) < 1.0 - 1e-9:
            raise ValueError(
                f"an empirical limit at confidence={confidence!r} needs "
                f"{int(np.ceil(1.0 / (1.0 - confidence) - 1e-6)):,} normal rows at least, and has "
                f"{self.count:,}: calibrate with more, or choose another method"
            )
        means, counts = self._in_order()
        if len(means) == self.count:
            return empirical_limit(means, confidence)
        middles = np.cumsum(counts) - counts / 2
        return float(np.interp(confidence * self.count, middles, means))

    def _gather(self) -> None:
        """What waits becomes clusters of one."""
        if self._waiting:
            self._means = np.concatenate([self._means, *self._waiting])
            self._counts = np.concatenate([self._counts, np.ones(self._n_waiting)])
            self._waiting, self._n_waiting = [], 0

    def _in_order(self) -> tuple[Float64, Float64]:
        """Means and counts of all clusters, the smallest first."""
        self._gather()
        order = np.argsort(self._means, kind="stable")
        return self._means[order], self._counts[order]

    def _compress(self) -> None:
        """Merge neighbours that fall into the same unit of k(q) = 400 asin(2 q - 1) / 2 pi."""
        means, counts = self._in_order()
        q = (np.cumsum(counts) - counts / 2) / self.count
        k = np.floor(_CLUSTERS * np.arcsin(2 * q - 1) / (2 * np.pi))
        starts = np.flatnonzero(np.diff(k, prepend=-np.inf))
        self._counts = np.add.reduceat(counts, starts)
        self._means = np.add.reduceat(means * counts, starts) / self._counts


class Smooth:
    """Quantiles of the running means of SPE and T^2, of rows in their order."""

    def __init__(
        self, weight: float, sketches: tuple[QuantileSketch, QuantileSketch] | None = None
    ) -> None:
        if not (isinstance(weight, int | float | np.floating) and 0 < weight <= 1):
            raise ValueError(
                f"ewma={weight!r} is not accepted: give the weight of a new row, above 0 and at "
                "most 1"
            )
        self._weight = weight
        self._means: list[float] | None = None
        self.sketches = sketches or (QuantileSketch(), QuantileSketch())

    def update(self, spe: Float64, t2: Float64) -> None:
        """Take in the rows that follow; the first stand for the mean before them."""
        for place, (sketch, values) in enumerate(zip(self.sketches, (spe, t2), strict=True)):
            if len(values) == 0:
                return
            if self._means is None:
                self._means = [float(spe.mean()), float(t2.mean())]
            mean, found = self._means[place], np.empty(len(values))
            for i, value in enumerate(values.tolist()):
                mean += self._weight * (value - mean)
                found[i] = mean
            self._means[place] = mean
            sketch.update(found)

    def limits(self, confidence: float) -> tuple[float, float]:
        """Of SPE and T^2."""
        spe, t2 = (sketch.limit(confidence) for sketch in self.sketches)
        return spe, t2
