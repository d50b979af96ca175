"""Rows in the plane of two components."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from streampca.monitor import Monitor
from streampca.plots.models import checkpoint_of
from streampca.plots.style import SMALL, dress, new_figure

__all__ = ["plot_scores"]

# Marker, colour, whether filled: shapes that small and many still differ.
_KINDS = (
    ("o", "#000000", False),
    ("x", "#c44e00", True),
    ("^", "#0072b2", True),
    ("+", "#7a7a7a", True),
    ("s", "#007a5e", False),
    ("v", "#a0569a", False),
)


def plot_scores(
    model: Any,
    X: Any,
    *,
    components: tuple[int, int] = (1, 2),
    groups: Any = None,
    confidence: float | None = 0.99,
) -> Figure:
    """Draw rows by their coordinates on two components, with the ellipse that holds normal ones.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
    X : array-like of shape (m, n)
    components : pair of int
        Which components, counted from 1.
    groups : array-like of shape (m,), optional
        A label for each row; at most 6 different ones, each with its own marker.
    confidence : float or None
        Share of normal (Gaussian) rows inside the ellipse; None for no ellipse.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> figure = plot_scores(StreamingPCA(3).fit(X), X, components=(1, 3))
    >>> figure.axes[0].get_ylabel()
    'component 3 (21 %)'
    """
    checkpoint = checkpoint_of(model)
    first, second = components
    monitor = Monitor(checkpoint)
    p = monitor.statistics.n_kept
    if not (1 <= first <= p and 1 <= second <= p) or first == second:
        raise ValueError(f"components={components!r} is not accepted: give two of 1 to {p}")
    scores = monitor.scores(X)[:, [first - 1, second - 1]]
    labels = np.zeros(len(scores), int) if groups is None else np.asarray(groups)
    if labels.shape != (len(scores),):
        raise ValueError(f"groups has shape {labels.shape}, but there are {len(scores)} rows")
    kinds = np.unique(labels)
    if len(kinds) > len(_KINDS):
        raise ValueError(
            f"{len(kinds)} groups cannot be told apart without colour: give at most {len(_KINDS)}"
        )
    figure = new_figure(4.6)
    axes = figure.subplots()
    # Small and few-inked where there are many, or they become one blot.
    size = float(np.clip(12_000 / max(len(scores), 1), 9, 30))
    for kind, (marker, colour, filled) in zip(kinds, _KINDS, strict=False):
        chosen = labels == kind
        axes.scatter(
            scores[chosen, 0],
            scores[chosen, 1],
            s=size,
            marker=marker,
            facecolors=colour if filled else "none",
            edgecolors=None if marker in "x+" else colour,
            linewidths=0.8,
            label=str(kind),
        )
    if confidence is not None:
        axes.add_patch(_ellipse(checkpoint, monitor, (first - 1, second - 1), confidence))
    shares = checkpoint.explained_variance_ratio * 100
    dress(
        axes,
        xlabel=f"component {first} ({shares[first - 1]:.0f} %)",
        ylabel=f"component {second} ({shares[second - 1]:.0f} %)",
    )
    if confidence is not None:
        axes.set_title(
            f"dashed: {100 * confidence:.4g} % of normal rows", loc="left", fontsize=SMALL
        )
    axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.grid(visible=False)
    axes.margins(0.06)
    axes.autoscale_view()
    if groups is not None:
        figure.legend(
            loc="outside upper left", ncols=min(3, len(kinds)), frameon=False, fontsize=SMALL
        )
    return figure


def _ellipse(
    checkpoint: Any, monitor: Monitor, pair: tuple[int, int], confidence: float
) -> Ellipse:
    limit = monitor.t2_limit(confidence, n_components=2)
    if not np.isfinite(limit):
        limit = monitor.t2_limit(confidence, "chi2", n_components=2)
    width, height = 2 * np.sqrt(checkpoint.explained_variance[list(pair)] * limit)
    return Ellipse(
        (0, 0), width, height, fill=False, edgecolor="black", linestyle="--", linewidth=1.3
    )
