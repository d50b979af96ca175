"""Ordered principal components of a stream that never ends."""

from streampca.checkpoint import Checkpoint, CheckpointStore, CheckpointWarning
from streampca.estimator import StreamingPCA
from streampca.exceptions import NotFittedError
from streampca.layer import NestedLinearAutoencoder, NestedMSELoss, nested_mse_loss
from streampca.regression import StreamingReducedRankRegression

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "CheckpointWarning",
    "NestedLinearAutoencoder",
    "NestedMSELoss",
    "NotFittedError",
    "StreamingPCA",
    "StreamingReducedRankRegression",
    "nested_mse_loss",
]
