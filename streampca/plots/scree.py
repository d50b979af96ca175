"""How much of the variance each component explains, and how much the first k explain."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from streampca.monitor import chance_of, components_to_keep
from streampca.plots.models import checkpoint_of, how_many
from streampca.plots.style import SMALL, canvas, dress


def plot_scree(
    model: Any,
    *,
    n_components: int | None = None,
    parallel: bool = False,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the share of the variance that each component explains, and the sum so far.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
    n_components : int, optional
        How many components to draw, the leading ones; by default at most 20.
    parallel : bool, default=False
        Whether to draw the shares that chance gives (Horn's parallel analysis), and the elbow: how
        many components are larger than that.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        Bars of the shares, and a line of their sums.

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
    drawn = canvas(3.6, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    if parallel:
        _beside_chance(axes, checkpoint, shares)
    else:
        _with_sums(axes, shares)
    dress(axes, xlabel="component k", ylabel="share of the variance")
    axes.set_xlim(0.3, p + 0.7)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xticks(np.arange(1, p + 1, -(-p // 12)))
    drawn.legend(2)
    return drawn.finish()


def _bars(axes: Axes, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """A bar for each component; where they stand."""
    x = np.arange(1, len(shares) + 1)
    axes.bar(
        x,
        shares,
        width=0.65,
        color="#d0d0d0",
        edgecolor="black",
        hatch="//",
        label="each component",
    )
    return x


def _with_sums(axes: Axes, shares: NDArray[np.float64]) -> None:
    """How much the first k explain together."""
    x, so_far, p = _bars(axes, shares), np.cumsum(shares), len(shares)
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
    axes.set_ylim(0, 1.05)


def _beside_chance(axes: Axes, checkpoint: Any, shares: NDArray[np.float64]) -> None:
    """The shares that chance gives, and a line behind the last component above them."""
    x = _bars(axes, shares)
    total = max(checkpoint.total_variance, np.finfo(float).tiny)
    chance = chance_of(checkpoint)[: len(shares)] / total
    axes.plot(x[: len(chance)], chance, "-s", color="#b03000", markersize=4, label="chance, 95 %")
    count = components_to_keep(checkpoint, "parallel")
    if count < len(shares):
        axes.axvline(count + 0.5, color="black", linestyle=":", linewidth=1.6)
    together = checkpoint.explained_variance_ratio[:count].sum()
    how = "component is" if count == 1 else "components are"
    axes.set_title(
        f"{count} {how} larger than chance, {together:.0%} of the variance",
        loc="left",
        fontsize=SMALL,
    )
    axes.set_ylim(0, 1.08 * max(shares.max(initial=0.0), chance.max(initial=0.0)) or 1.0)
