"""Rows in the plane of two components."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from streampca.monitor import Monitor
from streampca.plots.models import checkpoint_of, pair_of, when
from streampca.plots.style import SMALL, Canvas, canvas, date_ticks, dress, numbers_of_times, plain

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
    times: Any = None,
    confidence: float | None = 0.99,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
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
    times : array-like of shape (m,), optional
        When each row was, numbers or datetime64: rows are joined by a line in their order, and
        coloured from dark, the first, to light.
    confidence : float or None
        Share of normal (Gaussian) rows inside the ellipse; None for no ellipse.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        A point for each row.

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
    scores = monitor.scores(X)[:, pair_of(components, monitor.statistics.n_kept)]
    if groups is not None and times is not None:
        raise ValueError("groups and times both say how rows are marked: give one")
    drawn = canvas(4.6, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    if times is None:
        kinds = _marked(axes, scores, groups)
    else:
        _course(drawn, scores, times)
    if confidence is not None:
        axes.add_patch(_ellipse(checkpoint, monitor, (first - 1, second - 1), confidence))
        axes.set_title(
            f"dashed: {100 * confidence:.4g} % of normal rows", loc="left", fontsize=SMALL
        )
    name_components(axes, checkpoint, first, second)
    axes.margins(0.06)
    axes.autoscale_view()
    if groups is not None:
        drawn.legend(min(3, kinds))
    return drawn.finish()


def name_components(axes: Axes, checkpoint: Any, first: int, second: int) -> None:
    """Axes of two components, counted from 1, their shares of the variance, a cross at 0."""
    shares = checkpoint.explained_variance_ratio * 100
    dress(
        axes,
        xlabel=f"component {first} ({shares[first - 1]:.0f} %)",
        ylabel=f"component {second} ({shares[second - 1]:.0f} %)",
    )
    axes.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.grid(visible=False)


def _size(count: int) -> float:
    """Small and few-inked where there are many, or they become one blot."""
    return float(np.clip(12_000 / max(count, 1), 9, 30))


def _marked(axes: Axes, scores: Any, groups: Any) -> int:
    """Rows with a marker for each group; how many groups there are."""
    labels = np.zeros(len(scores), int) if groups is None else np.asarray(groups)
    if labels.dtype.kind == "O":  # None and numbers beside text have no order
        labels = labels.astype(str)
    if labels.shape != (len(scores),):
        raise ValueError(f"groups has shape {labels.shape}, but there are {len(scores)} rows")
    kinds = np.unique(labels)
    if len(kinds) > len(_KINDS):
        raise ValueError(
            f"{len(kinds)} groups cannot be told apart without colour: give at most {len(_KINDS)}"
        )
    for kind, (marker, colour, filled) in zip(kinds, _KINDS, strict=False):
        chosen = labels == kind
        axes.scatter(
            scores[chosen, 0],
            scores[chosen, 1],
            s=_size(len(scores)),
            marker=marker,
            facecolors=colour if filled else "none",
            edgecolors=None if marker in "x+" else colour,
            linewidths=0.8,
            label=plain(str(kind)),
        )
    return len(kinds)


def _course(drawn: Canvas, scores: Any, times: Any) -> None:
    """Rows in their order: joined, from dark to light, with a ring at the last."""
    x = when(times, len(scores))
    is_date = x.dtype.kind == "M"
    place = numbers_of_times(x)
    (axes,) = drawn.axes
    axes.plot(scores[:, 0], scores[:, 1], color="#b0b0b0", linewidth=0.6, zorder=1)
    # Light enough at the end to differ from the beginning, dark enough to be seen on white.
    shades = LinearSegmentedColormap.from_list("course", ["#1b0c41", "#b0413e", "#f6b26b"])
    points = axes.scatter(
        scores[:, 0], scores[:, 1], s=_size(len(scores)), c=place, cmap=shades, zorder=2
    )
    if len(scores):
        axes.scatter(
            scores[-1, 0], scores[-1, 1], s=110, facecolors="none", edgecolors="black", zorder=3
        )
    bar = drawn.figure.colorbar(points, ax=axes, fraction=0.06, pad=0.03)
    bar.ax.tick_params(labelsize=SMALL - 1)
    said = "ring: the last"
    if is_date:
        date_ticks(bar.ax.yaxis, 6)
        bar.ax.yaxis.get_offset_text().set_visible(False)  # it would take the room of a column
        days = sorted(set(np.datetime_as_string(x[[0, -1]], "D").tolist())) if len(x) else []
        said = " to ".join(days) + ", UTC; " + said
    bar.set_label(said, size=SMALL)


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
