"""Rows in, coordinates and statistics out, by one checkpoint; what elements may be is rows.py's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beam_pipelines.rows import RowReader
from streampca.checkpoint import Checkpoint
from streampca.monitor import Monitor

Float64 = NDArray[np.float64]


class Projected(NamedTuple):
    """An element with its coordinates in the components of a checkpoint."""

    element: Any
    """The row, or the rows of a matrix or record batch, as it came in."""
    coordinates: NDArray[Any]
    """(p,) of a row, (m, p) of m rows."""
    spe: float | Float64 | None
    """Squared prediction error, by option; (m,) of m rows."""
    t2: float | Float64 | None
    """Hotelling's T^2, by option; (m,) of m rows."""
    window_end: int | None
    """Of the checkpoint that was used, UTC microseconds."""
    sequence: int
    """Of that checkpoint."""


class Projector:
    """Applies a checkpoint to elements of a pipeline.

    Parameters
    ----------
    checkpoint : Checkpoint
        Names its features, if they have names.
    spe, t2 : bool
        Whether these statistics are wanted.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> checkpoint = StreamingPCA(1).fit(np.diag([3.0, 1.0, 1.0])).checkpoint()
    >>> projected = Projector(checkpoint, spe=True)(np.array([3.0, 0.0, 0.0]))
    >>> projected.coordinates.shape, round(projected.spe, 6), projected.t2
    ((1,), 0.0, None)
    """

    def __init__(self, checkpoint: Checkpoint, spe: bool = False, t2: bool = False) -> None:
        names, width = checkpoint.feature_names, checkpoint.components.shape[1]
        missing = checkpoint.settings.get("missing", "error")
        self.checkpoint = checkpoint
        self._read = RowReader(width if names is None else names, missing)
        self._monitor = Monitor(checkpoint) if spe or t2 else None
        self._spe, self._t2 = spe, t2
        self._model = checkpoint.window_end, checkpoint.sequence

    def __call__(self, element: Any) -> Projected:
        """Return the element with its coordinates.

        Raises
        ------
        ValueError
            If a row cannot be used; it names the feature.
        """
        (found,) = self.batch([element])
        return found

    def batch(self, elements: list[Any]) -> list[Projected]:
        """Return all elements with their coordinates: one product for all of their rows."""
        blocks = [self._read(element).values for element in elements]
        X = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        Z = np.asarray(self.checkpoint.transform(X))
        spe = self._monitor.spe(X) if self._monitor and self._spe else None
        t2 = self._monitor.t2(X) if self._monitor and self._t2 else None
        found, start = [], 0
        for element, block in zip(elements, blocks, strict=True):
            if _is_many(element):
                rows = slice(start, start + len(block))
                own = Z[rows], _at(spe, rows), _at(t2, rows)
            else:
                own = Z[start], _at(spe, start), _at(t2, start)
            found.append(Projected(element, *own, *self._model))
            start += len(block)
        return found


def _at(values: Float64 | None, rows: slice | int) -> Any:
    if values is None:
        return None
    return values[rows] if isinstance(rows, slice) else float(values[rows])


def _is_many(element: Any) -> bool:
    """Whether an element holds many rows rather than one."""
    if isinstance(element, (Mapping, tuple)):
        return False
    if isinstance(element, list):
        return bool(element) and hasattr(element[0], "__len__")
    return isinstance(element, (pa.RecordBatch, pa.Table)) or getattr(element, "ndim", 1) == 2
