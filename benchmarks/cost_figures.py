"""Figures of benchmarks/cost.py: their file, and how they judge the model and its choices."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from benchmarks.peers import results
from streampca import StreamingPCA
from streampca.learning import choice, cost
from streampca.learning.options import resolve_parameters
from streampca.moments.factored import default_directions

FOLDER = results.FOLDER
MODEL = Path(cost.__file__)


@dataclass(frozen=True)
class Point:
    """One figure: where it was measured, and the median, least and most of its turns."""

    part: str  # learning, reading; MNIST or MNIST by digit where directions are compared
    memory: str
    n: int
    p: int
    q: int
    m: int  # rows of a minibatch
    itemsize: int
    seconds: float  # a row, or a reading
    low: float
    high: float
    excess: float = float("nan")

    @property
    def predicted(self) -> float:
        """Seconds by the model."""
        if self.part == "reading":
            return cost.reading_seconds(self.memory, self.n, self.p, self.q)
        return cost.seconds_a_row(self.memory, self.n, self.q, self.m, itemsize=self.itemsize)

    @property
    def work(self) -> cost.Work:
        """What the model counts."""
        if self.part == "reading":
            return cost.reading_work(self.memory, self.n, self.p, self.q)
        shape = self.memory, self.n, self.q, self.m, self.itemsize
        return cost.row_work(*shape).plus(cost.minibatch_work(*shape), 1 / self.m)


def directions(n: int, p: int) -> int:
    """What factored memory keeps by default."""
    return min(n, default_directions(p))


# --- files ---------------------------------------------------------------------------------------


def read(path: Path) -> list[Point]:
    """All figures of a file."""
    kinds = {"str": str, "int": int, "float": float}
    as_kind = {field.name: kinds[str(field.type)] for field in fields(Point)}
    with path.open(newline="") as file:
        return [Point(**{k: as_kind[k](v) for k, v in row.items()}) for row in csv.DictReader(file)]


def write(points: Iterable[Point], path: Path) -> None:
    with path.open("w", newline="") as file:
        names = [field.name for field in fields(Point)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for point in points:
            row = asdict(point)
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})


def latest() -> Path:
    """The youngest file."""
    return results.latest("cost")


# --- judging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The size of a minibatch that the model chooses beside the best one measured."""

    memory: str
    n: int
    p: int
    m: int
    best: int
    seconds: float  # a row, at m
    regret: float  # over those at the best
    default: int  # what waits in the end: below 256 features fewer rows do
    default_regret: float


def choices(points: Sequence[Point], prices: cost.Work | None = None) -> list[Choice]:
    """For each shape measured, the size that the model chooses, or the nearest one measured."""
    shapes: dict[tuple[str, int, int, int], dict[int, float]] = {}
    for point in points:
        if point.part == "learning" and point.itemsize == 4:
            key = point.memory, point.n, point.p, point.q
            shapes.setdefault(key, {})[point.m] = point.seconds
    found = []
    for (memory, n, p, q), by_size in shapes.items():
        default = resolve_parameters(StreamingPCA(p, memory=memory).get_params(), n).batch_size
        m, held = (
            min(by_size, key=lambda size, to=to: abs(np.log(size / to)))  # type: ignore[misc]
            for to in (cost.batch_size(memory, n, q, prices), default)
        )
        best = min(by_size, key=lambda size, by_size=by_size: by_size[size])  # type: ignore[misc]
        regret, held_regret = by_size[m] / by_size[best], by_size[held] / by_size[best]
        found.append(Choice(memory, n, p, m, best, by_size[m], regret, held, held_regret))
    return found


@dataclass(frozen=True)
class Memory:
    """The memory chosen for a shape, and what both take at their default sizes."""

    n: int
    p: int
    chosen: str
    dense: float  # seconds a row
    factored: float


def memories(points: Sequence[Point]) -> list[Memory]:
    """Shapes for which both were measured."""
    found = choices(points)
    dense = {c.n: c.seconds for c in found if c.memory == "dense"}
    return [
        Memory(
            c.n,
            c.p,
            "dense" if choice.dense_pays(c.n, c.p, directions(c.n, c.p)) else "factored",
            dense[c.n],
            c.seconds,
        )
        for c in found
        if c.memory == "factored" and c.n in dense
    ]


def fitted(points: Sequence[Point]) -> cost.Work:
    """Prices that fit best: least squares of the logarithms, outliers counting less."""
    model = [point for point in points if point.part in ("learning", "reading")]
    counts = np.array([point.work for point in model])
    measured = np.log([point.seconds for point in model])
    start = np.log(cost.PRICES)
    found = least_squares(
        lambda prices: np.log(counts @ np.exp(prices)) - measured,
        start,
        loss="soft_l1",
        f_scale=0.2,
        bounds=(start - 5, start + 5),
    )
    return cost.Work(*np.exp(found.x).tolist())


def renew(prices: cost.Work, path: Path = MODEL) -> None:
    """Write prices into the model's file."""
    lines = [f"    {name}={value:.2g}," for name, value in prices._asdict().items()]
    block = "\n".join(["PRICES = Work(", *lines, ")", ""])
    between = re.compile(
        r"(?<=# begin prices: python -m benchmarks.cost --renew\n).*?(?=# end)", re.S
    )
    text, count = between.subn(block, path.read_text())
    if count != 1:
        raise ValueError(f"{path} has no lines '# begin prices: ...' and '# end prices'")
    path.write_text(text)
