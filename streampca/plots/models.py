"""Whatever has a model becomes a checkpoint; figures read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import Checkpoint
from streampca.monitor import Monitor, micros_of


def checkpoint_of(model: Any) -> Checkpoint:
    """The model as a checkpoint; an estimator's is taken now."""
    if isinstance(model, Checkpoint):
        return model
    if hasattr(model, "checkpoint"):
        found: Checkpoint = model.checkpoint()
        return found
    raise TypeError(
        f"cannot draw {type(model).__name__}: give a Checkpoint or a fitted StreamingPCA"
    )


def monitor_of(model: Any) -> Monitor:
    """The model as a monitor."""
    return model if isinstance(model, Monitor) else Monitor(model)


def parts_of(monitor: Monitor, statistic: str, X: Any) -> tuple[NDArray[np.float64], str]:
    """Part of each feature (m, n) in SPE or T^2 of rows, and how the statistic is written."""
    if statistic not in ("spe", "t2"):
        raise ValueError(f"statistic={statistic!r} is not accepted: give one of spe, t2")
    if statistic == "spe":
        return monitor.spe_contributions(X), "SPE"
    return monitor.t2_contributions(X), "T²"


def how_many(name: str, asked: int | None, usual: int, most: int) -> int:
    """A number of things to draw; ValueError if there are fewer."""
    if asked is None:
        return min(usual, most)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= most:
        raise ValueError(f"{name}={asked!r} is not accepted: give 1 to {most}")
    return asked


def pair_of(components: Sequence[int], p: int) -> list[int]:
    """Two of p components, counted from 1, as columns; ValueError if there are no such two."""
    first, second = components
    if not (1 <= first <= p and 1 <= second <= p) or first == second:
        if p < 2:
            raise ValueError(f"two components are drawn, and the rows vary along {p or 'none'}")
        raise ValueError(f"components={components!r} is not accepted: give two of 1 to {p}")
    return [first - 1, second - 1]


def when(times: Any, count: int, start: int = 0) -> NDArray[Any]:
    """When each row was (datetime64[us], UTC), or a number; ValueError if that is not one a row."""
    x = np.arange(start, start + count) if times is None else np.asarray(times)
    if x.shape != (count,):
        raise ValueError(f"times has shape {x.shape}, but there are {count} rows")
    if x.dtype.kind in "OU":  # of Python, of pandas with a zone, ISO 8601
        x = np.array(micros_of(x, count), "int64").view("datetime64[us]")
    return x.astype("datetime64[us]") if x.dtype.kind == "M" else x
