"""StreamingPCA on one GPU: right first, then how fast, beside what the device can do.

    python -m benchmarks.gpu                      # the first CUDA device
    python -m benchmarks.gpu --device cpu --tiny  # the same code without one, for a test

1. Components on the device are compared with float64 on the CPU; if they differ, nothing is timed.
2. Rows per second for minibatches that lie on the device, in pinned and in other host memory, as a
   user hands them in; times are taken with device events, between two synchronisations.
3. Beside them, in the same run: the products that this kind of memory needs (X'X for dense; X A and
   X'H for factored, once with the columns that it looks through and once with p, the least that any
   method needs), and the copy from host to device. TF32 stays off.

Two lines at the end say whether what is promised holds: at (10,000, 100) at least half of the rate
of the products it needs, at (784, 10) from pinned memory at least 70 % of the copy's bandwidth.

The result goes to benchmarks/results/gpu-<device>-<date>.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from streampca import StreamingPCA
from streampca.learning.cost import sketch_columns
from streampca.metrics import excess_error, principal_angles
from streampca.moments.factored import default_directions


class Shape(NamedTuple):
    """What is timed: rows of n features, p components, minibatches of m rows, and how many.

    Means that are large beside the spread have to be subtracted from the rows, which is one more
    pass over memory; small ones from the products.
    """

    n: int
    p: int
    m: int
    count: int
    means: float = 1.0  # of each feature, in its standard deviations


SHAPES = (
    Shape(784, 10, 16_384, 128),
    Shape(784, 100, 16_384, 128),
    Shape(10_000, 100, 16_384, 128),  # four sketches: the waits for small problems are in it
    Shape(10_000, 100, 16_384, 128, means=100.0),
    Shape(100_000, 50, 2048, 64),  # 2,048 rows are 0.8 GB
)
TINY = (Shape(40, 3, 64, 4), Shape(60, 5, 128, 4, means=100.0))
CHECKED = (Shape(784, 10, 4096, 4), Shape(2000, 50, 4096, 4, means=100.0))

MOST_DENSE = 4096
"""Features up to which dense memory is timed too."""

PLACES = ("device", "pinned host memory", "host memory")


class Line(NamedTuple):
    """One result."""

    date: str
    device: str
    n: int
    p: int
    m: int
    means: float
    memory: str
    rows_from: str  # one of PLACES
    rows_per_second: float
    needed_per_second: float  # rows a second of the bare products of this kind of memory
    least_per_second: float  # rows a second of X A and X'H with p columns
    copies_per_second: float  # rows a second of the bare copy from pinned memory
    share_of_needed: float
    share_of_least: float
    share_of_copy: float


class Promise(NamedTuple):
    """What has to be shown on an H200-class GPU."""

    sentence: str
    n: int
    p: int
    rows_from: str
    share: str  # field of Line
    at_least: float


PROMISES = (
    Promise("of the rate of the products it needs", 10_000, 100, PLACES[0], "share_of_needed", 0.5),
    Promise("of the copy's bandwidth", 784, 10, PLACES[1], "share_of_copy", 0.7),
)


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median seconds, by events where the device has them; the first time is not counted."""
    work()
    taken = []
    for _ in range(repeats):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(device)
            start.record()
            work()
            end.record()
            torch.cuda.synchronize(device)
            taken.append(start.elapsed_time(end) / 1e3)
        else:
            before = time.perf_counter()
            work()
            taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def rows_of(shape: Shape, device: torch.device, count: int) -> list[torch.Tensor]:
    """Minibatches with a 1/i spectrum and a mean."""
    draws = torch.Generator(device=device).manual_seed(0)
    scales = torch.arange(1, shape.n + 1, device=device, dtype=torch.float32) ** -0.5
    size = (shape.m, shape.n)
    return [
        (torch.randn(size, generator=draws, device=device) + shape.means) * scales
        for _ in range(count)
    ]


def differs(shape: Shape, memory: str, device: torch.device) -> str:
    """What is wrong on the device against float64 on the CPU, or nothing."""
    n, p, m, count, _ = shape
    batches = rows_of(shape, device, count)
    X = torch.cat(batches).cpu().numpy().astype("float64")
    pca = StreamingPCA(p, memory=memory, device=device, batch_size=m)
    host = StreamingPCA(p, memory=memory, dtype="float64", batch_size=m)
    for i, batch in enumerate(batches):
        pca.partial_fit(batch if i % 2 else pinned(batch))
        host.partial_fit(batch.cpu().numpy().astype("float64"))
    Sigma = np.cov(X.T)
    found, expected = np.asarray(pca.components_), host.components_
    excess = excess_error(found, Sigma) - excess_error(expected, Sigma)
    angle = float(principal_angles(found, expected).max())
    ratio = np.abs(pca.explained_variance_ / host.explained_variance_ - 1).max()
    # the span of close directions is known no better than their gap: excess is what counts
    if not (excess <= 1e-5 and ratio <= 1e-4):
        return f"excess {excess:.1e} over the CPU's, variances off by {ratio:.1e}"
    print(f"  {memory:10}n = {n:<8,}excess over the CPU's {excess:.1e}, angle {angle:.1e}")
    return ""


def pinned(batch: torch.Tensor) -> torch.Tensor:
    """The rows in host memory, pinned if there is something to pin it for."""
    host = batch.cpu()
    return host.pin_memory() if batch.device.type == "cuda" else host


def columns(n: int, p: int, memory: str) -> int:
    """Columns that the products have; the number of features for dense memory."""
    return n if memory == "dense" else sketch_columns(n, min(n, default_directions(p)))


