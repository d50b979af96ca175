"""The table of docs/engines.md, from benchmarks/results/engines.csv.

    python -m benchmarks.engines.table

Knows nothing of engines: they give it their lines.
"""

from __future__ import annotations

import csv
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "engines.csv"
PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
COLUMNS = ("engine", "version", "what", "rows", "error", "kills", "wall_s", "cpu_s", "memory_mb")
HEAD = ("engine", "version", "what", "rows", "error", "kills", "wall, s", "CPU, s", "memory, MB")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def lines() -> list[dict[str, str]]:
    """All that was measured, engine by engine, each in the order in which it came."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        kept = [{**dict.fromkeys(COLUMNS, ""), **line} for line in csv.DictReader(file)]
    engines = list(dict.fromkeys(line["engine"] for line in kept))
    return sorted(kept, key=lambda line: engines.index(line["engine"]))


def keep(line: dict[str, str]) -> None:
    """Put a line in the place of the one of the same engine and work, and the table on its page."""
    kept = lines()
    names = [(each["engine"], each["what"]) for each in kept]
    if (name := (line["engine"], line["what"])) in names:
        kept[names.index(name)] = line
    else:
        kept.append(line)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    render()


def row(line: dict[str, str]) -> str:
    return "| " + " | ".join(line[column] for column in COLUMNS) + " |"


def text() -> str:
    """The table in Markdown."""
    rule = "|" + "---|" * len(HEAD)
    return "\n".join(["| " + " | ".join(HEAD) + " |", rule, *map(row, lines())]) + "\n"


def render() -> None:
    """Write it between its marks on the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n" + text() + "\n" + END + after)


if __name__ == "__main__":
    render()
