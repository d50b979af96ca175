"""What a bank of models is made of: parameters, moments, what was read of them, and their keys.

Knows how one model leaves and enters; nothing of rows but that they are checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import dtype_name, to_numpy
from streampca.checkpoint import Checkpoint, Key
from streampca.estimators.bank.gaps import ManyGaps
from streampca.estimators.bank.keys import listed, naming_keys, read_keys
from streampca.estimators.bank.learning import Kept, Rows, learn
from streampca.estimators.bank.solved import One, Solved
from streampca.estimators.parameters import Parameters
from streampca.estimators.pca import StreamingPCA
from streampca.estimators.shared import refuse_other_names
from streampca.exceptions import NotFittedError, UnknownKeyError
from streampca.learning import (
    Change,
    ComponentLearner,
    check_parameters,
    learner_of_components,
    refuse_changes,
    resolve_parameters,
)
from streampca.moments import DenseMoments, Moments, MomentsBank
from streampca.rows import LARGEST, check_weighted, read_rows, read_weights

SHARED = (
    *("n_components", "whiten", "scale", "forgetting_factor", "half_life", "center", "missing"),
    "dtype",
)
"""Parameters of a bank, with the names and meanings of `StreamingPCA`'s."""

_CHANGEABLE = ("whiten", "forgetting_factor", "half_life", "missing")


class Same(NamedTuple):
    """The key of all rows."""

    key: Key


