"""Models, histories and assessed rows as JSON values; every key is described in docs/serve.md."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from starlette.responses import Response

from streampca import Checkpoint
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


def plain(value: Any) -> Any:
    """Arrays as lists, and null for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:  # the shortest digits of a float32, not of its double
            value = value.astype("U32").astype("float64")
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def time_text(microseconds: int | None) -> str | None:
    """A time in UTC, to the second where there is no fraction.

    Examples
    --------
    >>> time_text(60_000_000), time_text(None)
    ('1970-01-01T00:01:00Z', None)
    """
    if microseconds is None:
        return None
    return f"{np.datetime64(microseconds, 'us')}".removesuffix(".000000") + "Z"


def heading(checkpoint: Checkpoint) -> dict[str, Any]:
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


def components(checkpoint: Checkpoint, n_components: int, n_features: int) -> dict[str, Any]:
    """A model: variances of all components, loadings of some features on some of them."""
    p, n = checkpoint.components.shape
    shown = leading_features(checkpoint.components[:n_components], min(n_features, n))
    names = checkpoint.feature_names
    drift = checkpoint.drift
    return heading(checkpoint) | {
        "n_components": p,
        "n_features": n,
        "explained_variance": checkpoint.explained_variance,
        "explained_variance_ratio": checkpoint.explained_variance_ratio,
        "total_variance": checkpoint.total_variance,
        "residuals": checkpoint.residuals,
        "discarded_variance": checkpoint.discarded_variance,
        "drift": None if drift is None else {"angle": drift.angle, "cosines": drift.cosines},
        "features": shown.tolist(),
        "feature_names": None if names is None else [names[i] for i in shown],
        "mean": checkpoint.mean[shown],
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
