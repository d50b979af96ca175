"""Ordered principal components of a stream that never ends."""

from typing import TYPE_CHECKING, Any

from streampca.bank import KeyedPCA
from streampca.checkpoint import Checkpoint, CheckpointStore, CheckpointWarning
from streampca.estimator import StreamingPCA
from streampca.exceptions import NotFittedError, UnknownKeyError
from streampca.merging import merge_all
from streampca.regression import StreamingReducedRankRegression

if TYPE_CHECKING:
    from streampca.layer import NestedLinearAutoencoder, NestedMSELoss, nested_mse_loss

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "CheckpointWarning",
    "KeyedPCA",
    "NestedLinearAutoencoder",
    "NestedMSELoss",
    "NotFittedError",
    "StreamingPCA",
    "StreamingReducedRankRegression",
    "UnknownKeyError",
    "merge_all",
    "nested_mse_loss",
]

_LAYER = ("NestedLinearAutoencoder", "NestedMSELoss", "nested_mse_loss")


def __getattr__(name: str) -> Any:
    """What needs torch, and the version, are read when a program uses them."""
    if name == "__version__":
        from streampca.version import version

        return version()
    if name not in _LAYER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from streampca import layer

    return getattr(layer, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAYER, "__version__"})
