"""ProjectComponents: rows of a stream in the components that the same stream has learned."""

from __future__ import annotations

import functools
from typing import Any

import apache_beam as beam

from beam_pipelines.scoring.following import apply, check_lag, following
from beam_pipelines.scoring.projector import Projected, Projector
from streampca.checkpoint import Checkpoint


class ProjectComponents(beam.PTransform):
    """Coordinates of rows in the components of their window's checkpoint, or of an earlier one.

    Takes rows or (key, row) pairs, as `LearnComponents` does, in the same windows, and gives
    ``(key, Projected)``, with a matrix or record batch as one element. The checkpoints are a side
    input that follows the stream: where a window has several (early, late), the newest known
    counts.

    Parameters
    ----------
    checkpoints : PCollection of (key, Checkpoint)
        What `LearnComponents` or `ReadCheckpoints` gives, in fixed, sliding or global windows.
    lag : int, default=0
        0: rows wait for the checkpoint of their own window. 1: they use that of the window before,
        which is there when they come; and so on. Windows without a checkpoint have none to give.
    spe, t2 : bool, default=False
        Whether to add SPE and Hotelling's T^2.
    bad_rows : bool, default=False
        True: a second output, tagged "bad_rows", of rows that cannot be used or have no
        checkpoint, with the reason. False: the first that cannot be used fails the pipeline, and
        rows without a checkpoint are left out. Both are counted, in `bad_rows` and
        `rows_without_checkpoint`.

    Examples
    --------
    >>> import apache_beam as beam, numpy as np
    >>> from beam_pipelines import LearnComponents, ProjectComponents
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     rows = pipeline | beam.Create([np.eye(3)[0] * i for i in range(4)])
    ...     checkpoints = rows | LearnComponents(1)
    ...     projected = rows | ProjectComponents(checkpoints, spe=True)
    ...     _ = projected | beam.Map(lambda keyed: print(abs(keyed[1].coordinates)))
    [1.5]
    [0.5]
    [0.5]
    [1.5]
    """

    def __init__(
        self,
        checkpoints: Any,
        *,
        lag: int = 0,
        spe: bool = False,
        t2: bool = False,
        bad_rows: bool = False,
    ) -> None:
        super().__init__()
        check_lag(lag)
        self._checkpoints = checkpoints
        self._lag = lag
        self._wanted = (spe, t2)
        self._bad_rows = bad_rows

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        side = following(self._checkpoints, self._lag, Checkpoint.without_moments)
        made = functools.partial(_projector, *self._wanted)
        return rows | "Project" >> apply(made, side, Projected, "projected", self._bad_rows)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"lag": self._lag, "spe": self._wanted[0], "t2": self._wanted[1]}


def _projector(spe: bool, t2: bool, checkpoint: Checkpoint) -> Any:
    projector = Projector(checkpoint, spe, t2)
    return lambda element, _: [projector(element)]
