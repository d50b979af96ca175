"""A checkpoint as JSON values and as tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from streampca import Checkpoint
from streampca.checkpoint import heading, time_text, variances
from streampca.cli import output
from streampca.text import counted

__all__ = ["component_table", "described", "feature_names", "heading"]


def feature_names(checkpoint: Checkpoint) -> list[str]:
    """Names of the features; numbers where they have none."""
    n = checkpoint.components.shape[1]
    return list(checkpoint.feature_names or [f"feature {i}" for i in range(n)])


def described(checkpoint: Checkpoint) -> dict[str, Any]:
    """All of a checkpoint but the moments and the autoencoder, as JSON values."""
    return heading(checkpoint) | {
        "feature_names": checkpoint.feature_names,
        "mean": checkpoint.mean,
        "scale": checkpoint.scale,
        "components": checkpoint.components,
        "effective_rows": checkpoint.effective_rows,
        **variances(checkpoint),
        "settings": dict(checkpoint.settings),
    }


def title(checkpoint: Checkpoint) -> str:
    """Which checkpoint this is, in words."""
    whose = "" if checkpoint.key is None else f" of {checkpoint.key}"
    end = time_text(checkpoint.window_end)
    when = "" if end is None else f" up to {end}"
    return f"Components{whose} after {counted(checkpoint.n_samples_seen, 'row')}{when}"


def component_table(checkpoint: Checkpoint, features: int | None = None) -> output.Table:
    """What each feature has in the components; the `features` that have most in them."""
    components = checkpoint.components.astype("float64")
    p, n = components.shape
    shown = np.arange(n)
    if features is not None and features < n:
        weight = np.abs(components).max(axis=0)
        shown = np.sort(np.argsort(-weight, kind="stable")[:features])
    made = output.Table(title(checkpoint), ["feature"], [str(i + 1) for i in range(p)])
    names = feature_names(checkpoint)
    for j in shown.tolist():
        made.add_row(names[j], *(f"{loading:+.3f}" for loading in components[:, j]))
    if len(shown) < n:
        made.add_row(f"({n - len(shown):,} more)", *[""] * p)
    made.add_section()
    ratio = checkpoint.explained_variance_ratio
    made.add_row("share of variance", *(f"{share:.1%}" for share in ratio))
    made.add_row("all up to here", *(f"{share:.1%}" for share in np.cumsum(ratio)))
    return made
