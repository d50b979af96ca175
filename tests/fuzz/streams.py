"""Thousands of streams of all kinds of rows, each held against float64 numpy.

    PYTHONPATH=tests:. python -m fuzz streams --count 10000
    PYTHONPATH=tests:. python -m fuzz streams --count 1 --seed 4711     one of them again

Prints the seed of any stream that is wrong, and what is; then the worst errors.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

_SHOWN = 3
"""Complaints about one stream, and streams of one kind of complaint, that are printed whole."""

_TOLD = 500
"""Streams after which it is said how many there were."""


class Report(NamedTuple):
    """What one process tells of one stream."""

    kind: tuple[str, str, str]  # family, memory, dtype
    text: str
    wrong: list[str]
    figures: dict[str, float]


def one(seed: int, fixed: dict[str, Any]) -> Report:
    from spectral_run import run
    from spectral_streams import stream

    made = stream(seed, **fixed)
    outcome = run(made)
    return Report(made.kind, str(made), outcome.wrong + outcome.misused, outcome.figures)


def reports(seeds: Iterable[int], processes: int, fixed: dict[str, Any]) -> Iterator[Report]:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # for the processes that are started
    work = partial(one, fixed=fixed)
    if processes == 1:
        yield from map(work, seeds)
        return
    # spawned: BLAS may have threads here, which do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, seeds, chunksize=8)


def table(worst: dict[tuple[str, ...], dict[str, float]], counts: Counter, wrong: Counter) -> str:
    """The worst figures of each family, memory and dtype."""
    columns = sorted({name for figures in worst.values() for name in figures})
    lines = [f"{'':38}{'streams':>8}{'wrong':>6}  " + "  ".join(columns)]
    for kind in sorted(counts):
        figures = worst.get(kind, {})
        numbers = "  ".join(f"{figures.get(name, 0.0):{len(name)}.1e}" for name in columns)
        lines.append(f"{' '.join(kind):38}{counts[kind]:8}{wrong[kind]:6}  {numbers}")
    return "\n".join(lines)


def _for(minutes: float, made: Iterator[Report], count: int) -> Iterator[Report]:
    """Each report, and now and then how many there were, until time is up."""
    started = time.monotonic()
    for done, report in enumerate(made, 1):
        yield report
        took = time.monotonic() - started
        if done % _TOLD == 0:
            print(f"{done} of {count} streams, {took:.0f} s", file=sys.stderr, flush=True)
        if took > 60 * minutes:
            return


def try_streams(
    seeds: range,
    processes: int,
    fixed: dict[str, Any],
    with_table: bool = True,
    minutes: float = float("inf"),
) -> int:
    """Run them; how many were wrong."""
    from spectral_run import kind_of

    started = time.monotonic()
    worst: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    counts, wrong, complaints = Counter(), Counter(), Counter()
    for report in _for(minutes, reports(seeds, processes, fixed), len(seeds)):
        counts[report.kind] += 1
        figures = worst[report.kind]
        for name, value in report.figures.items():
            figures[name] = max(figures.get(name, 0.0), value)
        if not report.wrong:
            continue
        wrong[report.kind] += 1
        kind = kind_of(report.wrong[0])
        complaints[kind] += 1
        said = report.wrong[:_SHOWN] if complaints[kind] <= _SHOWN else []
        print("\n    ".join(["WRONG " + report.text, *said]), flush=True)
    if with_table:
        print(table(worst, counts, wrong))
    for kind, count in complaints.most_common():
        print(f"{count:6} streams whose first complaint is: {kind}")
    print(
        f"{wrong.total()} wrong of {counts.total()} streams, seeds {seeds.start} to "
        f"{seeds.start + counts.total() - 1}, {time.monotonic() - started:.0f} s"
    )
    return wrong.total()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="fuzz streams", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="streams")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next ones count up")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which to stop")
    parser.add_argument("--memory", choices=("dense", "factored", "auto"), help="this one alone")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="this one alone")
    parser.add_argument("--family", help="of rows, this one alone")
    given = parser.parse_args(arguments)
    chosen = {name: getattr(given, name) for name in ("memory", "dtype", "family")}
    fixed = {name: value for name, value in chosen.items() if value is not None}
    seeds = range(given.seed, given.seed + given.count)
    return bool(try_streams(seeds, given.processes, fixed, minutes=given.minutes))
