"""How the figures look: readable in black and white, so lines differ in dash and marker too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs" / "paper"

LINES: dict[str, dict[str, Any]] = {
    "nested": {"color": "black", "linestyle": "-", "marker": "o"},
    "mse": {"color": "0.45", "linestyle": "--", "marker": "s"},
    "exact": {"color": "black", "linestyle": ":", "marker": "^"},
    "other": {"color": "0.6", "linestyle": "-.", "marker": "D"},
}
NAMES = {"nested": "nested loss, Adam", "mse": "MSE, Adam", "exact": "nested loss, exact step"}

mpl.rcParams.update(
    {
        "figure.dpi": 110,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "0.9",
        "lines.markersize": 4,
        "lines.linewidth": 1.3,
        "legend.frameon": False,
    }
)


def save(figure: Any, name: str) -> None:
    """Write docs/paper/<name>.png and close the figure."""
    DOCS.mkdir(parents=True, exist_ok=True)
    figure.savefig(DOCS / f"{name}.png", bbox_inches="tight")
    plt.close(figure)
    with Image.open(DOCS / f"{name}.png") as image:
        grey = image.convert("L").quantize(64)  # as it will be printed, and a third of the size
    grey.save(DOCS / f"{name}.png", optimize=True)
    size = (DOCS / f"{name}.png").stat().st_size
    print(f"docs/paper/{name}.png: {size // 1000} kB")


def keep(name: str, results: Any) -> None:
    """Write the numbers behind a figure beside it."""
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


def kept(name: str) -> Any:
    """The numbers of an earlier run, or None."""
    path = DOCS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
