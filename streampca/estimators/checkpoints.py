"""Checkpoints of StreamingPCA, as a mixin: everything learned so far, taken and gone on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import device_name
from streampca.checkpoint import Checkpoint, CheckpointStore, fields_of
from streampca.estimators.components import Results
from streampca.learning import Reading, read_each, reads_each


class Checkpoints(Results):
    """Takes checkpoints, and makes estimators from them; knows nothing of how they are stored."""

    _start: Any

    def checkpoint(self, *, moments: bool = True, **where: Any) -> Checkpoint:
        """Everything learned so far, as a `Checkpoint`: enough to transform and to go on.

        Parameters
        ----------
        moments : bool, default=True
            False leaves out what is only for going on, which nothing else needs.
        **where
            `key`, `window_start`, `window_end` (UTC microseconds, or datetimes with
            a time zone), `sequence`, `late`.
        """
        return Checkpoint(**self._learned(moments), **where)

    def _learned(self, moments: bool) -> dict[str, Any]:
        """The fields of a checkpoint that are the model's."""
        learner = self._started_learner
        with learner.lock:
            model = learner.model()
            state = learner.state() if moments else {}
        return fields_of(model) | {
            "feature_names": self._feature_names,
            "moments_kind": learner.moments.kind if moments else "",
            "moments": state,
            "settings": self._settings(),
        }

    @property
    def _learns_each(self) -> bool:
        """Whether `_learn_each` may learn windows of few rows."""
        return self._learner is not None and reads_each(self._learner)

    def _learn_each(
        self, windows: Sequence[NDArray[np.float64]], decays: Sequence[float]
    ) -> list[Reading]:
        """Learn the first of some windows of rows, each after a decay, and read after each.

        As `decay`, `merge` and `_learned` would for each, in half the time; none where that is not
        so, and then nothing is learned.
        """
        return [] if self._learner is None else read_each(self._learner, windows, decays)

    def _learned_then(self, reading: Reading, moments: bool) -> dict[str, Any]:
        """What `_learned` would have returned after a window."""
        state = reading.moments().state() if moments else {}
        return fields_of(reading.model) | {
            "feature_names": self._feature_names,
            "moments_kind": "dense" if moments else "",
            "moments": state,
            "settings": self._settings(),
        }

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: Any = None, optimizer: Any = None
    ) -> Self:
        """An estimator that goes on where the checkpoint was taken.

        Bit for bit on the same machine, to rounding on another device.

        Parameters
        ----------
        checkpoint : Checkpoint
            What `checkpoint` returned, or a `CheckpointStore` has: `store.latest(key)`.
        device : optional
            Where to go on; by default the CPU.
        optimizer : callable, optional
            For the first-order solver: what was given when it was built. Code is not stored.

        Raises
        ------
        TypeError
            If it is anything else: bytes, a path, a store.
        ValueError
            If the checkpoint's parts do not fit each other, or it was stored without moments.
        """
        if not isinstance(checkpoint, Checkpoint):
            raise TypeError(f"from_checkpoint takes a Checkpoint, not {_instead_of(checkpoint)}")
        settings = dict(checkpoint.settings) | {"device": device, "optimizer": optimizer}
        own = cls().get_params() if cls is not cls._estimator() else settings
        self = cls(**{name: value for name, value in settings.items() if name in own})
        self.__dict__ |= settings  # a subclass may leave some out
        n_features = int(np.asarray(checkpoint.mean).shape[0])
        dtype = str(np.asarray(checkpoint.components).dtype)
        kind = checkpoint.moments_kind or None
        self._start(n_features, dtype, device_name(device), checkpoint.feature_names, kind)
        assert self._learner is not None
        self._learner.restore(checkpoint)
        return self


def _instead_of(given: Any) -> str:
    """The message about an object that is no checkpoint, and how to get one from it."""
    kind = type(given).__name__
    if isinstance(given, (bytes, bytearray, memoryview)):
        return f"{kind}: Checkpoint.from_bytes reads one; merge_all([...]) takes parts as they are"
    if isinstance(given, CheckpointStore):
        return "a CheckpointStore: give store.latest(key)"
    if isinstance(given, (str, PurePath)):
        return f"{kind} {str(given)!r}: give CheckpointStore(path).latest(key)"
    if hasattr(type(given), "checkpoint"):
        return f"{kind}: give its checkpoint()"
    return kind
