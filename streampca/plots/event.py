"""What an event was: which sensors, and when each of them was unlike itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from streampca.monitor import Event
from streampca.plots.models import how_many, monitor_of, parts_of, when
from streampca.plots.style import (
    SMALL,
    TEXT,
    canvas,
    dress,
    feature_labels,
    lying_bars,
    numbers_of_times,
    time_axis,
)
from streampca.text import counted


def plot_event(
    model: Any,
    X: Any,
    event: Event | None = None,
    *,
    start: int = 0,
    times: Any = None,
    statistic: str | None = None,
    n_features: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the sensors behind an event: how much of it each was, and when.

    On the left the mean part of each sensor in SPE or T^2, over the rows of the event; on the
    right the parts row by row, the darker the larger, with lines where the event begins and ends.

    Parameters
    ----------
    model : Monitor, Checkpoint or StreamingPCA
    X : array-like of shape (m, n)
        The rows of the event, and some before and behind it.
    event : Event, optional
        Of a `Watch`. By default all rows are one.
    start : int, default=0
        Number of the first row of X, as the event counts rows.
    times : array-like of shape (m,), optional
        When each row was; datetime64 in UTC.
    statistic : {"spe", "t2"}, optional
        By default that of the event's peak, and SPE without an event.
    n_features : int, optional
        How many features to draw, those with the largest parts; by default at most 10.
    ax, figsize, title : optional
        Where to draw, two axes in a figure of your own; width and height in inches; text above.

    Returns
    -------
    matplotlib.figure.Figure
        Left axes: mean parts of sensors. Right axes: their parts, row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> from streampca.monitor import Watch
    >>> X = np.random.default_rng(0).normal(size=(200, 5)) * [3, 1, 1, 1, 1]
    >>> X[100:120, 3] += 9
    >>> watch = Watch(StreamingPCA(1).fit(X[:100]), "k=3, n=5, hold_off=10")
    >>> events = [event for event in watch.add(X) if event.is_over]
    >>> figure = plot_event(watch.monitor, X[80:140], events[0], start=80)
    >>> figure.axes[0].get_yticklabels()[0].get_text()
    'feature 3'
    """
    monitor = monitor_of(model)
    statistic = statistic or ("spe" if event is None else event.statistic)
    parts, name = parts_of(monitor, statistic, X)
    parts = np.nan_to_num(parts, nan=0.0)
    within = _rows_of(event, start, len(parts))
    x = when(times, len(parts), start)
    count = how_many("n_features", n_features, 10, parts.shape[1])
    means = parts[within].mean(axis=0)
    order = np.argsort(-means, kind="stable")[:count]
    total = float(means.sum()) or 1.0
    drawn = canvas(1.5 + 0.27 * count, ax=ax, figsize=figsize, title=title, widths=(1.0, 1.6))
    bars, heat = drawn.axes
    names = feature_labels(monitor.feature_names, order)
    lying_bars(bars, 100 * means[order] / total, names, f"% of {name}")
    bars.set_ylim(count - 0.5, -0.5)  # as high as the rows of the picture beside it
    _heat(heat, x, parts[:, order].T, within)
    n_rows = counted(int(within.sum()), "row")
    bars.set_title(f"mean of {n_rows}", loc="left", fontsize=SMALL)
    heat.set_title("row by row", loc="left", fontsize=SMALL)
    return drawn.finish()


def _rows_of(event: Event | None, start: int, count: int) -> NDArray[np.bool_]:
    """Which of the rows given belong to the event."""
    if count == 0:
        raise ValueError("there are no rows: give those of the event")
    rows = np.arange(start, start + count)
    if event is None:
        return np.ones(count, bool)
    within = (event.start <= rows) & (rows <= event.end)
    if not within.any():
        raise ValueError(
            f"the event is of rows {event.start} to {event.end}, and rows {start} to "
            f"{start + count - 1} were given: say with start= which row the first is"
        )
    return np.asarray(within)


def _heat(
    axes: Axes, x: NDArray[Any], parts: NDArray[np.float64], within: NDArray[np.bool_]
) -> None:
    """Parts (features, rows) over time; what is small against the largest is light."""
    is_date = x.dtype.kind == "M"
    place = numbers_of_times(x)
    step = float(np.median(np.diff(place))) if len(place) > 1 else 1.0
    edges = np.append(place, place[-1] + step) - step / 2
    shown = np.maximum(parts, 0.0)  # a negative part of T^2 takes off it
    top = float(np.quantile(shown[:, within], 0.99)) or float(shown.max()) or 1.0
    axes.pcolormesh(
        edges,
        np.arange(len(parts) + 1) - 0.5,
        shown,
        cmap="Greys",
        norm=PowerNorm(0.6, vmin=0.0, vmax=top),
        rasterized=True,
    )
    dress(axes)
    # to the left: on the right the axis says of which day its times are
    axes.set_xlabel("UTC" if is_date else "row", loc="left" if is_date else "center", fontsize=TEXT)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.set_yticks(np.arange(len(parts)), [])
    axes.grid(visible=False)
    first, last = np.flatnonzero(within)[[0, -1]]
    for at in (edges[first], edges[last + 1]):
        axes.axvline(at, color="#b03000", linestyle="--", linewidth=1.4)
    if is_date:
        axes.xaxis_date()
    time_axis(axes, x, few=True)
