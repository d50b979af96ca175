"""How much of the variance each component explains, and how much the first k explain."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from streampca.plots.models import checkpoint_of, how_many
from streampca.plots.style import SMALL, dress, new_figure

__all__ = ["plot_scree"]


def plot_scree(model: Any, *, n_components: int | None = None) -> Figure:
    """Draw the share of the variance that each component explains, and the sum so far.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
    n_components : int, optional
        How many components to draw, the leading ones; by default at most 20.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> pca = StreamingPCA(2).fit(np.diag([3.0, 2.0, 1.0]))
    >>> figure = plot_scree(pca)
    >>> [round(float(bar.get_height()), 2) for bar in figure.axes[0].patches]
    [0.75, 0.25]
    """
    checkpoint = checkpoint_of(model)
    p = how_many("n_components", n_components, 20, len(checkpoint.components))
    shares = checkpoint.explained_variance_ratio[:p]
    x, so_far = np.arange(1, p + 1), np.cumsum(shares)
    figure = new_figure(3.6)
    axes = figure.subplots()
    axes.bar(
        x,
        shares,
        width=0.65,
        color="#d0d0d0",
        edgecolor="black",
        hatch="//",
        label="each component",
    )
    axes.plot(x, so_far, "-o", color="black", markersize=5, label="all up to k")
    # The last sum is the figure's answer: how much is left out.
    left = p > 1 and so_far[-1] > 0.85
    axes.annotate(
        f"{so_far[-1]:.1%}",
        (p, so_far[-1]),
        xytext=(0, -16 if left else 8),
        textcoords="offset points",
        ha="right" if p > 1 else "center",
        fontsize=SMALL,
    )
    dress(axes, xlabel="component k", ylabel="share of the variance")
    axes.set_ylim(0, 1.05)
    axes.set_xlim(0.3, p + 0.7)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xticks(np.arange(1, p + 1, -(-p // 12)))
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=SMALL)
    return figure
