"""Windows that are closed one after the other are learned together: for each, half of the time.

Knows which windows that may be, and nothing of state, timers or checkpoints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beam_pipelines.learning.pending import Pending
from beam_pipelines.rows import MAGIC, Block, Names
from streampca.checkpoint import Drift, measure_drifts
from streampca.estimators import StreamingPCA
from streampca.learning import Reading, remembered

_AT_ONCE = 128
"""Windows, of which the rows and the moments are in memory beside each other."""


class Known(NamedTuple):
    """What a key's rows are, and when its newest window ended."""

    names: Names
    width: int
    closed: int
    components: NDArray[np.floating]


class Ahead:
    """Windows of a key that are about to be closed, and what is known after each.

    Parameters
    ----------
    half_life, idle : int, optional
        As in `Learning`.
    """

    def __init__(self, half_life: int | None, idle: int | None) -> None:
        self._half_life, self._idle = half_life, idle
        self._coming: deque[list[Pending]] = deque()
        self._read: deque[tuple[Pending, Reading, Drift]] = deque()

    def expect(self, groups: Sequence[list[Pending]]) -> None:
        """The parts of windows that are closed next, in order, none left out."""
        self._coming = deque(groups)

    def reading(
        self, parts: list[Pending], pca: StreamingPCA, known: Known
    ) -> tuple[Reading, Drift] | None:
        """What is known after the next window; None where it has to be learned by itself."""
        if not self._read and pca._learns_each:
            while self._coming and self._coming[0] is not parts:
                self._coming.popleft()
            self._learn(pca, known)
        if not self._read:
            return None
        window, reading, drift = self._read.popleft()
        assert parts == [window]
        return reading, drift

    def _learn(self, pca: StreamingPCA, known: Known) -> None:
        """Learn as many of the coming windows as go together."""
        blocks: list[NDArray[np.float64]] = []
        decays: list[float] = []
        closed, half_life = known.closed, self._half_life
        for parts in [self._coming[i] for i in range(min(len(self._coming), _AT_ONCE))]:
            last = parts[0].last
            values = self._rows(parts, known, closed)
            if values is None:
                break
            blocks.append(values)
            decays.append(1.0 if half_life is None else remembered(last - closed, half_life))
            closed = last
        if not blocks:
            return
        readings = pca._learn_each(blocks, decays)
        if readings:
            components = np.array([reading.model.components for reading in readings])
            drifts = measure_drifts(components, known.components)
            for reading, drift in zip(readings, drifts, strict=True):
                self._read.append((self._coming.popleft()[0], reading, drift))

    def _rows(self, parts: list[Pending], known: Known, closed: int) -> NDArray[np.float64] | None:
        """The rows of a window; None where there is more to it."""
        last, data = parts[0].last, parts[0].data
        silent = self._idle is not None and last - closed > self._idle
        if len(parts) > 1 or last <= closed or silent or not data.startswith(MAGIC):
            return None
        block = Block.from_bytes(data)
        return block.values if known[:2] == (block.names, block.values.shape[1]) else None
