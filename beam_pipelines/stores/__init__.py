"""Checkpoints on the filesystems that Beam knows."""

from beam_pipelines.stores.checkpoints import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.stores.filesystems import absolute, is_beams, matching, open_store
from streampca.checkpoint import Key

__all__ = [
    "Key",
    "ReadCheckpoints",
    "Unreadable",
    "WriteCheckpoints",
    "absolute",
    "is_beams",
    "matching",
    "open_store",
]
