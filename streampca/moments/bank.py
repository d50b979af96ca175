"""Dense moments of many small models at once: the same sums, formed for all of them together.

What a model has is what `DenseMoments` of its rows have, to rounding (1e-12), in float64 whatever
the rows' type: for small models products are not what takes the time. Knows nothing of keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import one_thread
from streampca.moments.base import LEAST_WEIGHT
from streampca.moments.dense import DenseMoments
from streampca.moments.many_pairs import joined, joint, outweighed, row_weights
from streampca.moments.pairs import Pairs
from streampca.moments.pool import Index, Places, Pool
from streampca.moments.thin import pays
from streampca.rows import Minibatch

Float64 = NDArray[np.float64]

_COUNTS = ("n_samples", "weight", "n_copies", "rows", "copies")


class MomentsBank:
    """Counts, means and scatter matrices of models 0, 1, 2, ...

    Parameters
    ----------
    n_features : int
        Of every model.
    center : bool
        Whether scatter is taken about the mean.
    dtype : {"float32", "float64"}
        What `DenseMoments` of a model by itself form products in.
    """

    def __init__(self, n_features: int, *, center: bool = True, dtype: str = "float64") -> None:
        self.n_features, self.center, self.dtype = n_features, center, dtype
        self.n_models = 0
        self.bound = 0.0  # on the sum of squares of any model, for callers
        self._most_rows = (n_features - 1) // 2
        while self._most_rows and not pays(self._most_rows, n_features):
            self._most_rows -= 1
        self._counts: dict[str, NDArray[Any]] = {name: np.zeros(0) for name in _COUNTS}
        self._counts |= {"place": np.zeros(0, int), "n_rows": np.zeros(0, int)}
        self._means = Pool((n_features,))
        self._thin = Pool((self._most_rows, n_features))
        self._dense = Pool((n_features, n_features))

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        pools = self._means.nbytes + self._thin.nbytes + self._dense.nbytes
        return pools + sum(column.nbytes for column in self._counts.values())

    def counts(self, name: str) -> Float64:
        """One of `n_samples`, `weight`, `n_copies` of each model, (K,): a view."""
        return np.asarray(self._counts[name][: self.n_models])

    def denominators(self, models: Places) -> Float64:
        """What each scatter matrix is divided by, as `Stream.denominator`."""
        weight = self._counts["weight"][models]
        if self.center:
            pairs = self._counts["rows"][models] + np.maximum(self._counts["copies"][models], 0.0)
            weight = np.where(pairs > 0, pairs, weight)
        return np.where(weight == 0, 1.0, weight)

    def means(self, models: Places) -> Float64:
        """Means (k, n), copies."""
        return self._means.get(models)

    def grow(self, count: int) -> Places:
        """So many more models, which have seen no rows; their numbers."""
        first, self.n_models = self.n_models, self.n_models + count
        room = len(self._counts["place"])
        if self.n_models > room:
            more = max(self.n_models, room + room // 8 + 64) - room
            for name, column in self._counts.items():
                self._counts[name] = np.concatenate([column, np.zeros(more, column.dtype)])
        models = np.arange(first, self.n_models)
        self._means.take(count)  # in step with the models' numbers
        self._means.put(models, np.zeros((count, self.n_features)))
        pool = self._thin if self._most_rows else self._dense
        self._counts["place"][models] = pool.take(count)
        # -1 row: all of the matrix
        self._counts["n_rows"][models] = 0 if self._most_rows else -1
        if not self._most_rows:
            self._zero(models)
        return models

    def _zero(self, models: Places) -> None:
        for _, block, at in self._dense.parts(self._counts["place"][models]):
            block[at] = 0.0

    # --- rows in ----------------------------------------------------------------------------

    def update(
        self, models: Places, X: Float64, weights: Float64 | None, decay: Float64 | None
    ) -> None:
        """Add m rows to each of k models, no two the same: X (k, m, n), weights (k, m), decay (m,).

        Rows are checked, and no weight is 0; X may be written to. It is for the caller to know that
        sums stay finite.
        """
        if weights is not None:
            alone = outweighed(weights if decay is None else weights * decay)
            for i in np.flatnonzero(alone):
                moments = self.load(int(models[i]))
                moments.update(Minibatch(X[i].astype(self.dtype), weights[i], decay))
                self.store(int(models[i]), moments)
            if alone.any():
                models, X, weights = models[~alone], X[~alone], weights[~alone]
        before = self._counts["weight"][models] > 0
        for some in (np.flatnonzero(before), np.flatnonzero(~before)):
            if len(some) == len(models):
                self._update(models, X, weights, decay)
            elif len(some):
                w = None if weights is None else weights[some]
                self._update(models[some], X[some], w, decay)

    def _update(
        self, models: Places, X: Float64, weights: Float64 | None, decay: Float64 | None
    ) -> None:
        """As `update`, of models that have all seen rows, or none of which has."""
        counts, m = self._counts, X.shape[1]
        total, rows, copies, v = row_weights(len(models), m, weights, decay)
        weight = counts["weight"][models]
        Z, between = X.astype("float64", copy=False), None
        if self.center:
            mean = self._means.get(models)
            shift = np.where((weight > 0)[:, None], mean, Z[:, 0])
            Z -= shift[:, None]
            shares = np.full((len(models), m), 1.0 / m) if v is None else v / total[:, None]
            offset = shares[:, None] @ Z  # (k, 1, n) means of these rows, less the shift
            Z -= offset
            step = shift + offset[:, 0] - mean
            Z = Z if m > 1 else Z[:, :0]  # one row about itself is zero
        if v is not None and Z.shape[1]:
            Z *= np.sqrt(v)[:, :, None]
        if self.center:
            if weight.any():
                between = step * np.sqrt(joint(weight, total))[:, None]
            self._means.put(models, mean + step * (total / (weight + total))[:, None])
        self._add_scatter(models, Z, between)
        here = weight, counts["rows"][models], counts["copies"][models]
        counts["rows"][models], counts["copies"][models] = joined(here, (total, rows, copies))
        counts["weight"][models] += total
        counts["n_samples"][models] += m
        counts["n_copies"][models] += m if weights is None else np.maximum(weights, 1.0).sum(axis=1)

    def _add_scatter(self, models: Places, Z: Float64, between: Float64 | None) -> None:
        """Add Z'Z for Z (k, r, n), and the outer product of `between` (k, n) where there is one."""
        n_rows, r = self._counts["n_rows"][models], Z.shape[1]
        more = r + (between is not None)
        thin = (n_rows >= 0) & (n_rows + more <= self._most_rows)
        self._turn_dense(models[(n_rows >= 0) & ~thin])
        places = self._counts["place"][models]
        for start in np.unique(n_rows[thin]):
            some = np.flatnonzero(n_rows == start)
            for which, block, at in self._thin.parts(places[some]):
                block[at, start : start + r] = _chosen(Z, some, which)
                if between is not None:
                    block[at, start + r] = _chosen(between, some, which)
        self._counts["n_rows"][models[thin]] += more
        some = np.flatnonzero(~thin)
        with one_thread():
            for which, block, at in self._dense.parts(places[some]):
                mine = _chosen(Z, some, which)
                if between is not None:
                    mine = np.concatenate([mine, _chosen(between, some, which)[:, None]], axis=1)
                block[at] += mine.transpose(0, 2, 1) @ mine

    def _turn_dense(self, models: Places) -> None:
        """Make matrices of rows."""
        if not len(models):
            return
        places = self._dense.take(len(models))
        for start in range(0, len(models), 64):
            some = slice(start, start + 64)
            self._dense.put(places[some], self.scatters(models[some]))
        self._thin.free(self._counts["place"][models])
        self._counts["place"][models], self._counts["n_rows"][models] = places, -1

    # --- forgetting, merging ------------------------------------------------------------------

    def decay(self, models: Places, factor: float | Float64) -> None:
        """Multiply weights by a factor in [0, 1], or one each (k,), as `Moments.decay`."""
        weight = self._counts["weight"][models]
        factors = np.full(len(models), factor, "float64")
        least = (weight * factors < LEAST_WEIGHT) & (2.0 * weight > LEAST_WEIGHT) & (factors > 0)
        factors[least] = np.minimum(1.0, LEAST_WEIGHT / weight[least])
        n_rows = self._counts["n_rows"][models]
        for pool, mine, roots in (
            (self._thin, n_rows >= 0, factors**0.5),
            (self._dense, n_rows < 0, factors),
        ):
            some = np.flatnonzero(mine)
            for which, block, at in pool.parts(self._counts["place"][models[some]]):
                block[at] *= roots[some[which]][:, None, None]
        for name in ("weight", "rows", "copies"):
            self._counts[name][models] *= factors

    def move_means(self, models: Places, steps: Float64) -> None:
        """Add steps (k, n) to means: of features that have had one value in all rows so far."""
        if self.center:  # else rows, and gaps, stand about zero
            self._means.put(models, self._means.get(models) + steps)

    def load(self, model: int) -> DenseMoments:
        """One model's moments by themselves; copies."""
        one = np.array([model])
        counts = {name: self._counts[name][model] for name in _COUNTS}
        n_rows = int(self._counts["n_rows"][model])
        state: dict[str, Any] = {
            "n_samples": np.int64(counts["n_samples"]),
            "weight": counts["weight"],
            "n_copies": counts["n_copies"],
            "pairs": np.array([counts["rows"], counts["copies"]]),
            "center": np.bool_(self.center),
            "single_precision": np.bool_(self.dtype == "float32"),
            "mean": self._means.get(one)[0],
        }
        if n_rows >= 0:
            state["factor"] = self._thin.get(self._counts["place"][one])[0, :n_rows]
        else:
            state["scatter"] = self._dense.get(self._counts["place"][one])[0]
        return DenseMoments.from_state(state, device=None)

    def store(self, model: int, moments: DenseMoments) -> None:
        """Replace one model's moments."""
        one, state = np.array([model]), moments.state()
        pairs = Pairs(*state["pairs"].tolist())
        values = (moments.n_samples, moments.weight, moments.n_copies, pairs.rows, pairs.copies)
        for name, value in zip(_COUNTS, values, strict=True):
            self._counts[name][model] = value
        self._means.put(one, moments.mean[None])
        with np.errstate(over="ignore"):
            about_zero = moments.weight * float((moments.mean**2).sum())
        trace = moments.total_variance * moments.denominator
        self.bound = max(self.bound, min(trace + about_zero, float(np.finfo("float64").max)))
        factor = state.get("factor")
        if factor is not None and self._counts["n_rows"][model] >= 0:
            rows = np.zeros((1, *self._thin.shape))
            rows[0, : len(factor)] = factor
            self._thin.put(self._counts["place"][one], rows)
            self._counts["n_rows"][model] = len(factor)
            return
        self._turn_dense(one[self._counts["n_rows"][one] >= 0])
        self._dense.put(self._counts["place"][one], moments.scatter[None])

    def clear(self, model: int) -> None:
        """Forget all rows of one model."""
        empty = DenseMoments(self.n_features, center=self.center, dtype=self.dtype, device=None)
        one = np.array([model])
        if self._most_rows and self._counts["n_rows"][model] < 0:
            self._dense.free(self._counts["place"][one])
            self._counts["place"][one], self._counts["n_rows"][one] = self._thin.take(1), 0
        self.store(model, empty)

    # --- readings -------------------------------------------------------------------------------

    def rows_of_few(self, models: Places) -> Iterator[tuple[Places, Float64]]:
        """Models that are kept as rows, and these (k, r, n), r alike: by number of rows, in parts.

        What is given first are places in `models`.
        """
        n_rows = self._counts["n_rows"][models]
        for r in np.unique(n_rows[n_rows >= 0]):
            some = np.flatnonzero(n_rows == r)
            for which, block, at in self._thin.parts(self._counts["place"][models[some]]):
                yield some[which], block[at, :r]

    def matrices(self, models: Places) -> Iterator[tuple[Places, Float64]]:
        """Models that are kept as matrices, and these (k, n, n), in parts; places as above."""
        some = np.flatnonzero(self._counts["n_rows"][models] < 0)
        for which, block, at in self._dense.parts(self._counts["place"][models[some]]):
            yield some[which], block[at]

    def scatters(self, models: Places) -> Float64:
        """Scatter matrices (k, n, n), copies."""
        found = np.zeros((len(models), self.n_features, self.n_features))
        with one_thread():
            for which, Z in self.rows_of_few(models):
                found[which] = Z.transpose(0, 2, 1) @ Z
        for which, S in self.matrices(models):
            found[which] = S
        return found


def _chosen(values: Float64, some: Places, which: Index) -> Float64:
    """values[some[which]], without a copy where some are all."""
    if len(some) == len(values) and isinstance(which, slice):
        return values[which]
    return np.asarray(values[some[which]])
