"""Small models of many keys learned together, where single estimators would learn the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, KeyedPCA, StreamingPCA
from streampca.learning import remembered, resolve_parameters

_OWN = ("n_components", "scale", "dtype", "half_life", "missing")
_LOOP_ONLY = ("batch_size",)  # which says how rows wait, and changes nothing that is learned

_MOST_FEATURES = 128
"""Above, an eigenproblem takes so long that nothing is gained by solving many in one call."""

_NUMBERS, _LEAST_ROWS = 2**22, 2**13
"""Of rows that wait (32 MiB), and rows at least: the more of them a key has, the fewer calls."""


def learns_together(options: Mapping[str, Any], n_features: int) -> bool:
    """Whether a bank learns what an estimator with these parameters does: dense and exact."""
    parameters = StreamingPCA(**options).get_params()
    other = {
        name
        for name, value in StreamingPCA().get_params().items()
        if name not in (*_OWN, *_LOOP_ONLY, "memory") and parameters[name] != value
    }
    count = options.get("n_components")
    if parameters["missing"] == "impute" and parameters["batch_size"] is not None:
        return False  # gaps are filled by the model of the minibatches before
    if other or n_features > _MOST_FEATURES or not (count is None or isinstance(count, int)):
        return False
    try:
        return bool(resolve_parameters(parameters, n_features).memory == "dense")
    except ValueError:  # which the first rows will say
        return False


class Together:
    """A bank, and rows that wait for it.

    Rows are folded in by so many since the last checkpoint, however they arrive: a run that was
    killed and goes on ends with the same bits as one that was not.

    Parameters
    ----------
    options : mapping
        Parameters of `StreamingPCA`, of which `learns_together` is true.
    n_features : int
    half_life : float, optional
        In microseconds of event time, where forgetting goes by time.
    """

    def __init__(
        self, options: Mapping[str, Any], n_features: int, half_life: float | None = None
    ) -> None:
        self._bank = KeyedPCA(**{name: options[name] for name in _OWN if name in options})
        self._parameters = StreamingPCA(**options).get_params()
        self._half_life = half_life
        self._most = max(_LEAST_ROWS, _NUMBERS // n_features)
        self._due = self._most  # rows that wait when rows are folded in
        self._minibatch = resolve_parameters(self._parameters, n_features).largest
        self._ends: dict[Any, int] = {}  # latest times of rows that were folded in
        self._resumed: list[Checkpoint] = []
        self._rows: list[NDArray[Any]] = []
        self._keys: list[Any] = []
        self._times: list[NDArray[np.int64]] = []

    def resume(self, found: Checkpoint) -> bool:
        """Go on from a checkpoint of a new key; False where others may not be in a bank with it."""
        same = all(
            found.settings[name] == value
            for name, value in self._parameters.items()
            if name in found.settings and name not in (*_LOOP_ONLY, "memory")
        )
        self._resumed.append(found)
        if found.window_end is not None:
            self._ends[found.key] = found.window_end
        return same and found.moments_kind == "dense"

    def settings_of(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """The settings that a single estimator's checkpoint has."""
        return {name: self._parameters[name] for name in checkpoint.settings}

    def learn(
        self, X: NDArray[Any], keys: Sequence[Any], times: NDArray[np.int64] | None = None
    ) -> None:
        """Learn from rows, each by the model of its key, now or with those to come."""
        start = 0
        while start < len(X):
            end = min(len(X), start + self._due - len(self._keys))
            self._rows.append(X[start:end])
            self._keys += keys[start:end]
            if self._half_life is not None and times is not None:
                self._times.append(times[start:end])
            start = end
            if len(self._keys) == self._due:
                self._fold()

    def checkpoints(self, keys: Sequence[Any]) -> Iterator[Checkpoint]:
        """Checkpoints of keys, in their order."""
        self._fold(complete=True)
        return self._bank.checkpoints(keys)

    def _fold(self, *, complete: bool = False) -> None:
        """Fold in the rows that wait; where gaps are filled, full minibatches until the end."""
        if self._resumed:
            self._bank = KeyedPCA.from_checkpoints(self._resumed)
            self._resumed = []
        if self._keys:
            X, keys = np.concatenate(self._rows), self._keys
            times = np.concatenate(self._times) if self._times else None
            self._rows, self._keys, self._times = [], [], []
            codes, distinct = codes_of(keys)
            if self._parameters["missing"] == "impute" and not complete:
                full = _in_full(codes, self._minibatch)
                self._rows, self._keys = [X[~full]], [keys[i] for i in np.flatnonzero(~full)]
                X, keys = X[full], [keys[i] for i in np.flatnonzero(full)]
            weights = None
            if self._half_life is not None and times is not None:
                weights = self._remembered(codes, distinct, times, self._half_life)
            self._bank.partial_fit(X, keys, weights)
        self._due = len(self._keys) + self._most

    def _remembered(
        self,
        codes: NDArray[np.int64],
        keys: Sequence[Any],
        times: NDArray[np.int64],
        half_life: float,
    ) -> NDArray[np.float64]:
        """What rows count when the latest of their key have come, which makes those before fade."""
        last = np.full(len(keys), np.iinfo("int64").min)
        np.maximum.at(last, codes, times)
        before = np.array([self._ends.get(key, end) for key, end in zip(keys, last, strict=True)])
        last = np.maximum(last, before)
        later = np.flatnonzero(last > before)
        self._bank.decay(
            remembered(last - before, half_life)[later], [keys[i] for i in later.tolist()]
        )
        self._ends.update(zip(keys, last.tolist(), strict=True))
        ages: NDArray[np.int64] = last[codes] - times
        return remembered(ages, half_life)


def codes_of(keys: Sequence[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Which of the keys each is, and these in the order of their first rows."""
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    return codes, list(numbers)


def _in_full(codes: NDArray[np.int64], minibatch: int) -> NDArray[np.bool_]:
    """Rows in full minibatches of their keys.

    Examples
    --------
    >>> _in_full(np.array([0, 1, 0, 0, 1]), 2)
    array([ True,  True,  True, False,  True])
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = np.empty(len(codes), bool)
    found[order] = rank < np.repeat(sizes // minibatch * minibatch, sizes)
    return found
