"""Ordered principal components of a stream that never ends."""

from streampca.checkpoint import Checkpoint, CheckpointStore, CheckpointWarning
from streampca.estimator import StreamingPCA
from streampca.exceptions import NotFittedError
from streampca.regression import StreamingReducedRankRegression

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "CheckpointWarning",
    "NotFittedError",
    "StreamingPCA",
    "StreamingReducedRankRegression",
]
