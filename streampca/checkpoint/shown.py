"""Checkpoints and stores in a notebook: a table, with the course of the variance as a line."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from streampca.checkpoint.fields import time_text
from streampca.metrics import leading_features
from streampca.text import html

__all__ = ["InNotebook", "StoreInNotebook", "component_rows"]

_MOST = 10
"""Components and keys that are shown; of how many more there are, the table says."""
_LAST = 30
"""Checkpoints of a key whose variance is drawn: each is a file to read."""


class InNotebook:
    """How a checkpoint shows itself."""

    def _repr_html_(self: Any) -> str:
        p, n = self.components.shape
        whose = "" if self.key is None else f" of {self.key}"
        start, end = time_text(self.window_start), time_text(self.window_end)
        facts: list[list[Any]] = [["rows", self.n_samples_seen], ["features", n], ["components", p]]
        if self.weight != self.n_samples_seen:
            facts.append(["weight", f"{self.weight:.6g}"])
        if end is not None:
            facts.append(["window", end if start is None else f"{start} to {end}"])
        facts += [["sequence", self.sequence]] if self.sequence else []
        facts.append(["can be gone on from", "yes" if self.moments else "no, without moments"])
        names = self.feature_names or [f"feature {i}" for i in range(n)]
        rows = component_rows(self.components, self.explained_variance_ratio, names)
        return html.card(f"Checkpoint{whose}", html.facts(facts), rows)


def component_rows(components: Any, shares: Any, names: Any, what: str = "component") -> str:
    """A table of components with their shares and leading features, and bars of the shares."""
    of = "the variance" if what == "component" else "the targets' variance"
    lines = []
    for i, (loadings, share) in enumerate(zip(components[:_MOST], shares, strict=False)):
        first = leading_features(loadings[None], min(3, len(loadings))).tolist()
        first.sort(key=lambda j, row=loadings: -abs(row[j]))
        said = ", ".join(f"{names[j]} {loadings[j]:+.2f}" for j in first)
        lines.append([i + 1, f"{share:.1%}", said])
    more = len(components) - len(lines)
    if more > 0:
        lines.append(["", "", f"and {more:,} more"])
    total = float(np.sum(shares))
    bars = html.spark(shares[:60], f"share of {of} of {len(shares)} {what}s", bars=True)
    made = html.table(lines, [what, "variance", "leading features"])
    return html.Raw(f"{made}{bars} {total:.1%} of {of}")


class StoreInNotebook:
    """How a store shows itself."""

    def _repr_html_(self: Any) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with files is not for a picture to say
            keys = self.keys()
            lines = [self._line(key) for key in keys[:_MOST]]
        if len(keys) > _MOST:
            lines.append(["", "", f"and {len(keys) - _MOST:,} more keys", ""])
        head = ["key", "checkpoints", "newest", "variance of the first component"]
        return html.card(f"CheckpointStore {self.uri}", html.table(lines, head))

    def _line(self: Any, key: Any) -> list[Any]:
        written = self.written(key)
        found = (self.read(key, *name, moments=False) for name in written[-_LAST:])
        known = [checkpoint for checkpoint in found if checkpoint is not None]
        shares = [float(each.explained_variance_ratio[0]) for each in known]
        line = html.spark(shares, f"of the last {len(shares)} checkpoints")
        newest = known[-1] if known else None
        said = (
            ""
            if newest is None
            else time_text(newest.window_end) or f"{newest.n_samples_seen:,} rows"
        )
        now = f" {shares[-1]:.1%}" if shares else ""
        return ["" if key is None else str(key), len(written), said, html.Raw(f"{line}{now}")]
