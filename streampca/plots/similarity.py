"""How alike two sets of components are, direction by direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from streampca.metrics import acs
from streampca.plots.style import SMALL, canvas, dress, ink_on

_NUMBERED = 10


def plot_acs(
    components: Any,
    reference: Any,
    *,
    names: tuple[str, str] = ("components", "reference"),
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the absolute cosine similarity of every component with every reference direction.

    Components in their right places make a black diagonal on white.

    Parameters
    ----------
    components, reference : array of shape (p, n) and (r, n), Checkpoint, or StreamingPCA
    names : pair of str
        What the axes are called.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        An image with a row for each component of the first.

    Examples
    --------
    >>> import numpy as np
    >>> figure = plot_acs([[0.0, 1.0], [1.0, 0.0]], np.eye(2))
    >>> figure.axes[0].images[0].get_array().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    cosines = acs(_directions(components), _directions(reference))
    p, r = cosines.shape
    height = min(5.2, max(2.2, 0.8 + 4.0 * p / max(r, 1)))
    drawn = canvas(height, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    image = axes.imshow(cosines, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    if max(p, r) <= _NUMBERED:
        for (i, j), value in np.ndenumerate(cosines):
            axes.text(
                j,
                i,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=SMALL - 1.5,
                color=ink_on(image, value),
            )
    dress(axes, title="absolute cosine similarity", xlabel=names[1], ylabel=names[0])
    axes.grid(visible=False)
    for axis, count in ((axes.xaxis, r), (axes.yaxis, p)):
        places = np.arange(0, count, max(1, -(-count // 10)))
        axis.set_ticks(places, [str(i + 1) for i in places])
    bar = drawn.figure.colorbar(image, ax=axes, fraction=0.06, pad=0.03)
    bar.ax.tick_params(labelsize=SMALL)
    return drawn.finish()


def _directions(given: Any) -> Any:
    if hasattr(given, "components"):
        return given.components
    return getattr(given, "components_", given)