def two_products(n: int, k: int, device: torch.device) -> Callable[[torch.Tensor], object]:
    """X A and X'H with k columns."""
    A = torch.linalg.qr(torch.randn(n, k, device=device))[0]
    return lambda X: X.T @ (X @ A)


def needed(n: int, p: int, memory: str, device: torch.device) -> Callable[[torch.Tensor], object]:
    """What this kind of memory computes of a minibatch, at the least."""
    if memory == "dense":
        return lambda X: X.T @ X
    return two_products(n, columns(n, p, memory), device)


def time_shape(shape: Shape, memory: str, device: torch.device) -> list[Line]:
    """Rows already on the device, and rows from the host."""
    n, p, m, count, means = shape
    here = rows_of(shape, device, min(count, 4))
    there = [pinned(batch) for batch in here]
    placed = {PLACES[0]: here, PLACES[1]: there, PLACES[2]: [x.clone() for x in there]}
    landing = torch.empty_like(here[0])

    def rate(work: Callable[[torch.Tensor], object], batches: list[torch.Tensor]) -> float:
        def all_batches() -> None:
            for i in range(count):
                work(batches[i % len(batches)])

        return count * m / seconds(all_batches, device)

    def learning(batches: list[torch.Tensor]) -> float:
        pca = StreamingPCA(p, memory=memory, device=device, batch_size=m)
        for i in range(max(count, 8)):  # steady state: directions are there, sketches are long
            pca.partial_fit(here[i % len(here)])

        def all_batches() -> None:
            for i in range(count):
                pca.partial_fit(batches[i % len(batches)])
            pca.flush()

        return count * m / seconds(all_batches, device)

    need = rate(needed(n, p, memory, device), here)
    least = rate(two_products(n, p, device), here)
    copies = rate(lambda X: landing.copy_(X, non_blocking=True), there)
    lines = []
    for rows_from, batches in placed.items():
        reached = learning(batches)
        of_copy = reached / copies if rows_from != PLACES[0] else float("nan")
        shares = (reached / need, reached / least, of_copy)
        date = time.strftime("%Y-%m-%d")
        found = (rows_from, reached, need, least, copies, *shares)
        lines.append(Line(date, name_of(device), n, p, m, means, memory, *found))
    return lines


def kept(lines: Sequence[Line], promise: Promise) -> tuple[bool, str]:
    """Whether the promise holds, and a sentence with the figure.

    Where both kinds of memory were timed, the one counts that is chosen if nobody says which; of
    several means, the slower.
    """
    of_shape = [x for x in lines if (x.n, x.p, x.rows_from) == promise[1:4]]
    if not of_shape:
        return False, f"FALLS SHORT  ({promise.n:,}, {promise.p}) was not timed"
    # "dense" before "factored"
    line = min(of_shape, key=lambda x: (x.memory, getattr(x, promise.share)))
    share = float(getattr(line, promise.share))
    good = share >= promise.at_least
    return good, (
        f"{'PASS' if good else 'FALLS SHORT':13}({line.n:,}, {line.p}), {line.memory}, minibatches "
        f"of {line.m:,} rows from {line.rows_from}: {share:.0%} {promise.sentence} "
        f"(at least {promise.at_least:.0%})"
    )


def name_of(device: torch.device) -> str:
    """The device's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def run(device: torch.device, *, tiny: bool, folder: Path | None) -> list[Line]:
    """Check, then time; the lines also go to a file of the folder."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
    print(f"{name_of(device)}, torch {torch.__version__}: right first")
    for shape in TINY if tiny else CHECKED:
        for memory in ("dense", "factored"):
            if wrong := differs(shape, memory, device):
                where = f"n = {shape.n}, p = {shape.p}"
                raise SystemExit(f"{memory} on {device} is wrong at {where}: {wrong}")
    lines = []
    print(f"  {'n':>8}{'p':>5}{'m':>8}{'means':>7}  {'memory':10}{'rows from':20}", end="")
    print(f"{'rows/s':>12}  share of needed, least, copy{'GB/s':>8}")
    for shape in TINY if tiny else SHAPES:
        for memory in ("dense", "factored") if shape.n <= MOST_DENSE else ("factored",):
            for line in time_shape(shape, memory, device):
                print(
                    f"{line.n:>10,}{line.p:>5}{line.m:>8,}{line.means:>7g}  {memory:10}"
                    f"{line.rows_from:20}{line.rows_per_second:>12,.0f}"
                    f"{line.share_of_needed:>17.0%}{line.share_of_least:>7.0%}"
                    f"{line.share_of_copy:>6.0%}"
                    f"{line.rows_per_second * line.n * 4e-9:>8.1f}",
                    flush=True,
                )
                lines.append(line)
    if not tiny:
        for promise in PROMISES:
            print(kept(lines, promise)[1])
    if folder is not None:
        write(lines, folder)
    return lines


def write(lines: list[Line], folder: Path) -> Path:
    """One CSV for the device and day."""
    short = lines[0].device.lower().replace(" ", "-").replace(":", "-")
    path = folder / f"gpu-{short}-{lines[0].date}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Line._fields)
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in x] for x in lines)
    print(f"written: {path}")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="a torch device")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    chosen = parser.parse_args()
    # "cpu" alone would be numpy's; "cpu:0" takes the way of every device
    device = torch.device("cpu:0" if chosen.device == "cpu" else chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no CUDA device here (torch.cuda.is_available() is False): run on a machine with one, "
            "or try the script with --device cpu --tiny"
        )
    run(device, tiny=chosen.tiny, folder=Path(__file__).parent / "results")


if __name__ == "__main__":
    main()
