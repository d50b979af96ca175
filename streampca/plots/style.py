"""The style of every figure: sizes that a phone can show, marks that need no colour.

Sizes are set on each object. matplotlib's rcParams belong to the user and to all threads.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import figure as figures
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

WIDTH = 5.0
"""Inches. A phone 390 points wide then shows text of 11 points as 12: readable, not large."""
TEXT, SMALL = 11, 9.5
DPI = 160
GRID = "#dddddd"


class Line(NamedTuple):
    """Styles that tell lines from each other."""

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


class Figure(figures.Figure):
    """A figure that notebooks show by themselves, without pyplot, which would keep it for ever."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """What IPython shows, as large as it would be on paper at 96 points an inch."""
        made = io.BytesIO()
        self.savefig(made, format="png")
        width, height = (round(96 * inches) for inches in self.get_size_inches())
        return made.getvalue(), {"width": width, "height": height}


class Canvas(NamedTuple):
    """Where a picture is drawn: axes of a figure of its own, or of somebody else's."""

    figure: Any
    axes: list[Axes]
    title: str | None
    is_own: bool

    def finish(self) -> figures.Figure:
        """Put the title above what the first axes say already; the figure."""
        if self.title is not None:
            first = self.axes[0]
            note = first.get_title(loc="left")
            text = f"{self.title}\n{note}" if note else self.title
            first.set_title(text, loc="left", fontsize=SMALL if note else TEXT)
        made: figures.Figure = self.figure
        return made

    def legend(self, columns: int, **how: Any) -> None:
        """A legend above the axes; within them where the figure is somebody else's."""
        handles, names = self.axes[0].get_legend_handles_labels()
        how = {"frameon": False, "fontsize": SMALL} | how
        if self.is_own:
            self.figure.legend(handles, names, loc="outside upper left", ncols=columns, **how)
        else:
            self.axes[0].legend(handles, names, loc="best", **how)


def canvas(
    height: float,
    *,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
    n_rows: int = 1,
    widths: Sequence[float] = (1.0,),
) -> Canvas:
    """Axes to draw on: those given, or of a new figure of the usual width; height in inches.

    Raises
    ------
    ValueError
        If there are not as many axes as there are panels, or also a size.
    """
    count = n_rows * len(widths)
    if ax is not None:
        axes = list(np.ravel(ax))
        if len(axes) != count or not all(isinstance(each, Axes) for each in axes):
            what = "matplotlib Axes" if count == 1 else f"{count} matplotlib Axes"
            given = f"{len(axes)} {type(axes[0]).__name__}" if axes else "nothing"
            raise ValueError(f"ax= of {given} is not accepted: give {what}")
        if figsize is not None:
            raise ValueError("figsize is of a figure of its own: give it or ax")
        return Canvas(axes[0].figure, axes, title, False)
    size = (WIDTH, height) if figsize is None else figsize
    made = Figure(figsize=size, layout="constrained", dpi=DPI)
    grid = made.subplots(
        n_rows, len(widths), sharex=n_rows > 1, squeeze=False, gridspec_kw={"width_ratios": widths}
    )
    return Canvas(made, list(grid.ravel()), title, True)


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


def lying_bars(axes: Axes, values: NDArray[np.float64], names: Sequence[str], xlabel: str) -> Any:
    """A bar for each name, from 0 to the right, the first on top."""
    places = np.arange(len(values))
    bars = axes.barh(places, values, color="#d0d0d0", edgecolor="black", height=0.7)
    dress(axes, xlabel=xlabel)
    axes.set_yticks(places, names, fontsize=SMALL)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    return bars


def time_axis(axes: Axes, x: NDArray[Any], *, few: bool = False) -> None:
    """Ticks that fit times, or whole numbers; few where there is little room."""
    most = 4 if few else 6
    if x.dtype.kind == "M":
        date_ticks(axes.xaxis, most)
    else:
        axes.xaxis.set_major_locator(
            MaxNLocator(integer=True, nbins=most, prune="both" if few else None)
        )


def date_ticks(axis: Axis, most: int) -> None:
    """Ticks at round times."""
    locator = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def numbers_of_times(x: NDArray[Any]) -> NDArray[np.float64]:
    """Where times, or numbers, lie on an axis."""
    if x.dtype.kind != "M":
        return x.astype("float64")
    days = date2num(x.astype("datetime64[us]"))  # type: ignore[no-untyped-call]
    return np.asarray(days, "float64")


def ink_on(image: AxesImage, value: float) -> str:
    """Black or white, whichever can be read on the colour that an image gives a value."""
    rgb = np.asarray(image.cmap(image.norm(np.asarray(value))))[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # Where black and white stand out alike (WCAG 2): (L + 0.05)^2 = 1.05 * 0.05.
    return "white" if luminance < 0.179 else "black"


def shorten(name: str, longest: int = 16) -> str:
    """A feature's name that leaves room for the figure, cut in the middle.

    Examples
    --------
    >>> shorten("reactor_cooling_water_outlet_temperature")
    'reactor_…erature'
    """
    if len(name) <= longest:
        return name
    head = longest // 2
    return f"{name[:head]}…{name[head + 1 - longest :]}"


def shortened(names: Sequence[str], longest: int = 16) -> list[str]:
    """Names that leave room for the figure, and differ where the names do.

    Plants name sensors by unit, place and kind: what tells two apart may stand anywhere. Where a
    cut in the middle makes names equal, words that all have in the same place are left out, then
    letters; where even that is not enough, names get longer.

    Examples
    --------
    >>> shortened(["unit_07_reactor_a_temperature_01", "unit_07_reactor_b_temperature_01"])
    ['…a…', '…b…']
    >>> shortened(["outlet", "reactor_cooling_water_outlet_temperature"])
    ['outlet', 'reactor_…erature']
    """
    different = list(dict.fromkeys(names))
    for room in (longest, 2 * longest):
        for kept in (
            different,
            _without_common(different, _WORDS),
            _without_common(different, "."),
        ):
            cut = [shorten(name, room) for name in kept]
            if len(set(cut)) == len(different):
                found = dict(zip(different, cut, strict=True))
                return [found[name] for name in names]
    return list(names)


_WORDS = r"[^\W_]+|[\W_]+"


def _without_common(names: Sequence[str], pattern: str) -> list[str]:
    """Names without the words that all of them begin or end with, or have at the same place."""
    words = [re.findall(pattern, name, re.DOTALL) for name in names]
    least = min(map(len, words), default=0)
    if least == 0 or len(names) < 2:
        return list(names)
    same = [len({each[i] for each in words}) == 1 for i in range(least)]
    if len({len(each) for each in words}) > 1:  # places count from the beginning only until here
        same = same[: same.index(False)] if False in same else same
        same = same[: least - 1]
    return [_joined(each, same) for each in words]


def _joined(words: list[str], same: list[bool]) -> str:
    """The words that are not the same in all names, with signs where others were."""
    found: list[str] = []
    for i, word in enumerate(words):
        is_same = i < len(same) and same[i]
        found.append("…" if is_same else word)
    return re.sub("…+", "…", "".join(found))


def feature_labels(
    names: tuple[str, ...] | None, indices: NDArray[np.intp], longest: int = 16
) -> list[str]:
    """Names of features, or their numbers from 0 on where they have none."""
    if names is None:
        return [f"feature {i}" for i in indices]
    return [plain(name) for name in shortened([names[i] for i in indices], longest)]


def plain(name: str) -> str:
    """A name whose dollar signs are no formula."""
    return name.replace("$", r"\$")
