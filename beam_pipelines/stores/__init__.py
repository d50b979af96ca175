"""Checkpoints on the filesystems that Beam knows."""

from beam_pipelines.stores.checkpoints import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.stores.filesystems import (
    is_beams,
    matching,
    open_store,
    without_file_scheme,
)

__all__ = [
    "ReadCheckpoints",
    "Unreadable",
    "WriteCheckpoints",
    "is_beams",
    "matching",
    "open_store",
    "without_file_scheme",
]
