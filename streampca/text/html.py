"""Tables and spark lines as HTML, for notebooks; knows nothing of what they show.

Everything is escaped, nothing is loaded, and colours are those of the page around it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = "font: 13px/1.5 system-ui, sans-serif; max-width: 46em"
_TABLE = "border-collapse: collapse; font: inherit; margin: 4px 0"
_CELL = "padding: 1px 12px 1px 0; text-align: {side}; vertical-align: top; white-space: nowrap"


class Raw(str):
    """Text that is HTML already."""

    __slots__ = ()


def card(title: str, *parts: str) -> str:
    """A heading with parts below it.

    Examples
    --------
    >>> card("a < b", Raw("<p>yes</p>")).partition(">")[2]
    '<strong>a &lt; b</strong><p>yes</p></div>'
    """
    inside = "".join(_text(part) for part in parts)
    return f'<div style="{_STYLE}"><strong>{html.escape(title)}</strong>{inside}</div>'


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> Raw:
    """A table; cells of numbers are set to the right.

    Examples
    --------
    >>> "&lt;b&gt;" in table([["<b>", 1]])
    True
    """
    lines = []
    if head:
        cells = "".join(_cell(name, "th") for name in head)
        lines.append(f"<tr>{cells}</tr>")
    lines += ["<tr>" + "".join(_cell(value, "td") for value in row) + "</tr>" for row in rows]
    return Raw(f'<table style="{_TABLE}">{"".join(lines)}</table>')


def facts(pairs: Iterable[Sequence[Any]]) -> Raw:
    """A table of names and what they are, all set to the left.

    Examples
    --------
    >>> "20,000" in facts([["rows", 20_000]])
    True
    """
    return table(
        [name, f"{what:,}" if isinstance(what, int) else str(what)] for name, what in pairs
    )


def spark(values: Iterable[float], label: str, *, bars: bool = False) -> Raw:
    """A line, or bars, as high as one line of text; `label` says what is drawn to who cannot see.

    What is no finite number leaves a gap.

    Examples
    --------
    >>> spark([1.0, 3.0, 2.0], "falls").count("<polyline")
    1
    """
    found = [float(value) for value in values]
    known = [value for value in found if math.isfinite(value)]
    if not known:
        return Raw("")
    largest = max(map(abs, known)) or 1.0
    found = [value / largest for value in found]  # differences and products stay finite
    known = [value / largest for value in known]
    low, high = (min(0.0, *known), max(known)) if bars else (min(known), max(known))
    span = (high - low) or 1.0
    step = max(2.0, min(12.0, 180.0 / len(found)))
    width = step * len(found)
    places = [
        (step * (i + 0.5), 17.0 - 15.0 * (value - low) / span) if math.isfinite(value) else None
        for i, value in enumerate(found)
    ]
    inside = _bars(places, step) if bars else _lines(places)
    return Raw(
        f'<svg role="img" width="{width:.0f}" height="18" viewBox="0 0 {width:.1f} 18" '
        f'style="vertical-align: middle"><title>{html.escape(label)}</title>{inside}</svg>'
    )


def _bars(places: Sequence[Any], step: float) -> str:
    return "".join(
        f'<rect x="{at[0] - 0.4 * step:.1f}" y="{at[1]:.1f}" width="{0.8 * step:.1f}" '
        f'height="{max(18.0 - at[1], 1.0):.1f}" fill="currentColor"/>'
        for at in places
        if at is not None
    )


def _lines(places: Sequence[Any]) -> str:
    """A line for each run without a gap, and a dot at the end."""
    runs: list[list[Any]] = [[]]
    for at in places:
        runs[-1].append(at) if at is not None else runs.append([])
    drawn = [
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.3" points="'
        f'{" ".join(f"{x:.1f},{y:.1f}" for x, y in run)}"/>'
        for run in runs
        if len(run) > 1
    ]
    x, y = next(at for at in reversed(places) if at is not None)
    return "".join(drawn) + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="currentColor"/>'


def _cell(value: Any, tag: str) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = f"{value:,}" if isinstance(value, int) and is_number else value
    text = f"{value:.4g}" if isinstance(value, float) else text
    style = _CELL.format(side="right" if is_number else "left")
    return f'<{tag} style="{style}">{_text(text)}</{tag}>'


def _text(value: Any) -> str:
    return value if isinstance(value, Raw) else html.escape(str(value))
