"""How components moved from checkpoint to checkpoint, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter
from numpy.typing import NDArray

from streampca.checkpoint import Checkpoint
from streampca.monitor import trends
from streampca.plots.models import how_many
from streampca.plots.style import LINES, canvas, dress, time_axis

_SMALLEST = 0.01
"""Degrees; a component that turned by less is drawn here: at rest."""


def plot_components(
    checkpoints: Sequence[Checkpoint],
    *,
    n_components: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw how far components turned from window to window, and the variance that they explain.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        Of one key, oldest first, as `CheckpointStore.history` returns them.
    n_components : int, optional
        How many components to draw, the leading ones; at most 6, the default where there are as
        many.
    ax, figsize, title : optional
        Where to draw, two axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        Upper panel: the angle in degrees that each component has turned since the checkpoint
        before, on a logarithmic scale. Lower panel: its share of the variance.

    Raises
    ------
    ValueError
        If there is no checkpoint, or they are of several keys or of different features.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> rng, pca, history = np.random.default_rng(0), StreamingPCA(2), []
    >>> for hour in range(3):
    ...     pca = pca.partial_fit(rng.normal(size=(50, 4)))
    ...     history.append(pca.checkpoint(window_end=3_600_000_000 * (hour + 1)))
    >>> [axes.get_ylabel() for axes in plot_components(history).axes]
    ['turned by', 'explained variance']
    """
    found = trends(checkpoints)
    most = min(len(LINES), found.angles.shape[1])
    p = how_many("n_components", n_components, most, most)
    angles = np.degrees(found.angles[:, :p])
    angles = np.where(np.isnan(angles), np.nan, np.clip(angles, _SMALLEST, None))
    x, label = _positions(checkpoints)
    drawn = canvas(5.2, ax=ax, figsize=figsize, title=title, n_rows=2)
    upper, lower = drawn.axes
    for i in range(p):
        _line(upper, x, angles[:, i], i)
        _line(lower, x, found.shares[:, i], i)
    key = checkpoints[0].key
    whose = "" if key is None else f"{key}: "
    dress(upper, title=f"{whose}turned since the window before", ylabel="turned by")
    upper.set_yscale("log")
    least = np.nanmin(angles, initial=1.0)
    ticks = [tick for tick in (_SMALLEST, 0.1, 1, 10, 90) if tick > least / 10]
    upper.set_ylim(min(least, ticks[0]) / 1.5, 130)
    upper.set_yticks(ticks)
    upper.yaxis.set_major_formatter("{x:g}°")
    upper.yaxis.set_minor_locator(NullLocator())
    upper.tick_params(labelbottom=False)
    dress(lower, title="share of the variance", xlabel=label, ylabel="explained variance")
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lower.set_ylim(bottom=0)
    if len(x) == 1:
        lower.set_xticks(x, [str(x[0]).removesuffix(".000000")])
    else:
        time_axis(lower, x)
    # Above the lines and not on them: where lines meet, names on them would lie on each other.
    drawn.legend(2 if p in (2, 4) else 3, handlelength=2.6, columnspacing=1.2)
    return drawn.finish()


def _positions(checkpoints: Sequence[Checkpoint]) -> tuple[NDArray[Any], str]:
    """Window ends where all have one, else a number for each checkpoint."""
    ends = [checkpoint.window_end for checkpoint in checkpoints]
    if any(end is None for end in ends):
        return np.arange(1, len(ends) + 1), "checkpoint"
    return np.array(ends, "datetime64[us]"), "end of the window (UTC)"


def _line(axes: Axes, x: NDArray[Any], y: NDArray[np.float64], i: int) -> None:
    line = LINES[i]
    axes.plot(
        x,
        y,
        color=line.colour,
        linestyle=line.dashes,
        marker=line.marker,
        markersize=5,
        markerfacecolor="white" if i % 2 else line.colour,
        markevery=max(1, len(x) // 20),
        linewidth=1.7,
        label=f"component {i + 1}",
    )
