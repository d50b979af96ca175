"""How components moved from checkpoint to checkpoint, as a figure.

Needs the extra: ``pip install "streampca[plot]"``. This file draws; what it draws is computed from
checkpoints alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import Checkpoint

try:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
except ImportError as error:  # pragma: no cover - the test environment has matplotlib
    raise ImportError('streampca.plots needs matplotlib: pip install "streampca[plot]"') from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_components"]

# Told apart without colour: each line has its own dashes, marker and shade.
_STYLES = (
    ("#000000", "-", "o"),
    ("#c44e00", "--", "s"),
    ("#0072b2", "-.", "^"),
    ("#7a7a7a", ":", "D"),
    ("#007a5e", (0, (5, 1, 1, 1)), "v"),
    ("#a0569a", (0, (1, 1)), "P"),
)
_MOST = len(_STYLES)
_SMALLEST = 0.01
"""Degrees; a component that turned by less is drawn here: at rest."""


def plot_components(
    checkpoints: Sequence[Checkpoint], *, n_components: int | None = None
) -> Figure:
    """Draw how far components turned from window to window, and the variance that they explain.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        Of one key, oldest first, as `CheckpointStore.history` returns them.
    n_components : int, optional
        How many components to draw, the leading ones; at most 6, the default where there are as
        many.

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
    p = _check(checkpoints, n_components)
    angles, shares = _angles(checkpoints, p), _shares(checkpoints, p)
    x, label = _positions(checkpoints)
    figure = Figure(figsize=(7, 5), layout="constrained", dpi=160)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for i in range(p):
        _line(upper, x, angles[:, i], i)
        _line(lower, x, shares[:, i], i)
    first = checkpoints[0]
    whose = "" if first.key is None else f" of {first.key}"
    upper.set_title(f"How far components{whose} turned since the window before", loc="left")
    upper.set_ylabel("turned by")
    upper.set_yscale("log")
    upper.set_ylim(_SMALLEST / 1.5, 130)
    upper.set_yticks([0.01, 0.1, 1, 10, 90])
    upper.yaxis.set_major_formatter("{x:g}°")
    upper.yaxis.set_minor_locator(NullLocator())
    lower.set_title("Share of the variance that each explains", loc="left")
    lower.set_ylabel("explained variance")
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lower.set_ylim(bottom=0)
    lower.set_xlabel(label)
    if len(x) == 1:
        lower.set_xticks(x, [str(x[0]).removesuffix(".000000")])
    elif x.dtype.kind == "M":
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_locator(locator)
        dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_formatter(dates)
    else:
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    # Above the lines and not on them: where lines meet, names on them would lie on each other.
    handles, names = upper.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=p if p <= 4 else 3,
        frameon=False,
        handlelength=3,
    )
    return figure


def _check(checkpoints: Sequence[Checkpoint], n_components: int | None) -> int:
    """Raise if they make no one history; return how many components to draw."""
    if not checkpoints:
        raise ValueError("there is no checkpoint to draw: the history is empty")
    first = checkpoints[0]
    for other in checkpoints:
        if other.key != first.key:
            raise ValueError(
                f"checkpoints of several keys, {first.key!r} and {other.key!r}: draw one key"
            )
        if (other.components.shape[1], other.feature_names) != (
            first.components.shape[1],
            first.feature_names,
        ):
            raise ValueError(f"{first!r} and {other!r} do not have the same features")
    most = min(_MOST, max(len(c.components) for c in checkpoints))
    if n_components is not None and not 1 <= n_components <= most:
        raise ValueError(f"n_components={n_components} is not accepted: give 1 to {most}")
    return n_components or most


def _angles(checkpoints: Sequence[Checkpoint], p: int) -> NDArray[np.float64]:
    """Degrees between each component and the one before; NaN where there was none."""
    angles = np.full((len(checkpoints), p), np.nan)
    for row, (before, now) in enumerate(pairwise(checkpoints), start=1):
        k = min(len(before.components), len(now.components), p)
        old, new = before.components[:k].astype("float64"), now.components[:k].astype("float64")
        signs = np.where((old * new).sum(axis=1) < 0, -1.0, 1.0)
        # From the distance and not the cosine, which cannot tell angles below 1e-8 from none.
        chord = np.linalg.norm(new - signs[:, None] * old, axis=1)
        angles[row, :k] = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0.0, 1.0)))
    return np.where(np.isnan(angles), np.nan, np.clip(angles, _SMALLEST, None))


def _shares(checkpoints: Sequence[Checkpoint], p: int) -> NDArray[np.float64]:
    shares = np.full((len(checkpoints), p), np.nan)
    for row, checkpoint in enumerate(checkpoints):
        ratio = checkpoint.explained_variance_ratio[:p]
        shares[row, : len(ratio)] = ratio
    return shares


def _positions(checkpoints: Sequence[Checkpoint]) -> tuple[NDArray[Any], str]:
    """Window ends where all have one, else a number for each checkpoint."""
    ends = [checkpoint.window_end for checkpoint in checkpoints]
    if any(end is None for end in ends):
        return np.arange(1, len(ends) + 1), "checkpoint"
    return np.array(ends, "datetime64[us]"), "end of the window (UTC)"


def _line(axes: Axes, x: NDArray[Any], y: NDArray[np.float64], i: int) -> None:
    colour, dashes, marker = _STYLES[i]
    axes.plot(
        x,
        y,
        color=colour,
        linestyle=dashes,
        marker=marker,
        markersize=5.5,
        markerfacecolor="white" if i % 2 else colour,
        markevery=max(1, len(x) // 20),
        linewidth=1.8,
        label=f"component {i + 1}",
    )
