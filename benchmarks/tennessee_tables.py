"""The tables of docs/monitoring.md: what was missed, how late, and how often nothing was wrong."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tennessee_published as published
from benchmarks.tennessee import (
    FAULT_FROM,
    MINUTES,
    RULES,
    Plant,
    Watched,
    delay,
    lagged,
    out,
    rates,
    watch,
)
from streampca.monitor import Monitor

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "monitoring.md"
RESULTS = ROOT / "benchmarks" / "results"

HEAD = (
    "| fault | T², published | T² | SPE, published | SPE | T², lags, published | T², lags | "
    "SPE, lags, published | SPE, lags | A | A, lags | B | B, lags |"
)


def said(plant: Plant, monitors: dict[int, Monitor]) -> str:
    """All tables, with a line above each."""
    events = {
        (lags, rules): [watch(monitor, lagged(test, lags), rules) for test in plant.tests]
        for rules in RULES
        for lags, monitor in monitors.items()
    }
    parts = [
        ("Missed", missed_table(plant, monitors, events)),
        ("Minutes", delay_table(plant, monitors, events)),
        ("False", false_table(plant, monitors, events)),
    ]
    return "\n".join(f"**{title}**\n\n" + "\n".join(lines) + "\n" for title, lines in parts)


def missed_table(plant: Plant, monitors: Any, events: Any) -> list[str]:
    """Shares of the rows with a fault that are within limits, or belong to no event."""
    lines = [HEAD, "|---" * 13 + "|"]
    for fault in published.MISSED:
        cells: list[float] = []
        for lags, known in ((0, published.MISSED), (2, published.MISSED_LAGS)):
            found = rates(monitors[lags], faulty(plant, fault, lags), "empirical")
            for theirs, ours in zip(known[fault], found, strict=True):
                cells += [theirs, 1 - ours]
        for watched in events.values():
            cells.append(1 - watched[fault].within[-800:].mean())
        lines.append(f"| {fault} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return lines


def delay_table(plant: Plant, monitors: Any, events: Any) -> list[str]:
    """Minutes from a fault to the first of six rows, or to the row that opened an event."""
    lines = [HEAD, "|---" * 13 + "|"]
    for fault in published.MISSED:
        cells: list[float] = []
        for lags, known in ((0, published.DELAY), (2, published.DELAY_LAGS)):
            above = out(monitors[lags], faulty(plant, fault, lags))
            for theirs, ours in zip(known[fault], above, strict=True):
                cells += [theirs, delay(ours)]
        cells += [_until(watched[fault]) for watched in events.values()]
        lines.append(f"| {fault} | " + " | ".join(map(_minutes, cells)) + " |")
    return lines


def false_table(plant: Plant, monitors: Any, events: Any) -> list[str]:
    """How often normal rows were out, and events in 168 hours without a fault."""
    lines = [
        "| | normal test set | before the faults | events before the faults, in 168 hours |",
        "|---|---|---|---|",
    ]
    for lags, monitor in monitors.items():
        for method, called in (("empirical", "calibrated"), ("theory", "theory")):
            normal = rates(monitor, lagged(plant.tests[0], lags), method)
            before = np.array(
                [rates(monitor, _before(test, lags), method) for test in plant.tests[1:]]
            ).mean(axis=0)
            for i, name in enumerate(("T²", "SPE")):
                cells = f"{normal[i]:.3f} | {before[i]:.3f} |  |"
                lines.append(f"| {name}{_lags(lags)}, limit: {called} | {cells}")
    for (lags, rules), watched in events.items():
        n = FAULT_FROM - lags
        share = np.mean([each.within[:n].mean() for each in watched[1:]])
        count = sum(sum(row < n for row in each.opened) for each in watched[1:])
        cells = f"{watched[0].within.mean():.3f} | {share:.3f} | {count} |"
        lines.append(f"| {'AB'[RULES.index(rules)]}{_lags(lags)} | {cells}")
    return lines


def faulty(plant: Plant, fault: int, lags: int) -> Any:
    """The rows of a test set that have the fault."""
    return lagged(plant.tests[fault][FAULT_FROM - lags :], lags)


def _before(test: Any, lags: int) -> Any:
    return lagged(test[:FAULT_FROM], lags)


def _lags(lags: int) -> str:
    return ", lags" if lags else ""


def _until(watched: Watched) -> float:
    """Minutes until an event was open in the 800 rows of the fault."""
    first = len(watched.within) - 800
    late = [row for row in watched.opened if row >= first]
    return MINUTES * (late[0] - first + 1) if late else published.NEVER


def _minutes(value: float) -> str:
    if np.isnan(value):
        return ""
    return "–" if value == published.NEVER else f"{value:.0f}"


def tables(text: str) -> Iterator[str]:
    """The tables of a text, as they stand there."""
    for found in re.finditer(r"^\|(?:.*\n)+?(?!\|)", text + "\n", re.MULTILINE):
        yield found[0].strip()


def write(text: str) -> None:
    """Put the tables where those of the same head stand on the page, and keep what was said."""
    page = PAGE.read_text()
    for name, table in zip(("missed", "delay", "false"), tables(text), strict=True):
        begin, end = f"<!-- tennessee {name} -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + table + "\n" + rest[rest.index(end) :]
    PAGE.write_text(page)
    (RESULTS / "tennessee-2026-11-29.md").write_text(
        f"`python -m benchmarks.tennessee --write`\n\n{text}"
    )
