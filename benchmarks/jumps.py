"""Where costs jump: one number changes at a time, and neighbours are compared, beside numpy's own.

    python -m benchmarks.jumps                 all walks, a quarter of an hour of one core
    python -m benchmarks.jumps features keys   some: features factored components memories rows call
                                               reading answers keys kinds
    python -m benchmarks.jumps --write         benchmarks/results/jumps-<date>.txt, too

Seconds of one core for each row stand beside those of a yardstick, what numpy takes for the work
that cannot be left out, in turns. A step between neighbours is marked where it is twice that of the
yardstick, up or down, and is one of twice at all; both neighbours are measured again first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.narrow import seconds
from streampca import StreamingPCA

LEAST, JUMP, REPEATS = 0.02, 2.0, 3
"""Seconds that are measured at least, the step that is marked, and turns, of which the least
counts: what else the machine does only adds."""

RESULTS = Path(__file__).parent / "results"

Work = Callable[[], int]
"""Does it, and says for how many rows."""


class Walk(NamedTuple):
    """What is timed at each value: ours, and the yardstick."""

    said: str
    values: Sequence[Any]
    pair: Callable[[Any], tuple[Work, Work]]


class Cost(NamedTuple):
    """Seconds a row."""

    ours: float
    yardstick: float


def rows_of(m: int, n: int) -> np.ndarray:
    """Rows whose variances fall as 1/i, their means away from zero."""
    X = np.random.default_rng(0).normal(size=(m, n)) * np.arange(1, n + 1.0) ** -0.5 + 0.1
    return X.astype("float32")


def measured(pair: tuple[Work, Work]) -> Cost:
    """Of both, in turns; the first time is not counted."""
    for work in pair:
        work()
    turns: list[list[float]] = []
    for _ in range(REPEATS):
        turns.append([])
        for work in pair:
            took = done = 0.0
            while took < LEAST:
                counts: list[int] = []
                took += seconds(lambda w=work, c=counts: c.append(w()))  # type: ignore[misc]
                done += counts[0]
            turns[-1].append(took / done)
    return Cost(*(min(times) for times in zip(*turns, strict=True)))


def calls_of(X: np.ndarray, m: int, verb: Callable[[Any], object], least: int = 1) -> Work:
    """A verb on m rows of X at a time, so often at least."""
    parts = [X[start : start + m] for start in range(0, len(X) - m + 1, m)]
    parts *= -(-least // len(parts))

    def work() -> int:
        for part in parts:
            verb(part)
        return m * len(parts)

    return work


# --- what is timed -------------------------------------------------------------------------------


def learning(n: int, p: int, m: int, memory: str, **more: Any) -> tuple[Work, Work]:
    """Calls of m rows, beside X'X of them, added up in float64; few directions, two products."""
    pca = StreamingPCA(p, memory=memory, **more)
    X = rows_of(max(m, min(4096, 2**22 // n)), n)
    calls = max(4096, n) // m + 1  # rows that wait are folded in, and few are kept as they are
    S, q = np.zeros((n, n)), min(n, 2 * p + 22)
    A = np.linalg.qr(rows_of(n, q))[0].astype("float32")

    def gram(part: np.ndarray) -> None:
        np.isfinite(part).all()
        np.add(S, part.T @ part, out=S)

    def thin(part: np.ndarray) -> object:
        np.isfinite(part).all()
        return part.T @ (part @ A)

    size = max(m, 1000)  # rows that come in small calls may wait for each other
    block = np.resize(X, (max(size, len(X)), n))
    bare = thin if memory == "factored" and 4 * q < n else gram
    return calls_of(X, m, pca.partial_fit, calls), calls_of(block, size, bare)


def minibatches(m: int) -> tuple[Work, Work]:
    """Minibatches of m rows whatever they cost, beside the same of numpy."""
    n = 300
    pca, X, S = StreamingPCA(10, memory="dense", batch_size=m), rows_of(max(4 * m, 512), n), 0.0

    def gram(part: np.ndarray) -> None:
        nonlocal S
        np.isfinite(part).all()
        S = S + (part - part.mean(axis=0)).T @ part

    return calls_of(X, m, pca.partial_fit), calls_of(X, m, gram)


def reading(n: int, p: int) -> tuple[Work, Work]:
    """A row, then the components; beside numpy's full decomposition."""
    X = rows_of(2 * n + 64, n)
    pca, S = StreamingPCA(p, memory="dense").partial_fit(X[64:]), np.cov(X.T.astype("float64"))

    def read(row: np.ndarray) -> object:
        return pca.partial_fit(row).components_

    return calls_of(X[:4], 1, read), calls_of(X[:4], 1, lambda _: np.linalg.eigh(S))


def answers(m: int) -> tuple[Work, Work]:
    """`transform` of m rows, beside the product."""
    n, p = 300, 10
    X = rows_of(max(m, 1024), n)
    pca = StreamingPCA(p).partial_fit(X[:1000])
    mean, C = pca.mean_.astype("float32"), np.ascontiguousarray(pca.components_.T)

    def product(part: np.ndarray) -> object:
        np.isfinite(part).all()
        return (part - mean) @ C

    return calls_of(X, m, pca.transform), calls_of(X, m, product)


def keyed(keys: int) -> tuple[Work, Work]:
    """Calls of 16,384 rows of so many keys in turn, beside sorting them, and X'X key by key."""
    from streampca.estimators.bank import KeyedPCA

    X, names = rows_of(16_384, 20), np.arange(16_384) % keys
    bank, S = KeyedPCA(3), np.zeros((keys, 20, 20))

    def ours() -> int:
        bank.partial_fit(X, keys=names)
        return len(X)

    def bare() -> int:
        Y = X[np.argsort(names, kind="stable")]
        for total, part in zip(S, np.array_split(Y, keys), strict=True):
            total += part.T @ part
        return len(X)

    return ours, bare


def kinds(kind: str) -> tuple[Work, Work]:
    """Rows of other kinds than contiguous float32, beside these."""
    n, p = 300, 10
    X = rows_of(8192, n)
    one = {
        "float64": lambda: X.astype("float64"),
        "float16": lambda: X.astype("float16"),
        "int64": lambda: (1000 * X).astype("int64"),
        "uint8": lambda: np.clip(100 + 50 * X, 0, 255).astype("uint8"),
        "by columns": lambda: np.asfortranarray(X),
        "every other row": lambda: np.repeat(X, 2, axis=0)[::2],
    }.get(kind, lambda: X)()
    more = {"half_life": 1000.0} if kind == "half_life" else {}
    ours, plain = StreamingPCA(p, memory="dense", **more), StreamingPCA(p, memory="dense")
    return calls_of(one, 1024, ours.partial_fit), calls_of(X, 1024, plain.partial_fit)


# --- walks ---------------------------------------------------------------------------------------

FEATURES = (5, 10, 20, 50, 100, 127, 128, 129, 200, 300, 511, 512, 513, 784, 1000, 1024, 1025)
KINDS = ("float64", "float16", "int64", "uint8", "by columns", "every other row")
COMPONENTS = (1, 2, 5, 10, 20, 50, 100, 120, 134, 135, 200, 300, 500, 700, 1000)

WALKS = {
    "features": Walk(
        "dense, p = 10, 1,000 rows a call: n features",
        (*FEATURES, 1100, 1500, 2000, 3000, 5000),
        lambda n: learning(n, min(10, n), 1000, "dense"),
    ),
    "factored": Walk(
        "factored, p = 10, 1,000 rows a call: n features",
        (50, 100, 128, 129, 200, 500, 1000, 1024, 1100, 2000, 4096, 5000, 10_000),
        lambda n: learning(n, 10, 1000, "factored"),
    ),
    "components": Walk(
        "factored, 1,000 features, 1,000 rows a call, few rows: p components",
        COMPONENTS,
        lambda p: learning(1000, p, 1000, "factored"),
    ),
    "memories": Walk(
        "memory left open, 1,000 rows a call, p = 30: n features",
        (100, 500, 1000, 1024, 1025, 1500, 2000, 2500, 3000, 4096, 4097, 6000),
        lambda n: learning(n, 30, 1000, "auto"),
    ),
    "rows": Walk(
        "dense, 300 features: minibatches of so many rows",
        (1, 2, 3, 4, 8, 16, 17, 32, 100, 256, 512, 1000, 2000, 5000, 10_000),
        minibatches,
    ),
    "call": Walk(
        "dense, 1,500 features: calls of so many rows",
        (1, 2, 3, 4, 8, 30, 100, 300, 1000),
        lambda m: learning(1500, 10, m, "dense"),
    ),
    "reading": Walk(
        "a row and a reading of 10 components: n features",
        (20, 32, 50, 69, 70, 100, 128, 129, 200, 300, 384, 385, 500, 501, 600, 784, 1000),
        lambda n: reading(n, 10),
    ),
    "answers": Walk(
        "transform of so many rows, 300 features",
        (1, 2, 4, 16, 64, 256, 1000, 4000, 10_000),
        answers,
    ),
    "keys": Walk(
        "16,384 rows of so many keys, 20 features",
        (1, 2, 10, 50, 100, 500, 1000, 2000, 5000, 10_000),
        keyed,
    ),
    "kinds": Walk(
        "dense, 300 features, rows of other kinds beside contiguous float32 (no walk)",
        ("float32", *KINDS, "half_life"),
        kinds,
    ),
}


def jumps(before: Cost, after: Cost) -> bool:
    """Whether there is a step of twice that is none of the yardstick's."""
    ours, theirs = after.ours / before.ours, after.yardstick / before.yardstick
    up = ours >= JUMP * max(theirs, 1.0)
    return up or ours <= min(theirs, 1.0) / JUMP


def walk(of: Walk, say: Callable[[str], None]) -> int:
    """One line for each value; how many steps were marked."""
    say(f"\n{of.said}")
    costs = [measured(of.pair(value)) for value in of.values]
    for i, j in pairwise(range(len(costs))):
        for k in (i, j) if jumps(costs[i], costs[j]) else ():  # by chance?
            again = measured(of.pair(of.values[k]))
            costs[k] = Cost(*map(min, zip(costs[k], again, strict=True)))
    count, named = 0, [f"{v:,}" if isinstance(v, int) else str(v) for v in of.values]
    for i, (name, cost) in enumerate(zip(named, costs, strict=True)):
        step = theirs = 1.0
        if i:
            step = cost.ours / costs[i - 1].ours
            theirs = cost.yardstick / costs[i - 1].yardstick
        marked = bool(i) and isinstance(of.values[i], int) and jumps(costs[i - 1], cost)
        count += marked
        say(
            f"  {name:>15}{cost.ours * 1e6:>11.2f} us a row, step {step:>5.2f}; yardstick"
            f"{cost.yardstick * 1e6:>11.2f}, step {theirs:>5.2f}; ratio"
            f"{cost.ours / cost.yardstick:>6.2f}{'  JUMP' if marked else ''}"
        )
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("walks", nargs="*", choices=[[], *WALKS], help="default: all")
    parser.add_argument("--write", action="store_true", help="to benchmarks/results, too")
    given = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    with threadpool_limits(1):
        counts = [walk(WALKS[name], say) for name in given.walks or WALKS]
    say(f"\n{sum(counts)} steps marked in {len(counts)} walks")
    if given.write:
        today = datetime.now(UTC).date().isoformat()
        (RESULTS / f"jumps-{today}.txt").write_text("\n".join(lines).lstrip() + "\n")


if __name__ == "__main__":
    main()
