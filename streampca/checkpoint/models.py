"""Which field of a checkpoint is which of a model: for taking one, and for answering from one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streampca.learning import Model

__all__ = ["fields_of", "model_of"]

_MODEL_NAMES = {
    "n_samples_seen": "n_samples",
    "weight": "weight",
    "effective_rows": "effective_rows",
    "mean": "mean",
    "components": "components",
    "explained_variance": "eigenvalues",
    "total_variance": "total_variance",
    "decoder": "decoder",
    "encoder": "encoder",
    "residuals": "residuals",
    "discarded_variance": "discarded_variance",
    "scale": "scale",
}


def fields_of(model: Model) -> dict[str, Any]:
    """The fields of a checkpoint of this model that say what has been learned."""
    fields = {field: getattr(model, name) for field, name in _MODEL_NAMES.items()}
    return fields | {"explained_variance_ratio": model.ratio}


def model_of(checkpoint: Any) -> Model:
    """The model that a checkpoint was taken of, without the loss and what singular values need."""
    from streampca.learning import Model

    return Model(
        n_copies=float(checkpoint.moments.get("n_copies", checkpoint.n_samples_seen)),
        denominator=math.nan,
        loss=math.nan,
        **{name: getattr(checkpoint, field) for field, name in _MODEL_NAMES.items()},
    )
