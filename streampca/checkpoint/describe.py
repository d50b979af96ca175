"""A checkpoint as JSON values, for whoever shows one: keys, times and numbers in one way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from streampca.checkpoint.fields import time_text
from streampca.wire import VERSION_KEY

if TYPE_CHECKING:
    from streampca.checkpoint.record import Checkpoint
    from streampca.checkpoint.summary import Summary

__all__ = ["heading", "plain", "variances", "versions"]


def heading(checkpoint: Checkpoint | Summary) -> dict[str, Any]:
    """Which checkpoint it is."""
    return {
        "key": checkpoint.key,
        "window_start": time_text(checkpoint.window_start),
        "window_end": time_text(checkpoint.window_end),
        "sequence": checkpoint.sequence,
        "late": checkpoint.late,
        "n_samples_seen": checkpoint.n_samples_seen,
        "weight": checkpoint.weight,
    }


def variances(checkpoint: Checkpoint) -> dict[str, Any]:
    """What its components explain, how well they are known, and how far they have moved."""
    drift = checkpoint.drift
    return {
        "explained_variance": checkpoint.explained_variance,
        "explained_variance_ratio": checkpoint.explained_variance_ratio,
        "total_variance": checkpoint.total_variance,
        "residuals": checkpoint.residuals,
        "discarded_variance": checkpoint.discarded_variance,
        "drift": None if drift is None else {"angle": drift.angle, "cosines": drift.cosines},
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: lists for arrays, null for what is not finite.

    Examples
    --------
    >>> plain({"angle": np.array([0.1, np.nan], "float32"), "late": np.bool_(True)})
    {'angle': [0.1, None], 'late': True}
    """
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:  # the shortest digits of a float32, not of its double
            value = value.astype("U32").astype("float64")
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def versions(data: bytes) -> dict[str, Any]:
    """Versions in the bytes of a file that has been checked."""
    source = pa.BufferReader(data)
    if data[:4] == b"PAR1":
        import pyarrow.parquet as pq

        metadata = pq.read_schema(source).metadata
    else:
        metadata = pa.ipc.open_stream(source).schema.metadata
    return {
        "schema_version": int(metadata[VERSION_KEY]),
        "library_version": metadata.get(b"streampca.version", b"unknown").decode(),
    }
