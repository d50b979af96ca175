"""The figure of docs/index.md, drawn from a run: `python -m benchmarks.docs_figures`.

Readable in black and white and at the width of a phone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from streampca import StreamingPCA

OUT = Path(__file__).parent.parent / "docs" / "images" / "index-stream.png"
CHANGE = 2000


def main() -> None:
    draws = np.random.default_rng(4)
    angles = np.radians([25.0, 115.0])
    pca, rows = StreamingPCA(n_components=2, half_life=200), []
    shown = {6: "after 6 rows", CHANGE: f"after {CHANGE:,} rows"}
    shown |= {CHANGE + 150: "150 rows after a change", 2 * CHANGE: f"{CHANGE:,} rows after it"}
    figure = Figure(figsize=(7, 6.4), layout="constrained", dpi=150)
    panels = iter(figure.subplots(2, 2, sharex=True, sharey=True).flat)
    for i in range(2 * CHANGE):
        angle = angles[int(i >= CHANGE)]
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        rows.append((draws.normal(size=2) * [3.0, 1.0]) @ turn + [1.0, 0.5])
        pca.partial_fit(rows[-1][None])
        if i + 1 in shown:
            axes = next(panels)
            older, recent = np.array(rows[-600:-200]).reshape(-1, 2), np.array(rows[-200:])
            axes.scatter(*older.T, s=9, color="#d9d9d9", linewidths=0)
            axes.scatter(*recent.T, s=9, color="#9a9a9a", linewidths=0)
            for k, (colour, dashes) in enumerate((("#000000", "-"), ("#c44e00", "--"))):
                tip = pca.mean_ + 2 * pca.explained_variance_[k] ** 0.5 * pca.components_[k]
                axes.plot(*zip(pca.mean_, tip, strict=True), color=colour, ls=dashes, lw=2.5)
                axes.annotate(
                    f" {k + 1}", tip, fontsize=14, fontweight="bold", color=colour, va="center"
                )
            axes.set_title(shown[i + 1], loc="left", fontsize=13)
            axes.set_aspect("equal")
            axes.set_xlim(-9, 10)
            axes.set_ylim(-9, 10)
            axes.tick_params(labelbottom=False, labelleft=False, length=0)
            axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT)


if __name__ == "__main__":
    main()
