"""Which features make up each component."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from streampca.metrics import leading_features
from streampca.plots.models import checkpoint_of, how_many
from streampca.plots.style import SMALL, TEXT, canvas, dress, feature_labels, ink_on

_NUMBERED = 6
"""So many columns have room for numbers at the width of a phone; more have signs alone."""


def plot_loadings(
    model: Any,
    *,
    n_components: int | None = None,
    n_features: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the loadings of features on components as a heat map.

    The darker a cell, the larger the loading; its sign is written in it (in numbers up to 6
    components), and colour repeats it.

    Parameters
    ----------
    model : Checkpoint or StreamingPCA
    n_components : int, optional
        How many components to draw, the leading ones; by default at most 6.
    n_features : int, optional
        How many features to draw, those with the largest loadings, in their own order; by default
        at most 25.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        An image with a row for each feature and a column for each component.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> pca = StreamingPCA(2).fit(np.diag([3.0, 2.0, 1.0]))
    >>> [label.get_text() for label in plot_loadings(pca, n_features=2).axes[0].get_yticklabels()]
    ['feature 0', 'feature 1']
    """
    checkpoint = checkpoint_of(model)
    most, n = checkpoint.components.shape
    p = how_many("n_components", n_components, _NUMBERED, most)
    count = how_many("n_features", n_features, 25, n)
    loadings = checkpoint.components[:p].astype("float64")  # (p, n)
    shown = leading_features(loadings, count)
    cells = loadings[:, shown].T  # (features, components)
    drawn = canvas(1.3 + 0.26 * count, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    largest = max(float(np.abs(cells).max()), np.finfo(float).tiny)
    # Both ends of this map are about as dark: without colour it shows the size.
    image = axes.imshow(cells, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto")
    for (row, column), value in np.ndenumerate(cells):
        sign = "−" if value < 0 else "+" if abs(value) >= 0.1 * largest else ""
        number = f"{value:+.2f}".replace("-", "−") if abs(value) >= 0.005 else "0"
        text = number if p <= _NUMBERED else sign
        ink = ink_on(image, value)
        axes.text(column, row, text, ha="center", va="center", fontsize=SMALL - 1, color=ink)
    left_out = n - count
    note = f"{count} of {n} features" if left_out else "loadings"
    dress(axes, title=note, xlabel="component")
    axes.grid(visible=False)
    axes.set_xticks(np.arange(p), [str(i + 1) for i in range(p)], fontsize=SMALL)
    labels = feature_labels(checkpoint.feature_names, shown)
    axes.set_yticks(np.arange(count), labels, fontsize=SMALL)
    axes.title.set_fontsize(TEXT)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return drawn.finish()
