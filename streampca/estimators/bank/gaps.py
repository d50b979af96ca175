"""Gaps of rows of many keys, filled by the models of their keys as `learning.Gaps` fills one's.

Knows moments and models by their numbers; knows nothing of keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.estimators.bank.solved import Solved
from streampca.learning import Gaps
from streampca.moments import MomentsBank

Models = NDArray[np.int64]


class ManyGaps:
    """Which features of which models have been gaps in every row so far.

    Parameters
    ----------
    bank : MomentsBank
    solved : Solved
        The models that fill gaps of later rows.
    """

    def __init__(self, bank: MomentsBank, solved: Solved) -> None:
        self._bank, self._solved = bank, solved
        self.unseen: NDArray[np.bool_] = np.zeros((0, bank.n_features), bool)

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        return self.unseen.nbytes

    def of(self, model: int) -> NDArray[np.bool_]:
        """Features (n,) that no row of a model has had."""
        none = np.zeros(self._bank.n_features, bool)
        return self.unseen[model].copy() if model < len(self.unseen) else none

    def put(self, model: int, unseen: NDArray[np.bool_]) -> None:
        """The same of a model that was learned elsewhere."""
        if model >= len(self.unseen) and not unseen.any():
            return
        self._grow()
        self.unseen[model] = unseen

    def _grow(self) -> None:
        more = self._bank.n_models - len(self.unseen)
        if more > 0:
            room = np.zeros((max(more, len(self.unseen) // 8), self._bank.n_features), bool)
            self.unseen = np.concatenate([self.unseen, room])

    # --- rows to learn from ---------------------------------------------------------------------

    def filled(self, models: Models, X: NDArray[Any]) -> NDArray[Any]:
        """Rows X (k, m, n) to learn from next, of models no two the same, without gaps.

        Gaps of a model's first rows are filled by these rows' own means, later ones by the model of
        the rows so far. A feature that has its first values moves there, which changes no sums.
        """
        gaps = np.isnan(X)
        self._grow()
        if not gaps.any() and not self.unseen[models].any():
            return X
        first = self._bank.counts("weight")[models] == 0
        means, seen = _means(X, gaps)
        new = self.unseen[models] & seen & ~first[:, None]
        self.unseen[models] = np.where(first[:, None], ~seen, self.unseen[models] & ~seen)
        some = new.any(axis=1)
        if some.any():
            self._bank.move_means(models[some], np.where(new, means, 0.0)[some])
            self._solved.outdate(models[some])
        if first.any():
            at = np.broadcast_to(means[:, None], X.shape).astype(X.dtype)
            X = np.where(gaps & first[:, None, None], at, X)
        gaps &= ~first[:, None, None]
        filled = self.expected(models, X, gaps)
        for i in np.flatnonzero(gaps.any(axis=(1, 2))):
            filled[i] = Gaps.standing(X[i], filled[i], self._bank.load(int(models[i])))
        return filled

    def expected(
        self, models: Models, X: NDArray[Any], gaps: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """Rows X (k, m, n) with their gaps filled by the models as they stand."""
        gaps = np.isnan(X) if gaps is None else gaps
        with_gaps = np.flatnonzero(gaps.any(axis=(1, 2)))
        if not len(with_gaps):
            return X
        self._solved.refresh(models[with_gaps])
        found = X.copy()
        for i in with_gaps:
            found[i] = self._solved.model(int(models[i])).fill(X[i])
        return found


def _means(X: NDArray[Any], gaps: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The means (k, n) of what rows (k, m, n) have, and which features have any."""
    counts = (~gaps).sum(axis=1)
    sums = np.where(gaps, 0, X).sum(axis=1, dtype="float64")
    return sums / np.maximum(counts, 1), counts > 0
