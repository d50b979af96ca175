"""StreamingPCA on one GPU: right first, then how fast, beside what the device can do.

    python -m benchmarks.gpu                      # the first CUDA device
    python -m benchmarks.gpu --device cpu --tiny  # the same code without one, for a test

1. Components on the device are compared with float64 on the CPU; if they differ, nothing is timed.
2. Rows per second for minibatches that lie on the device and for ones in pinned host memory, as a
   user hands them in; times are taken with device events.
3. Beside them: the two products X A and X'H (factored) or X'X (dense) alone, and the rate of the
   copy from host to device alone. TF32 stays off.

The result goes to benchmarks/results/gpu-<device>-<date>.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from streampca import StreamingPCA
from streampca.metrics import excess_error, principal_angles

SHAPES = ((784, 10, 16_384), (784, 100, 16_384), (10_000, 100, 16_384), (100_000, 50, 2048))
"""n, p, m; 2,048 rows of 100,000 features are 0.8 GB."""

TINY = ((40, 3, 64), (60, 5, 128))
MOST_DENSE = 4096
"""Features up to which dense memory is timed too."""


class Line(NamedTuple):
    """One result."""

    date: str
    device: str
    n: int
    p: int
    m: int
    memory: str
    rows_from: str  # device, pinned host memory
    rows_per_second: float
    products_per_second: float  # rows a second of the bare products
    copies_per_second: float  # rows a second of the bare copy to the device
    share_of_products: float
    share_of_copy: float


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median seconds, by events where the device has them."""
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


def rows_of(n: int, m: int, device: torch.device, count: int) -> list[torch.Tensor]:
    """Minibatches with a 1/i spectrum and a mean."""
    draws = torch.Generator(device=device).manual_seed(0)
    scales = torch.arange(1, n + 1, device=device, dtype=torch.float32) ** -0.5
    return [torch.randn(m, n, generator=draws, device=device) * scales + 1.0 for _ in range(count)]


def differs(n: int, p: int, m: int, memory: str, device: torch.device) -> str:
    """What is wrong on the device against float64 on the CPU, or nothing."""
    batches = rows_of(n, m, device, 4)
    X = torch.cat(batches).cpu().numpy().astype("float64")
    pca = StreamingPCA(p, memory=memory, device=device)
    host = StreamingPCA(p, memory=memory, dtype="float64")
    for batch in batches:
        pca.partial_fit(batch)
        host.partial_fit(batch.cpu().numpy().astype("float64"))
    Sigma = np.cov(X.T)
    found, expected = np.asarray(pca.components_), host.components_
    excess = excess_error(found, Sigma) - excess_error(expected, Sigma)
    angle = float(principal_angles(found, expected).max())
    ratio = np.abs(pca.explained_variance_ / host.explained_variance_ - 1).max()
    # the span of close directions is known no better than their gap: excess is what counts
    if excess > 1e-5 or ratio > 1e-4:
        return f"excess {excess:.1e} over the CPU's, variances off by {ratio:.1e}"
    print(f"  {memory:10}n = {n:<8,}excess over the CPU's {excess:.1e}, angle {angle:.1e}")
    return ""


def products(n: int, p: int, memory: str, device: torch.device) -> Callable[[torch.Tensor], object]:
    """What any method of this kind has to compute of a minibatch."""
    if memory == "dense":
        return lambda X: X.T @ X
    A = torch.linalg.qr(torch.randn(n, p, device=device))[0]
    return lambda X: X.T @ (X @ A)


def time_shape(n: int, p: int, m: int, memory: str, device: torch.device, count: int) -> list[Line]:
    """Rows already on the device, and rows from the host."""
    here = rows_of(n, m, device, min(count, 4))
    pinned = device.type == "cuda"
    there = [batch.cpu().pin_memory() if pinned else batch.cpu() for batch in here]
    bare = products(n, p, memory, device)
    landing = torch.empty_like(here[0])

    def learn(batches: list[torch.Tensor]) -> Callable[[], object]:
        pca = StreamingPCA(p, memory=memory, device=device, batch_size=m)
        for batch in here:  # steady state: directions are there, buffers are allocated
            pca.partial_fit(batch)

        def all_batches() -> object:
            for i in range(count):
                pca.partial_fit(batches[i % len(batches)])
            return pca.flush()

        return all_batches

    def each(work: Callable[[torch.Tensor], object], batches: list[torch.Tensor]) -> float:
        def all_batches() -> None:
            for i in range(count):
                work(batches[i % len(batches)])

        return count * m / seconds(all_batches, device)

    product_rate = each(bare, here)
    copy_rate = each(lambda X: landing.copy_(X, non_blocking=True), there)
    lines = []
    for rows_from, batches in (("device", here), ("pinned host memory", there)):
        rate = count * m / seconds(learn(batches), device)
        lines.append(
            Line(
                time.strftime("%Y-%m-%d"),
                name_of(device),
                n,
                p,
                m,
                memory,
                rows_from,
                rate,
                product_rate,
                copy_rate,
                rate / product_rate,
                rate / copy_rate if rows_from != "device" else float("nan"),
            )
        )
    return lines


def name_of(device: torch.device) -> str:
    """The device's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def run(device: torch.device, *, tiny: bool, folder: Path | None) -> list[Line]:
    """Check, then time; the lines also go to a file of the folder."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
    shapes = TINY if tiny else SHAPES
    print(f"{name_of(device)}, torch {torch.__version__}: right first")
    for n, p, m in TINY if tiny else ((784, 10, 4096), (2000, 50, 4096)):
        for memory in ("dense", "factored"):
            if wrong := differs(n, p, m, memory, device):
                raise SystemExit(f"{memory} on {device} is wrong at n = {n}, p = {p}: {wrong}")
    lines = []
    print(
        f"  {'n':>8}{'p':>5}{'m':>7}  {'memory':10}{'rows from':20}{'rows/s':>12}  products  copy"
    )
    for n, p, m in shapes:
        for memory in ("dense", "factored") if n <= MOST_DENSE else ("factored",):
            for line in time_shape(n, p, m, memory, device, count=4 if tiny else 32):
                print(
                    f"  {n:>8,}{p:>5}{m:>7,}  {memory:10}{line.rows_from:20}"
                    f"{line.rows_per_second:>12,.0f}{line.share_of_products:>9.0%}"
                    f"{line.share_of_copy:>7.0%}",
                    flush=True,
                )
                lines.append(line)
    if folder is not None:
        write(lines, folder)
    return lines


def write(lines: list[Line], folder: Path) -> Path:
    """One CSV for the device and day."""
    short = lines[0].device.lower().replace(" ", "-")
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
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no CUDA device here (torch.cuda.is_available() is False): run on a machine with one, "
            "or try the script with --device cpu --tiny"
        )
    run(device, tiny=chosen.tiny, folder=Path(__file__).parent / "results")


if __name__ == "__main__":
    main()
