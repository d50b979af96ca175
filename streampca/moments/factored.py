"""Factored moments: the q leading directions and eigenvalues, the model itself remembers.

Memory is O(n q), whatever n; no n x n array is ever formed. A minibatch of up to q rows is added
exactly and truncated (Brand 2006; Ross et al. 2008); a larger one by one exact step of the nested
loss on what is remembered and the minibatch together, at three thin products with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streampca._arrays import Array, cast, namespace, to_device, to_numpy, zeros
from streampca.moments.base import Moments
from streampca.moments.compress import Compressed, Directions, stack, step, towards_orthonormal
from streampca.moments.rows import CentredRows

_COLD_STEPS = 3
"""Exact steps while there are fewer than q directions to step from; one is enough later."""

_PROBES = 4
"""Random combinations of each minibatch's rows that look for directions nobody has seen."""


class FactoredMoments(Moments):
    """Sigma remembered as U diag(s) U' with U (n, q) orthonormal.

    Columns of U with s = 0 may be zero: there are no such directions yet.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 6)) @ np.diag([9, 5, 3, 0, 0, 0])
    >>> moments = FactoredMoments(6, 3, dtype="float64", device=None)
    >>> moments.update(X[:20]); moments.update(X[20:])
    >>> bool(np.allclose(moments @ np.eye(6), np.cov(X.T)))
    True
    """

    kind: ClassVar[str] = "factored"
    _second_names: ClassVar[tuple[str, ...]] = ("directions", "eigenvalues", "squares", "lost")

    def __init__(
        self,
        n_features: int,
        n_directions: int,
        *,
        center: bool = True,
        dtype: str = "float32",
        device: str | None,
    ) -> None:
        super().__init__(n_features, center=center, dtype=dtype, device=device)
        self.n_directions = min(n_directions, n_features)
        self._directions = zeros((n_features, self.n_directions), dtype, device)
        self._eigenvalues = zeros((self.n_directions,), "float64", device)
        self._squares = zeros((n_features,), "float64", device)
        self._lost = zeros((1,), "float64", device)
        self._full = False

    @classmethod
    def of(cls, moments: Moments, n_directions: int) -> FactoredMoments:
        """What factored moments with this many directions remember of moments of any kind."""
        self = cls(
            moments.n_features,
            n_directions,
            center=moments.center,
            dtype=moments.dtype,
            device=moments.device,
        )
        self.n_samples, self.weight = moments.n_samples, moments.weight
        self.squared_weight, self._mean = moments.squared_weight, moments._mean * 1.0
        U, values = moments.leading(self.n_directions + 1)
        s = namespace(values).clip(values, 0.0, None) * moments.denominator
        q = min(self.n_directions, len(s))
        self._directions[:, :q] = cast(U[:, :q], self.dtype)
        self._eigenvalues[:q] = s[:q]
        self._squares = moments._scatter_diagonal * 1.0
        self._lost = self._lost + moments.discarded_variance * moments.denominator
        self._lost = self._lost + s[q:].sum()
        return self

    def widened(self, places: NDArray[np.int64], mean: NDArray[np.float64]) -> FactoredMoments:
        directions = np.zeros((len(mean), self.n_directions))
        directions[places] = to_numpy(self._directions)
        squares = np.zeros(len(mean))
        squares[places] = to_numpy(self._squares)
        return self._widened_with(places, mean, directions=directions, squares=squares)

    def _absorb(self, rows: CentredRows) -> None:
        squares = self._squares + rows.squares
        old = Directions(self._directions, self._eigenvalues)
        if rows.n_rows <= self.n_directions:
            self._keep(stack(old, rows.densified(0, rows.n_rows)))
        else:
            self._keep(self._stepped(old, rows))
        self._squares = squares

    def _stepped(self, old: Directions, rows: CentredRows) -> Compressed:
        draws = np.random.default_rng(self.n_samples)  # the same rows give the same bits
        probes = self._signs(draws, (rows.n_rows, _PROBES))
        if self._has_all_directions():
            return step(old, rows, old.U, probes)
        q = self.n_directions
        mixed = rows.combine(self._signs(draws, (rows.n_rows, q)) * q**-0.5)  # (n, q)
        result = stack(old, cast(mixed, self.dtype).T)
        for _ in range(_COLD_STEPS):
            result = step(old, rows, result.kept.U, probes)
        return result

    def _signs(self, draws: np.random.Generator, shape: tuple[int, int]) -> Array:
        signs = 2.0 * draws.integers(0, 2, shape, dtype=np.int8) - 1.0
        return to_device(signs.astype(self.dtype), self.device)

    def _has_all_directions(self) -> bool:
        # once full it stays so (Sigma only grows, or shrinks as a whole): a device is asked, and
        # waited for, only until then
        if not self._full:
            self._full = bool(self._eigenvalues[-1] > 0)
        return self._full

    def _keep(self, result: Compressed) -> None:
        self._directions = cast(result.kept.U, self.dtype)
        self._eigenvalues = result.kept.s
        self._lost = self._lost + result.lost

    def _merge_second(self, other: Self, between: Array) -> None:
        theirs = cast(to_device(other._directions, self.device), "float64")
        root = to_device(other._eigenvalues, self.device) ** 0.5
        Z = namespace(theirs).concatenate([(theirs * root).T, between[None]])  # (q + 1, n)
        result = stack(Directions(self._directions, self._eigenvalues), Z)
        self._keep(result)
        self._lost = self._lost + to_device(other._lost, self.device)
        self._squares = self._squares + to_device(other._squares, self.device) + between**2

    def _scale_second(self, factor: float) -> None:
        self._eigenvalues = self._eigenvalues * factor
        self._squares = self._squares * factor
        self._lost = self._lost * factor

    def _product(self, V: Array) -> Array:
        U = cast(self._directions, "float64")
        return U @ (self._eigenvalues[:, None] * (U.T @ cast(V, "float64")))

    @property
    def _scatter_diagonal(self) -> Array:
        return self._squares

    @property
    def discarded_variance(self) -> float:
        return float(self._lost[0]) / self.denominator

    def leading(self, k: int) -> tuple[Array, Array]:
        k = min(k, self.n_directions)
        U = towards_orthonormal(cast(self._directions[:, :k], "float64"))
        return U, self._eigenvalues[:k] / self.denominator

    @classmethod
    def _empty_like(cls, state: Mapping[str, Any], device: str | None) -> Self:
        dtype = "float32" if bool(state["single_precision"]) else "float64"
        n, q = np.asarray(state["directions"]).shape
        return cls(n, q, center=bool(state["center"]), dtype=dtype, device=device)
