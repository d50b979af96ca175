"""Rows and features in one picture: where rows lie, and which features that direction is of."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from streampca.monitor import Monitor
from streampca.plots.models import checkpoint_of, how_many, pair_of
from streampca.plots.scores import name_components
from streampca.plots.style import SMALL, canvas, feature_labels

_ROOM = 0.085
"""Share of the height that a label needs."""


def plot_biplot(
    model: Any,
    X: Any,
    *,
    components: tuple[int, int] = (1, 2),
    n_features: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw rows by two components, and the loadings of features on them as arrows.

    A row far out along an arrow is large in that feature; arrows in one direction are of features
    that move together, and opposite ones of features that move against each other.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
    X : array-like of shape (m, n)
    components : pair of int
        Which components, counted from 1.
    n_features : int, optional
        How many features to draw, those with the largest loadings; by default at most 8.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        Rows as points and features as arrows.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> X = np.random.default_rng(0).normal(size=(50, 4)) * [4, 3, 1, 1]
    >>> figure = plot_biplot(StreamingPCA(2).fit(X), X, n_features=2)
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    ['feature 0', 'feature 1']
    """
    checkpoint = checkpoint_of(model)
    first, second = components
    monitor = Monitor(checkpoint)
    pair = pair_of(components, monitor.statistics.n_kept)
    scores = monitor.scores(X)[:, pair]
    count = how_many("n_features", n_features, 8, monitor.n_features)
    # Correlations up to a factor: loadings in units of the components' standard deviations.
    arrows = (
        monitor.statistics.components[pair] * np.sqrt(monitor.statistics.variances[pair])[:, None]
    ).T
    lengths = np.linalg.norm(arrows, axis=1)
    shown = np.sort(np.argsort(-lengths, kind="stable")[:count])
    drawn = canvas(4.8, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    reach = float(np.abs(scores).max(initial=0.0)) or 1.0
    axes.scatter(
        scores[:, 0],
        scores[:, 1],
        s=float(np.clip(9_000 / max(len(scores), 1), 5, 20)),
        color="#9a9a9a",
        linewidths=0,
    )
    factor = 0.85 * reach / (float(lengths.max(initial=0.0)) or 1.0)
    name_components(axes, checkpoint, first, second)
    names = feature_labels(checkpoint.feature_names, shown, longest=12)
    _arrows(axes, arrows[shown] * factor, names, reach)
    axes.set_title(
        "points: rows; arrows: loadings of "
        + (
            "all features"
            if count == monitor.n_features
            else f"{count} of {monitor.n_features} features"
        ),
        loc="left",
        fontsize=SMALL,
    )
    return drawn.finish()


def _arrows(axes: Axes, tips: NDArray[np.float64], names: list[str], reach: float) -> None:
    """Arrows from 0, and their names in two columns beside the rows, so that none hides another."""
    # a letter takes a share of 0.0195 of the width, and the names begin at 1.16 of the reach
    width = 0.0195 * max(map(len, names), default=0)
    axes.set_xlim(*(side * 1.16 * reach / max(1 - 2 * width, 0.3) for side in (-1, 1)))
    axes.set_ylim(-1.12 * reach, 1.12 * reach)
    for tip in tips:
        arrow = {
            "arrowstyle": "-|>",
            "color": "black",
            "linewidth": 1.3,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        axes.annotate("", tip, (0.0, 0.0), arrowprops=arrow)
    for side in (-1, 1):
        chosen = [i for i in range(len(tips)) if (tips[i, 0] >= 0) == (side > 0)]
        chosen.sort(key=lambda i: tips[i, 1])
        heights = _spread([tips[i, 1] / reach for i in chosen], 2.2 * _ROOM)
        for i, height in zip(chosen, heights, strict=True):
            at = (side * 1.16 * reach, height * reach)
            axes.plot(
                [tips[i, 0], at[0]],
                [tips[i, 1], at[1]],
                ":",
                color="black",
                linewidth=0.8,
                zorder=1,
            )
            axes.text(
                *at, names[i], ha="left" if side > 0 else "right", va="center", fontsize=SMALL
            )


def _spread(heights: list[float], room: float) -> list[float]:
    """Heights in their order, moved as little as it takes for each to have room."""
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + room) if found else height)
    over = found[-1] - 1.05 if found else 0.0
    if over > 0:  # from the top down
        found[-1] -= over
        for i in range(len(found) - 2, -1, -1):
            found[i] = min(found[i], found[i + 1] - room)
    return found
