"""Checkpoints on the filesystems that Beam knows."""

from beam_pipelines.stores.checkpoints import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.stores.filesystems import open_store

__all__ = [
    "ReadCheckpoints",
    "Unreadable",
    "WriteCheckpoints",
    "open_store",
]