class Models(Parameters):
    """The models of a bank by their keys."""

    missing: str
    dtype: str | None

    _change: Change  # entered while anything below is between two states
    _used: dict[str, Any]
    _solved: Solved
    _gaps: ManyGaps
    _models: dict[Key, int]
    _spare: list[int]  # numbers of models whose keys have been deleted
    _learners: dict[Key, ComponentLearner]
    _bank: MomentsBank | None = None
    _feature_names: tuple[str, ...] | None = None

    # --- beginning ------------------------------------------------------------------------------

    @property
    def _single(self) -> dict[str, Any]:
        """Parameters of a `StreamingPCA` that learns the same."""
        own = {name: getattr(self, name) for name in SHARED}
        return StreamingPCA().get_params() | own | {"memory": "dense"}

    def _settings(self) -> dict[str, Any]:
        return StreamingPCA(**self._single)._settings()

    def _start(self, n_features: int, dtype: str, names: tuple[str, ...] | None) -> None:
        parameters = self._single
        check_parameters(parameters)
        p = parameters["n_components"]
        if isinstance(p, float | str):
            raise ValueError(
                f"n_components={p!r} is not accepted: the models of a bank have one number of "
                "components; give a whole number, or None for all"
            )
        options = resolve_parameters(parameters, n_features)
        bank = MomentsBank(n_features, center=parameters["center"], dtype=dtype)
        solved = Solved(bank, options.n_components, scaled=parameters["scale"])
        self.__dict__ |= {
            "_change": Change(),
            "_used": {name: parameters[name] for name in SHARED},
            "_bank": bank,
            "_solved": solved,
            "_gaps": ManyGaps(bank, solved),
            "_models": {},
            "_spare": [],
            "_learners": {},
            "_feature_names": names,
        }

    @property
    def _begun(self) -> MomentsBank:
        if self._bank is None:
            raise NotFittedError.of(self)
        self._change.check()
        return self._bank

    # --- rows -----------------------------------------------------------------------------------

    def _rows(self, X: Any, keys: Any, sample_weight: Any = None) -> Rows:
        """Rows that count, checked against those before."""
        dtype = self.dtype if self._bank is None else self._bank.dtype
        gaps, alone = self.missing == "impute", isinstance(keys, Same)
        with nullcontext() if alone else naming_keys(keys):
            rows = read_rows(
                X,
                feature_names=self._feature_names,
                n_features=None if self._bank is None else self._bank.n_features,
                allow_missing=gaps,
                largest=float(np.finfo("float32").max) if dtype == "float32" else LARGEST,
                least=0,
            )
        m = rows.values.shape[0]
        distinct, codes = ([keys.key], np.zeros(m, np.int64)) if alone else read_keys(keys, m)
        weights = read_weights(sample_weight, m)
        if weights is not None and m:
            with nullcontext() if alone else naming_keys(keys):
                check_weighted(rows, weights, self._feature_names, allow_missing=gaps)
        values = rows.values
        values = values.toarray() if hasattr(values, "tocsr") else to_numpy(values)
        if weights is None or not m:
            squares = None if rows.known is None else rows.known.total
            return Rows(values, None, distinct, codes, rows.feature_names, squares)
        if not weights.any():
            raise ValueError(
                "the weights of all rows are zero: there is nothing to learn; give at least one "
                "row a weight above 0, or leave the call out"
            )
        counting = np.flatnonzero(weights)
        present, codes = np.unique(codes[counting], return_inverse=True)
        distinct = [distinct[i] for i in present]
        return Rows(values[counting], weights[counting], distinct, codes, rows.feature_names)

    def _learn(self, rows: Rows) -> None:
        """Learn from rows, each by the model of its key."""
        if not len(rows.X):
            return
        if self._bank is None:
            self._start(rows.X.shape[1], self.dtype or dtype_name(rows.X), rows.names)
        elif self._feature_names is None:
            self._feature_names = rows.names
        bank = self._begun
        with self._change:
            self._fold(rows, bank)

    def _fold(self, rows: Rows, bank: MomentsBank) -> None:
        refuse_changes(self._used, {name: getattr(self, name) for name in SHARED}, _CHANGEABLE)
        models = np.array([self._models.get(key, -1) for key in rows.keys], np.int64)
        new = np.flatnonzero(models < 0)
        models[new] = self._numbers_of_new(len(new), bank)
        options = resolve_parameters(self._single, bank.n_features)
        gaps = self._gaps if self.missing == "impute" else None
        kept = Kept(bank, self._solved, gaps)
        kept = learn(kept, models, rows, options.forgetting, options.largest)
        self._bank, self._solved = kept.bank, kept.solved
        self._gaps = self._gaps if kept.gaps is None else kept.gaps
        self._entered({rows.keys[i]: int(models[i]) for i in new})
        self._changed(models)

    def _numbers_of_new(self, count: int, bank: MomentsBank) -> list[int]:
        """Numbers of models for new keys; nothing is changed."""
        again = self._spare[-count:] if count else []
        first = bank.n_models
        return [*again, *range(first, first + count - len(again))]

    def _entered(self, models: dict[Key, int]) -> None:
        again = set(models.values())
        self._spare = [model for model in self._spare if model not in again]
        self._models |= models

    def _decay(self, factor: Any, keys: Iterable[Key]) -> None:
        factors = np.asarray(factor, "float64")
        keys = listed(keys)
        if not ((factors >= 0) & (factors <= 1)).all():
            raise ValueError(f"factor={factor!r} is not accepted: it must lie between 0 and 1")
        if factors.shape not in ((), (len(keys),)):
            raise ValueError(
                f"factor has shape {factors.shape}: give one number, or one for each of the "
                f"{len(keys)} keys"
            )
        models, first = np.unique(self._numbers(keys), return_index=True)
        if factors.ndim and len(first) < len(keys):
            raise ValueError("a key is given twice: give one factor for each")
        if self._bank is not None and len(models):
            with self._change:
                self._bank.decay(models, factors[first] if factors.ndim else float(factors))
                self._changed(models)

    def _changed(self, models: NDArray[np.int64]) -> None:
        self._solved.outdate(models)
        self._learners.clear()

    # --- one model ------------------------------------------------------------------------------

    def _numbers(self, keys: Iterable[Any]) -> NDArray[np.int64]:
        """The models of keys.

        Raises
        ------
        UnknownKeyError
            If one has none.
        """
        known: dict[Any, int] = {}
        if self._bank is not None:
            self._change.check()
            known = self._models
        found = []
        for key in keys:
            if isinstance(key, bool | float) or key not in known:
                raise UnknownKeyError(f"key {key!r} has no model: no row of it has been learned")
            found.append(known[key])
        return np.array(found, np.int64)

    def _learner_of(self, key: Key) -> ComponentLearner:
        """A learner of one model by itself: for reading."""
        (model,) = self._numbers([key])
        if key not in self._learners:
            bank = self._begun
            learner = learner_of_components(
                self._single, bank.n_features, bank.dtype, None, "dense"
            )
            learner.restore(self._one(int(model)))
            self._learners[key] = learner
        return self._learners[key]

    def _one(self, model: int) -> One:
        """What is read of one model, with its moments."""
        self._change.check()
        one, unseen = self._solved.one(model), self._gaps.of(model)
        return one._replace(moments=one.moments | {"unseen": unseen}) if unseen.any() else one

    def _relearn(self, key: Key, X: Any, sample_weight: Any) -> None:
        """Forget what a key has learned, and learn from X."""
        rows, (model,) = self._rows(X, Same(key), sample_weight), self._numbers([key])
        if not len(rows.X):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
        bank, unseen = self._begun, self._gaps.of(int(model))
        before = bank.load(int(model))
        with self._change:
            bank.clear(int(model))
            try:
                self._fold(rows, bank)
            except ValueError:
                bank.store(int(model), before)
                self._gaps.put(int(model), unseen)
                raise
            self._solved.forget(np.array([model]))

    def _replace(self, key: Key, moments: Moments, unseen: NDArray[np.bool_]) -> None:
        """Moments of a key, which may be new, and what no row of it has had."""
        bank = self._begun
        with self._change:
            self._put(key, moments, unseen, bank)

    def _put(self, key: Key, moments: Moments, unseen: NDArray[Any], bank: MomentsBank) -> None:
        assert isinstance(moments, DenseMoments)
        model = self._models.get(key)
        if model is None:
            (model,) = self._numbers_of_new(1, bank)
            bank.grow(max(0, model + 1 - bank.n_models))
            self._entered({key: model})
        bank.store(model, moments)
        self._gaps.put(model, unseen)
        self._changed(np.array([model]))

    def _adopt(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a new key."""
        if checkpoint.moments_kind != "dense":
            kind = checkpoint.moments_kind or "no"
            raise ValueError(f"cannot go on from {checkpoint!r} in a bank: it has {kind} moments")
        alone = StreamingPCA.from_checkpoint(checkpoint)
        learner = alone._started_learner
        if self._bank is None:
            self._start(learner.n_features, learner.moments.dtype, checkpoint.feature_names)
        elif checkpoint.key in self._models:
            raise ValueError(f"two checkpoints are of key {checkpoint.key!r}: give one of each key")
        refuse_other_names("feature", self._feature_names, checkpoint.feature_names)
        here = (self._begun.n_features, self._begun.dtype)
        there = (learner.n_features, learner.moments.dtype)
        own = {name: getattr(alone, name) for name in SHARED}
        if here != there or own != self._used:
            raise ValueError(
                f"cannot go on from {checkpoint!r} in this bank: its parameters are "
                f"{own | {'n_features': there[0]}}, here they are "
                f"{self._used | {'n_features': here[0]}}"
            )
        self._replace(checkpoint.key, *learner.taken())
        self._solved.put(self._models[checkpoint.key], checkpoint)
