"""Ordered principal components of a stream that never ends."""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streampca.checkpoint import Checkpoint, CheckpointStore, CheckpointWarning
    from streampca.estimators import StreamingPCA, StreamingReducedRankRegression, merge_all
    from streampca.estimators.bank import KeyedPCA
    from streampca.exceptions import NotFittedError, TornError, UnknownKeyError
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
    "TornError",
    "UnknownKeyError",
    "merge_all",
    "nested_mse_loss",
]

_WINGS = {
    "Checkpoint": "checkpoint",
    "CheckpointStore": "checkpoint",
    "CheckpointWarning": "checkpoint",
    "KeyedPCA": "estimators.bank",
    "NestedLinearAutoencoder": "layer",
    "NestedMSELoss": "layer",
    "NotFittedError": "exceptions",
    "StreamingPCA": "estimators",
    "StreamingReducedRankRegression": "estimators",
    "TornError": "exceptions",
    "UnknownKeyError": "exceptions",
    "merge_all": "estimators",
    "nested_mse_loss": "layer",
}
"""Where each name lives."""


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # who blocks a package raises what importing it would
        return False


if not _is_installed("torch"):  # a star import brings what can be imported
    __all__[:] = [name for name in __all__ if _WINGS[name] != "layer"]


def __getattr__(name: str) -> Any:
    """A name's wing is imported when it is first used: reading a store needs no estimator."""
    if name == "__version__":
        from streampca.text import version

        return version()
    if name in _WINGS:
        found = getattr(importlib.import_module(f"streampca.{_WINGS[name]}"), name)
        globals()[name] = found
        return found
    if not name.startswith("_") and importlib.util.find_spec(f"streampca.{name}") is not None:
        return importlib.import_module(f"streampca.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
