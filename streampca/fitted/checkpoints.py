"""Checkpoints of StreamingPCA, as a mixin: everything learned so far, taken and gone on from."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from streampca.arrays import device_name
from streampca.checkpoint import Checkpoint, fields_of
from streampca.fitted.components import Results


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
            `key`, `window_start`, `window_end` (UTC microseconds), `sequence`, `late`.
        """
        learner = self._started_learner
        with learner.lock:
            model = learner.model()
            state = learner.state() if moments else {}
        return Checkpoint(
            feature_names=self._feature_names,
            moments_kind=learner.moments.kind if moments else "",
            moments=state,
            settings=self._settings(),
            **fields_of(model),
            **where,
        )

    def _settings(self) -> dict[str, Any]:
        """Constructor parameters as JSON, without `copy`; an optimizer is code and stays behind."""
        skipped = ("optimizer", "copy")
        parameters = self._given()
        settings = {k: v for k, v in parameters.items() if k not in skipped}
        return settings | {"device": None if self.device is None else str(self.device)}

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: Any = None, optimizer: Any = None
    ) -> Self:
        """An estimator that goes on where the checkpoint was taken.

        Bit for bit on the same machine, to rounding on another device.

        Parameters
        ----------
        checkpoint : Checkpoint
            What `checkpoint` returned, or a `CheckpointStore`.
        device : optional
            Where to go on; by default the CPU.
        optimizer : callable, optional
            For the first-order solver: what was given when it was built. Code is not stored.

        Raises
        ------
        ValueError
            If the checkpoint's parts do not fit each other.
        """
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
