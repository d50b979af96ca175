"""How every figure looks: sizes that a phone can show, marks that need no colour.

Sizes are set on each object. matplotlib's rcParams belong to the user and to all threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

__all__ = [
    "LINES",
    "SMALL",
    "TEXT",
    "Line",
    "dress",
    "feature_labels",
    "ink_on",
    "new_figure",
    "shorten",
    "time_axis",
]

WIDTH = 5.0
"""Inches. A phone 390 points wide then shows text of 11 points as 12: readable, not large."""
TEXT, SMALL = 11, 9.5
DPI = 160
GRID = "#dddddd"


class Line(NamedTuple):
    """What tells one line from the others."""

    colour: str
    dashes: Any
    marker: str


# Told apart without colour: each line has its own dashes, marker and shade.
LINES = (
    Line("#000000", "-", "o"),
    Line("#c44e00", "--", "s"),
    Line("#0072b2", "-.", "^"),
    Line("#7a7a7a", ":", "D"),
    Line("#007a5e", (0, (5, 1, 1, 1)), "v"),
    Line("#a0569a", (0, (1, 1)), "P"),
)


def new_figure(height: float) -> Figure:
    """An empty figure of the usual width; height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained", dpi=DPI)


def dress(axes: Axes, *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Titles, labels and a quiet grid."""
    if title:
        axes.set_title(title, loc="left", fontsize=TEXT)
    axes.set_xlabel(xlabel, fontsize=TEXT)
    axes.set_ylabel(ylabel, fontsize=TEXT)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def time_axis(axes: Axes, x: NDArray[Any]) -> None:
    """Ticks that fit times, or whole numbers."""
    if x.dtype.kind == "M":
        locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(dates)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def ink_on(image: AxesImage, value: float) -> str:
    """Black or white, whichever can be read on the colour that an image gives a value."""
    rgb = np.asarray(image.cmap(image.norm(np.asarray(value))))[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # Where black and white stand out alike (WCAG 2): (L + 0.05)^2 = 1.05 * 0.05.
    return "white" if luminance < 0.179 else "black"


def shorten(name: str, longest: int = 16) -> str:
    """A feature's name that leaves room for the figure."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def feature_labels(names: tuple[str, ...] | None, indices: NDArray[np.intp]) -> list[str]:
    """Names of features, or their numbers from 0 on where they have none."""
    return [f"feature {i}" if names is None else shorten(names[i]) for i in indices]
