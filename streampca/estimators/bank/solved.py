"""Models read off many moments at once, as `ExactComponents` reads one; kept until rows come.

Knows moments and components; knows nothing of keys.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import completed
from streampca.learning import Model
from streampca.moments import MomentsBank, is_constant
from streampca.solvers import solve_many

Float64 = NDArray[np.float64]
Models = NDArray[np.int64]


class One(NamedTuple):
    """One model's moments and their solution, from which a learner goes on (`Saved`)."""

    moments_kind: str
    moments: dict[str, NDArray[Any]]
    components: NDArray[Any]
    explained_variance: Float64
    total_variance: float
    decoder: NDArray[Any]
    encoder: NDArray[Any]
    residuals: Float64
    scale: Float64 | None  # what centred features are divided by
    effective_rows: float


class Solved:
    """Components of each model, and which of them are of all its rows.

    Parameters
    ----------
    bank : MomentsBank
    p : int
        Number of components.
    scaled : bool
        Whether features count in units of their standard deviations as they are then.
    """

    def __init__(self, bank: MomentsBank, p: int, *, scaled: bool = False) -> None:
        self._bank = bank
        n = bank.n_features
        self.components = np.zeros((0, p, n), bank.dtype)
        self.values, self.residuals = np.zeros((0, p)), np.zeros((0, p))
        self.totals = np.zeros(0)
        self.scale = np.zeros((0, n)) if scaled else None
        self._is_fresh, self._was_read = np.zeros(0, bool), np.zeros(0, bool)

    @property
    def nbytes(self) -> int:
        """Bytes of what was read."""
        return sum(v.nbytes for v in vars(self).values() if isinstance(v, np.ndarray))

    def outdate(self, models: Models) -> None:
        """Rows have come to these models."""
        known = models[models < len(self._is_fresh)]
        self._is_fresh[known] = False

    def forget(self, models: Models) -> None:
        """These models begin anew: their signs, too."""
        self.outdate(models)
        self._was_read[models[models < len(self._was_read)]] = False

    def refresh(self, models: Models) -> None:
        """Solve those of these models that rows have come to."""
        self._grow()
        stale = np.unique(models[~self._is_fresh[models]])
        for start in range(0, len(stale), 1024):
            self._solve(stale[start : start + 1024])

    def _grow(self) -> None:
        """Room for all models there are, and some more."""
        have, need = len(self.totals), self._bank.n_models
        if need > have:
            more = max(need, have + have // 8) - have
            self.__dict__ |= {  # at once: a reading that is broken off leaves them in step
                name: np.concatenate([value, np.zeros((more, *value.shape[1:]), value.dtype)])
                for name, value in vars(self).items()
                if isinstance(value, np.ndarray)
            }

    def _solve(self, models: Models) -> None:
        bank, p = self._bank, self.components.shape[1]
        denominators = bank.denominators(models)
        if self.scale is None:
            found = solve_many(bank, models, p)
            totals = found.traces / denominators
        else:
            scale, varies = _spreads(bank, models)
            self.scale[models] = scale
            # what rounding left of a constant feature is no part of others'
            found = solve_many(bank, models, p, varies / scale)
            totals = varies.sum(axis=1).astype("float64")
        values = found.values / denominators[:, None]
        # below this there is only the rounding of the eigenvalue solver itself
        rounding = bank.n_features * float(np.finfo("float64").eps) * values[:, :1]
        values = np.where(values > rounding, values, 0.0)
        excess = values.sum(axis=1) - totals
        over = excess > 0
        share = totals[over] / (totals + excess)[over]
        values[over] *= share[:, None]
        C = np.where((values > 0)[:, :, None], found.components, 0.0)
        for i in np.flatnonzero(~(values > 0).all(axis=1)):
            C[i] = completed(C[i].T).T
        read = self._was_read[models]
        self.components[models] = _oriented(C, self.components[models], read)
        self.values[models], self.totals[models] = values, totals
        self.residuals[models] = found.residuals
        self._is_fresh[models], self._was_read[models] = True, True

    def put(self, model: int, saved: Any) -> None:
        """The solution of a model that was read elsewhere, with the rows that it has."""
        self._grow()
        self.components[model] = saved.components
        self.values[model], self.residuals[model] = saved.explained_variance, saved.residuals
        self.totals[model] = saved.total_variance
        if self.scale is not None:
            self.scale[model] = saved.scale
        self._is_fresh[model] = self._was_read[model] = True

    def one(self, model: int) -> One:
        """What is read of one model, with its moments."""
        self.refresh(np.array([model]))
        C, moments = np.array(self.components[model]), self._bank.load(model)
        return One(
            "dense",
            moments.state(),
            C,
            np.array(self.values[model]),
            float(self.totals[model]),
            C.T,
            C,
            np.array(self.residuals[model]),
            None if self.scale is None else np.array(self.scale[model]),
            moments.effective_rows,
        )

    def model(self, model: int) -> Model:
        """What a reader of one model needs; it is fresh."""
        bank, C = self._bank, np.array(self.components[model])
        one = np.array([model])
        return Model(
            mean=bank.means(one)[0],
            components=C,
            eigenvalues=np.array(self.values[model]),
            total_variance=float(self.totals[model]),
            n_samples=int(bank.counts("n_samples")[model]),
            weight=float(bank.counts("weight")[model]),
            denominator=float(bank.denominators(one)[0]),
            decoder=C.T,
            encoder=C,
            loss=0.0,  # which no row has a part in
            residuals=np.array(self.residuals[model]),
            discarded_variance=0.0,
            n_copies=float(bank.counts("n_copies")[model]),
            scale=None if self.scale is None else np.array(self.scale[model]),
        )

    def centred(self, models: Models, X: NDArray[Any]) -> NDArray[Any]:
        """Rows X (k, m, n) less the means of their models, in units of their scales."""
        D = np.asarray(X - self._bank.means(models).astype(X.dtype)[:, None])
        return D if self.scale is None else D / self.scale[models].astype(X.dtype)[:, None]

    def fields(self, model: int, one: One) -> dict[str, Any]:
        """The fields of a checkpoint of one model that say what has been learned."""
        counts = self._bank.counts
        there = one.total_variance > 0
        ratio = (
            one.explained_variance / one.total_variance
            if there
            else np.zeros_like(one.explained_variance)
        )
        found = {name: getattr(one, name) for name in one._fields}
        return found | {
            "n_samples_seen": int(counts("n_samples")[model]),
            "weight": float(counts("weight")[model]),
            "mean": one.moments["mean"],
            "explained_variance_ratio": ratio,
        }

    def scales(self, models: Models, dtype: str) -> Float64:
        """1 / standard deviation of each coordinate (k, p), 0 where there is none."""
        own, double = (float(np.finfo(d).eps) for d in (self.components.dtype, "float64"))
        means = np.abs(self._bank.means(models))
        largest = (means if self.scale is None else means / self.scale[models]).max(axis=1)
        values = self.values[models]
        floor = np.maximum(8 * own * values[:, 0], (own * largest) ** 2 / 12)
        floor = np.maximum(floor, (4 * double * largest) ** 2)
        shown = values > np.maximum(floor, 1e-70 if dtype == "float32" else 0.0)[:, None]
        return np.where(shown, np.where(shown, values, 1.0) ** -0.5, 0.0)


def _spreads(bank: MomentsBank, models: Models) -> tuple[Float64, NDArray[np.bool_]]:
    """Standard deviations (k, n), 1 of constant features, and which vary, as of one model."""
    squares = np.zeros((len(models), bank.n_features))
    for which, Z in bank.rows_of_few(models):
        squares[which] = np.einsum("krn,krn->kn", Z, Z)
    for which, S in bank.matrices(models):
        squares[which] = np.einsum("kii->ki", S)
    spread = np.sqrt(squares / bank.denominators(models)[:, None])
    varies = ~is_constant(spread, bank.means(models), bank.dtype)
    return np.where(varies, spread, 1.0), varies


def _oriented(C: Float64, previous: NDArray[Any], was_read: NDArray[np.bool_]) -> Float64:
    """As `arrays.oriented`, for components C (k, p, n) of k models."""
    at = np.abs(C).argmax(axis=2)[:, :, None]
    signs = np.sign(np.take_along_axis(C, at, axis=2)[:, :, 0])
    if was_read.any():
        cosines = C @ previous.astype("float64").transpose(0, 2, 1)
        at = np.abs(cosines).argmax(axis=2)[:, :, None]
        nearest = np.take_along_axis(cosines, at, axis=2)[:, :, 0]
        alike = was_read[:, None] & (np.abs(nearest) > 0.1)
        signs = np.where(alike, np.sign(nearest), signs)
    return C * np.where(signs == 0, 1.0, signs)[:, :, None]
