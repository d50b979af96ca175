"""Figures as rows of one CSV file, so that a part that is measured again replaces its own.

One row for each figure: which part of the benchmarks, on what, of which method, its value, and the
lowest and highest of its runs. Tables and pictures are made from this file alone.
"""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    part: str  # speed, efficiency, change, shards, profile, cost, machine
    data: str
    method: str
    measure: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    p: int = 0
    m: int = 0  # rows of a minibatch
    rows: int = 0
    note: str = ""


def path_of(day: str | None = None) -> Path:
    """The file of a day, today's by default."""
    return FOLDER / f"peers-{day or time.strftime('%Y-%m-%d')}.csv"


def latest(kind: str = "peers") -> Path:
    """The youngest file that `make <kind>` has written.

    Raises
    ------
    FileNotFoundError
        If nothing has been measured yet.
    """
    found = sorted(FOLDER.glob(f"{kind}-*.csv"))
    if not found:
        raise FileNotFoundError(f"no {kind}-*.csv in {FOLDER}: run `make {kind}` first")
    return found[-1]


def read(path: Path) -> list[Figure]:
    """All figures of a file."""
    kinds = {
        field.name: {"float": float, "int": int, "str": str}[str(field.type)]
        for field in fields(Figure)
    }
    with path.open(newline="") as file:
        return [Figure(**{k: kinds[k](v) for k, v in row.items()}) for row in csv.DictReader(file)]


def replace(figures: list[Figure], path: Path) -> None:
    """Write figures; earlier ones of the same part and data set make room for them."""
    new = {(figure.part, figure.data) for figure in figures}
    before = read(path) if path.exists() else []
    kept = [figure for figure in before if (figure.part, figure.data) not in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for figure in [*kept, *figures]:
            row = asdict(figure)
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
