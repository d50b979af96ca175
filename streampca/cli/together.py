"""Small models of many keys learned together, where single estimators would learn the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca import Checkpoint, KeyedPCA, StreamingPCA
from streampca.learning import resolve_parameters

__all__ = ["Together", "learns_together"]

_OWN = ("n_components", "scale", "dtype", "half_life")
_LOOP_ONLY = ("batch_size",)  # which says how rows wait, and changes nothing that is learned

_MOST_FEATURES = 128
"""Above, an eigenproblem takes so long that nothing is gained by solving many in one call."""

_NUMBERS, _LEAST_ROWS = 2**22, 2**13
"""Of rows that wait (32 MiB), and rows at least: the more of them a key has, the fewer calls."""


def learns_together(options: Mapping[str, Any], n_features: int) -> bool:
    """Whether a bank learns what an estimator with these parameters does: dense, exact, no gaps."""
    parameters = StreamingPCA(**options).get_params()
    other = {
        name
        for name, value in StreamingPCA().get_params().items()
        if name not in (*_OWN, *_LOOP_ONLY, "memory") and parameters[name] != value
    }
    count = options.get("n_components")
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
    """

    def __init__(self, options: Mapping[str, Any], n_features: int) -> None:
        self._bank = KeyedPCA(**{name: options[name] for name in _OWN if name in options})
        self._parameters = StreamingPCA(**options).get_params()
        self._most = max(_LEAST_ROWS, _NUMBERS // n_features)
        self._resumed: list[Checkpoint] = []
        self._rows: list[NDArray[Any]] = []
        self._keys: list[Any] = []

    def resume(self, found: Checkpoint) -> bool:
        """Go on from a checkpoint of a new key; False where others may not be in a bank with it."""
        same = all(
            found.settings[name] == value
            for name, value in self._parameters.items()
            if name in found.settings and name not in (*_LOOP_ONLY, "memory")
        )
        self._resumed.append(found)
        return same and found.moments_kind == "dense"

    def settings_of(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """The settings that a single estimator's checkpoint has."""
        return {name: self._parameters[name] for name in checkpoint.settings}

    def learn(self, X: NDArray[Any], keys: Sequence[Any]) -> None:
        """Learn from rows, each by the model of its key, now or with those to come."""
        start = 0
        while start < len(X):
            end = min(len(X), start + self._most - len(self._keys))
            self._rows.append(X[start:end])
            self._keys += keys[start:end]
            start = end
            if len(self._keys) == self._most:
                self._fold()

    def checkpoints(self, keys: Sequence[Any]) -> Iterator[Checkpoint]:
        """Checkpoints of keys, in their order."""
        self._fold()
        return self._bank.checkpoints(keys)

    def _fold(self) -> None:
        if self._resumed:
            self._bank = KeyedPCA.from_checkpoints(self._resumed)
            self._resumed = []
        if self._keys:
            X, keys = np.concatenate(self._rows), self._keys
            self._rows, self._keys = [], []
            self._bank.partial_fit(X, keys)
