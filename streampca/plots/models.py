"""Whatever has a model becomes a checkpoint; figures read nothing else."""

from __future__ import annotations

from typing import Any

from streampca.checkpoint import Checkpoint

__all__ = ["checkpoint_of", "how_many"]


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


def how_many(name: str, asked: int | None, usual: int, most: int) -> int:
    """How many of something to draw; ValueError where that cannot be."""
    if asked is None:
        return min(usual, most)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= most:
        raise ValueError(f"{name}={asked!r} is not accepted: give 1 to {most}")
    return asked
