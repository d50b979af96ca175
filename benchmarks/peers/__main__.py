"""streampca beside its peers, everything in one run of about fifteen minutes.

    make peers                                 all parts, then docs/performance.md
    make peers ARGS="speed --data MNIST"       one part; each takes below three minutes, apart
                                               from speed, whose data sets take one to two each
    make peers ARGS="--quick"                  shorter and fewer runs: a look, in five minutes
    make peers ARGS="--draw"                   tables and pictures again, nothing measured

Figures go to benchmarks/results/peers-<date>.csv, where a part that is measured again replaces its
own; tables of docs/performance.md and the pictures beside it are made from that file.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import sklearn
import torch

from benchmarks.peers import cost, efficiency, install, page, plots, profile, results, speed, wide
from benchmarks.peers.measure import pinned
from benchmarks.peers.results import Figure

PARTS = ("speed", "wide", "efficiency", "change", "shards", "profile", "cost")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--data", action="append", default=[], help="data sets of speed, by name")
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer turns")
    parser.add_argument("--draw", action="store_true", help="only tables and pictures")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md alone")
    chosen = parser.parse_args()
    known = {data_set.name for data_set in speed.DATA}
    if unknown := set(chosen.data) - known:
        parser.error(f"--data {', '.join(sorted(unknown))} is not one of {', '.join(known)}")
    if not chosen.draw:
        path = results.path_of()
        measure(chosen.parts or list(PARTS), chosen.data, path, quick=chosen.quick)
    if not chosen.no_page:
        figures = results.read(results.latest())
        page.render(figures, results.latest().name)
        plots.draw(figures)


def measure(parts: Iterable[str], data_sets: list[str], path: Path, *, quick: bool = False) -> None:
    """Measure parts; each is written as soon as it is done."""
    for requirement, reason in install.install().items():
        print(f"{requirement} does not install: {reason}")
    warnings.filterwarnings("error")
    # raised inside peers, and of no consequence for what is measured
    warnings.filterwarnings("ignore", module="sklearn|torchdr|daal4py|onedal|torch")
    start = time.perf_counter()
    with pinned() as threads:
        results.replace([about(threads, quick)], path)
        print(f"{time.strftime('%Y-%m-%d')}, {about(threads, quick).note}")
        for part in parts:
            if part == "speed":
                budget = speed.Budget(whole=4.0, again=0.5, rounds=2) if quick else speed.Budget()
                for figures in speed.measure(data_sets, budget):
                    results.replace(figures, path)
                continue
            began = time.perf_counter()
            with pinned(1 if part in UNTIMED else threads):
                figures = SINGLE[part](quick)
            results.replace(figures, path)
            if part != "profile":  # which prints as it goes
                print(listing(part, figures))
            print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{time.perf_counter() - start:.0f} s, written: {path}")


SINGLE: dict[str, Callable[[bool], list[Figure]]] = {
    "wide": lambda quick: wide.measure(n_rows=4000, budget=5.0) if quick else wide.measure(),
    "efficiency": lambda quick: list(efficiency.r_ex(streams=1 if quick else efficiency.STREAMS)),
    "change": lambda quick: list(efficiency.change()),
    "shards": lambda quick: list(efficiency.shards()),
    "profile": lambda quick: profile.measure(seconds=0.3 if quick else 2.0),
    "cost": lambda quick: list(cost.measure(seconds=0.1 if quick else 0.4)),
}
"""Parts that are measured as one, each told whether it must be quick."""


UNTIMED = ("efficiency", "change", "shards")
"""Small matrices and no clock: one thread, since two that wait for each other are slower."""


def listing(part: str, figures: list[Figure]) -> str:
    """Every figure as a line."""
    if part == "wide":
        return speed.table(figures)
    lines = [
        f"{f.data:26}{f.method:36}n={f.n} p={f.p} m={f.m} rows={f.rows} {f.measure}: "
        f"{f.value:.4g} ({f.low:.4g} to {f.high:.4g})"
        for f in figures
    ]
    return "\n".join(lines)


def about(threads: int, quick: bool) -> Figure:
    """Machine and versions, as a row of the file."""
    versions = (
        f"numpy {np.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}"
    )
    note = f"{processor()}, {os.cpu_count()} cores, {threads} threads, {versions}"
    if quick:
        note += "; a quick run: short runs on a busy machine say little"
    return Figure("machine", "", "", "threads", float(threads), note=note)


def processor() -> str:
    """The processor's name, or its kind where the system does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
