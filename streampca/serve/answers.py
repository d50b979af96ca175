"""Models, histories and assessed rows as JSON values; every key is described in docs/serve.md."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from starlette.responses import Response

from streampca.checkpoint import Checkpoint, heading, plain, time_text, variances
from streampca.metrics import leading_features
from streampca.monitor import Assessment

__all__ = ["Json", "assessed", "components", "heading", "plain", "time_text"]


class Json(Response):
    """JSON in which every number is finite: others are null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Numbers with the digits that tell them from their neighbours."""
        text = json.dumps(
            plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        # A key or a name may hold half a surrogate pair, which no UTF-8 can.
        return text.encode("utf-8", "replace")


def components(checkpoint: Checkpoint, n_components: int, n_features: int) -> dict[str, Any]:
    """A model: variances of all components, loadings of some features on some of them."""
    p, n = checkpoint.components.shape
    shown = leading_features(checkpoint.components[:n_components], min(n_features, n))
    names = checkpoint.feature_names
    return heading(checkpoint) | {
        "n_components": p,
        "n_features": n,
        **variances(checkpoint),
        "features": shown.tolist(),
        "feature_names": None if names is None else [names[i] for i in shown],
        "mean": checkpoint.mean[shown],
        "scale": None if checkpoint.scale is None else checkpoint.scale[shown],
        "components": checkpoint.components[:n_components, shown],
    }


def assessed(
    checkpoint: Checkpoint, scores: Any, found: Assessment, confidence: float
) -> dict[str, Any]:
    """Rows beside the limits of a model."""
    names = checkpoint.feature_names
    features = found.feature.tolist()
    return heading(checkpoint) | {
        "confidence": confidence,
        "spe_limit": found.spe_limit,
        "t2_limit": found.t2_limit,
        "scores": np.asarray(scores),
        "spe": found.spe,
        "t2": found.t2,
        "alarm": found.alarm,
        "statistic": ["spe" if by_spe else "t2" for by_spe in found.by_spe.tolist()],
        "feature": features if names is None else [names[i] for i in features],
        "contribution": found.share,
    }
