"""`streampca components` and `streampca history`: what was learned, and how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer

from streampca.checkpoint import Summary
from streampca.cli import options, output
from streampca.cli.describe import component_table, described, heading
from streampca.cli.find import find, find_summaries

_FEATURES = 40


def components(
    place: options.Place,
    key: options.KeyOption = None,
    at: options.At = None,
    features: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many features to show, the heaviest.")
    ] = _FEATURES,
    json: options.Json = False,
) -> None:
    """Show the ordered components.

    What each feature has in them, and the variance they explain.
    """
    checkpoint = find(place, key, at)
    if json:
        output.as_json(described(checkpoint))
    else:
        component_table(checkpoint, features).show()


def history(
    place: Annotated[str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints.")],
    key: options.KeyOption = None,
    last: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only so many, the newest.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show how components came about.

    Rows, the variance explained, and how far components turned each time.
    """
    found = find_summaries(place, key, last)
    if json:
        output.as_json([_described(summary) for summary in found])
    else:
        history_table(found).show()


def _described(summary: Summary) -> dict[str, object]:
    drift = summary.drift
    return heading(summary) | {
        "explained_variance": summary.explained_variance,
        "explained_variance_ratio": summary.explained_variance_ratio,
        "total_variance": summary.total_variance,
        "drift": None if drift is None else drift._asdict(),
    }


def history_table(found: Sequence[Summary]) -> output.Table:
    """A row for each checkpoint: rows, shares of variance, how far the components turned."""
    p = min(6, max(len(checkpoint.explained_variance) for checkpoint in found))
    timed = any(checkpoint.window_end is not None for checkpoint in found)
    key = found[0].key
    title = "Checkpoints" + ("" if key is None else f" of {key}")
    left = ["sequence", "up to (UTC)"] if timed else ["sequence"]
    shares = [f"share {i + 1}" for i in range(p)]
    made = output.Table(title, left, ["rows", *shares, "all", "turned by"])
    for checkpoint in found:
        ratio = checkpoint.explained_variance_ratio
        cells = [str(checkpoint.sequence) + (" late" if checkpoint.late else "")]
        if timed:
            cells.append(output.time_text(checkpoint.window_end) or "")
        cells.append(f"{checkpoint.n_samples_seen:,}")
        cells += [f"{share:.1%}" for share in ratio[:p]] + [""] * (p - len(ratio))
        drift = checkpoint.drift
        turned = "" if drift is None else f"{np.degrees(drift.angle):.3g}°"
        made.add_row(*cells, f"{ratio.sum():.1%}", turned)
    return made
