"""The pictures of docs/performance.md, readable in black and white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.ticker

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.peers.page import best_of_oja, by_data, by_method
from benchmarks.peers.profile import KINDS
from benchmarks.peers.results import Figure

FOLDER = Path(__file__).parents[2] / "docs" / "performance"
FLOOR = 1e-15
"""Excess below this is rounding."""

MARKERS = "osDv^<>Ppx*1d+2H"
STYLES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx", "\\\\")


def draw(figures: Sequence[Figure], folder: Path = FOLDER) -> None:
    """Every picture for which there are figures."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {figure.part for figure in figures}
    with mpl.rc_context({"axes.grid": True, "grid.color": "0.9", "font.size": 9}):
        for part, name, make in (
            ("speed", "pareto", pareto),
            ("change", "change", change),
            ("profile", "profile", profile),
            ("cost", "cost", cost),
        ):
            if part in parts:
                figure = make(figures)
                figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")
                plt.close(figure)


def pareto(figures: Sequence[Figure]) -> Any:
    """Excess against seconds for all rows; the line is the front: nothing is both better."""
    groups = by_data(figures, "speed")
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4 * columns, 3.3 * lines), squeeze=False)
    names: dict[str, str] = {}
    for axis, (data, group) in zip(axes.flat, groups.items(), strict=False):
        points = []
        for name, of in best_of_oja(by_method(group), "excess").items():
            if "excess" not in of or not np.isfinite(of["rows/s"].value):
                continue
            short = "Oja, best rate" if name.startswith("Oja") else name
            marker = names.setdefault(short, MARKERS[len(names) % len(MARKERS)])
            x, y = of["seconds for all rows"].value, max(of["excess"].value, FLOOR)
            own = name.startswith("streampca")
            axis.plot(
                x, y, marker, color="black", mfc="black" if own else "white", ms=7 if own else 6
            )
            points.append((x, y))
        front = [(x, y) for x, y in points if not any(a < x and b < y for a, b in points)]
        front.sort()
        axis.step(*zip(*front, strict=True), where="post", color="0.6", lw=1, zorder=0)
        axis.set(title=data, xscale="log", yscale="log", xlabel="seconds for all rows")
        axis.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())  # they would overlap
    for axis in axes[:, 0]:
        axis.set_ylabel("excess error")
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    handles = [
        plt.Line2D(
            [],
            [],
            marker=m,
            ls="",
            color="black",
            mfc="black" if name.startswith("streampca") else "white",
            label=name,
        )
        for name, m in names.items()
    ]
    figure.tight_layout()
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False
    )
    return figure


def change(figures: Sequence[Figure]) -> Any:
    """Excess over the oracle's after the change."""
    (group,) = by_data(figures, "change").values()
    figure, axis = plt.subplots(figsize=(6, 3.6))
    for place, (name, of) in enumerate(by_method(group).items()):
        points = sorted((f.rows, f.value) for f in of.values())
        shade = "black" if "half-life" in name or "oracle" in name else "0.5"
        axis.plot(
            *zip(*points, strict=True),
            STYLES[place % 4],
            marker=MARKERS[place],
            color=shade,
            ms=4,
            lw=1.2,
            label=name,
        )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="rows after the change of subspace",
        ylabel="excess over the oracle's",
    )
    seen = sorted({found.rows for found in group})
    axis.set_xticks(seen, [f"{rows:,}" for rows in seen])
    axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def profile(figures: Sequence[Figure]) -> Any:
    """Shares as bars."""
    bars = []
    for data, group in by_data(figures, "profile").items():
        for name, of in by_method(group).items():
            if "products" in of:
                bars.append((f"{data}\n{name.split(', ')[1]}", [of[kind].value for kind in KINDS]))
    shares = np.array([share for _, share in bars])
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(bars) + 1))
    left = np.zeros(len(bars))
    for kind, share, hatch, shade in zip(
        KINDS, shares.T, HATCHES, (0.2, 0.75, 0.9, 0.6, 1.0), strict=True
    ):
        axis.barh(
            range(len(bars)),
            share,
            left=left,
            color=str(shade),
            edgecolor="black",
            hatch=hatch,
            lw=0.5,
            label=kind,
        )
        left += share
    axis.set_yticks(range(len(bars)), [name for name, _ in bars], fontsize=7)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="share of the time")
    axis.grid(visible=False)
    axis.legend(frameon=False, ncols=5, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return figure


def cost(figures: Sequence[Figure]) -> Any:
    """Microseconds a row against n, p, m and the rows seen."""
    sweeps = {
        "n": "features n",
        "p": "components p",
        "m": "rows of a minibatch",
        "rows": "rows seen",
    }
    groups = by_data(figures, "cost")
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4))
    names: dict[str, int] = {}
    for axis, (name, said) in zip(axes.flat, sweeps.items(), strict=True):
        methods: dict[str, list[Figure]] = {}
        for found in groups.get(f"against {name}", []):
            methods.setdefault(found.method, []).append(found)
        for method, of in methods.items():
            place = names.setdefault(method, len(names))
            points = sorted((getattr(f, name), 1e6 * f.value) for f in of)
            limit = method in ("X'X", "two products")
            axis.plot(
                *zip(*points, strict=True),
                STYLES[place % 4],
                marker=MARKERS[place],
                ms=4,
                lw=1.2,
                color="0.55" if limit else "black",
                mfc="black" if method.startswith("streampca") else "white",
            )
        axis.set(xscale="log", yscale="log", xlabel=said)
    for axis in axes[:, 0]:
        axis.set_ylabel("microseconds a row")
    handles = [
        plt.Line2D(
            [],
            [],
            ls=STYLES[place % 4],
            marker=MARKERS[place],
            ms=4,
            color="0.55" if name in ("X'X", "two products") else "black",
            mfc="black" if name.startswith("streampca") else "white",
            label=name,
        )
        for name, place in names.items()
    ]
    figure.tight_layout()
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    return figure
