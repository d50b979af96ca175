"""Control charts of rows, and which features are behind a row that stands out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from streampca.monitor import Monitor
from streampca.plots.models import how_many, monitor_of, parts_of, when
from streampca.plots.style import SMALL, TEXT, canvas, dress, feature_labels, lying_bars, time_axis
from streampca.text import counted

_OTHERS = {"saddlepoint": " (saddlepoint)", "box": " (Box)", "chi2": " (χ²)"}
"""Methods that somebody asked for: there is no room for the names of all."""


def plot_control(
    model: Any,
    X: Any,
    *,
    confidence: float = 0.99,
    spe_method: str = "jackson-mudholkar",
    t2_method: str = "f",
    times: Any = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw SPE and T^2 of rows in their order, with control limits; rows above are crosses.

    Parameters
    ----------
    model : Monitor, Checkpoint or StreamingPCA
    X : array-like of shape (m, n)
    confidence : float
        Of the limits.
    spe_method, t2_method : str
        Of `Monitor.spe_limit` and `Monitor.t2_limit`; "empirical" needs a calibrated Monitor.
    times : array-like of shape (m,), optional
        When each row was; numbers, or datetime64 in UTC.
    ax, figsize, title : optional
        Where to draw, two axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        Upper panel: SPE. Lower panel: T²; both with their limits.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> [axes.get_ylabel() for axes in plot_control(StreamingPCA(2).fit(X), X).axes]
    ['SPE', 'T²']
    """
    monitor = monitor_of(model)
    spe, t2 = monitor.spe(X), monitor.t2(X)
    x = when(times, len(spe))
    drawn = canvas(5.0, ax=ax, figsize=figsize, title=title, n_rows=2)
    upper, lower = drawn.axes
    limits = monitor.spe_limit(confidence, spe_method), monitor.t2_limit(confidence, t2_method)
    _chart(upper, x, spe, limits[0], confidence, _whence(monitor, spe_method))
    _chart(lower, x, t2, limits[1], confidence, _whence(monitor, t2_method))
    dress(upper, ylabel="SPE")
    dress(lower, ylabel="T²", xlabel="time (UTC)" if x.dtype.kind == "M" else "row")
    upper.tick_params(labelbottom=False)
    time_axis(lower, x)
    return drawn.finish()


def _whence(monitor: Monitor, method: str) -> str:
    """Where a limit comes from, in a few words."""
    if method == "empirical":
        return f"from {counted(monitor.n_calibrated, 'normal row')}"
    return f"by theory{_OTHERS.get(method, '')}"


def _chart(
    axes: Axes,
    x: NDArray[Any],
    values: NDArray[np.float64],
    limit: float,
    confidence: float,
    whence: str,
) -> None:
    above = values > limit
    axes.plot(x, values, color="#808080", linewidth=0.8)
    axes.plot(x[~above], values[~above], "o", color="black", markersize=2, label="within")
    axes.plot(x[above], values[above], "x", color="#b03000", markersize=4.5, label="above")
    if np.isfinite(limit):
        axes.axhline(limit, color="black", linestyle="--", linewidth=1.4)
    share = above.mean() if len(above) else 0.0
    # Orders of magnitude lie between a normal row and a broken sensor. What is all but zero
    # (SPE of components that leave nothing out) would stretch the axis for nothing.
    positive = values[values > 0]
    if len(positive):
        axes.set_yscale("log")
        decades = np.log10(max(values.max(), limit if np.isfinite(limit) else 0) / positive.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        floor = max(float(positive.min()), 1e-4 * (limit if 0 < limit < np.inf else 1.0))
        axes.set_ylim(bottom=0.7 * min(floor, limit if limit > 0 else floor))
    axes.set_title(
        f"{100 * confidence:.4g} % limit {limit:.3g} {whence}: {above.sum():,} above, {share:.1%}",
        loc="left",
        fontsize=SMALL,
    )


def plot_contributions(
    model: Any,
    row: Any,
    *,
    statistic: str = "spe",
    n_features: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw which features a row's SPE or T^2 comes from, the largest first.

    Parameters
    ----------
    model : Monitor, Checkpoint or StreamingPCA
    row : array-like of shape (n,) or (1, n)
    statistic : {"spe", "t2"}
    n_features : int, optional
        How many features to draw; by default at most 10.
    ax, figsize, title : optional
        Where to draw, axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        A bar for each feature with a large part.

    Notes
    -----
    A contribution says where the row differs, not why: a broken sensor smears over the features
    that the components tie it to (Westerhuis, Gurden and Smilde 2000).

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> X = np.random.default_rng(0).normal(size=(200, 4)) * [3, 1, 1, 1]
    >>> figure = plot_contributions(StreamingPCA(1).fit(X), [0, 0, 9, 0], n_features=2)
    >>> figure.axes[0].get_yticklabels()[0].get_text()
    'feature 2'
    """
    monitor = monitor_of(model)
    parts, name = parts_of(monitor, statistic, [row] if np.ndim(row) == 1 else row)
    if len(parts) != 1:
        raise ValueError(f"contributions are of one row, and {len(parts)} were given")
    count = how_many("n_features", n_features, 10, parts.shape[1])
    order = np.argsort(-np.abs(parts[0]), kind="stable")[:count]
    values = parts[0, order]
    total = float(parts.sum())
    drawn = canvas(1.2 + 0.3 * count, ax=ax, figsize=figsize, title=title)
    (axes,) = drawn.axes
    names = feature_labels(monitor.feature_names, order)
    bars = lying_bars(axes, values, names, f"part in {name}")
    for bar, value in zip(bars, values, strict=True):
        if value < 0:
            bar.set_hatch("///")
    axes.set_title(f"{name} = {total:.4g}, by feature", loc="left", fontsize=TEXT)
    return drawn.finish()
