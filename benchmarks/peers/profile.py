"""Where the time of `partial_fit` goes, by kind of memory and shape, and the cost of asking.

A second thread looks about a thousand times a second which line of streampca runs, and charges
the time since it last looked to that line. It can look while a product runs, since numpy gives up
the interpreter's lock for it. Lines are told apart by what they call, never by their numbers, so
that the core may change; what is not recognised is "other". The same work is timed with and
without the second thread, in turns: the difference is what profiling costs.
"""

from __future__ import annotations

import linecache
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

import numpy as np

from benchmarks.peers.results import Figure
from streampca import StreamingPCA

SHAPES = (
    (9, 3, 1),
    (100, 10, 256),
    (784, 10, 1000),
    (784, 100, 1000),
    (10_000, 50, 2000),
    (100_000, 20, 1000),
)
"""n, p, m."""

MOST_DENSE = 2**31
"""Bytes: dense memory of 10,000 features takes 0.8 GB, of 100,000 it would take 80 GB."""

KINDS = ("products", "eigenproblems", "orthonormalisation", "copies and checks", "other")
INTERVAL = 1e-3

# who calls decides before what is called: a product inside an orthonormalisation is part of it
_BY_FUNCTION = (
    ("products", r"^add_gram$"),
    ("orthonormalisation", r"whiten|orthogonal|orthonormal|unit_columns|cholesky_qr"),
    ("eigenproblems", r"eigh|eigenpairs|^leading$|_solve_small|rayleigh|svd|misses|shows_all"),
    ("copies and checks", r"read_|check|valid|append|centre|center|_column_squares|_fits|cast"),
)
_BY_LINE = (
    ("eigenproblems", r"\b(eigh|eigvalsh|svd|eig|syevd|syevr)\w*\("),
    ("orthonormalisation", r"\b(qr|cholesky\w*|inv|solve_triangular|trsm|trtrs)\("),
    ("products", r" @ |@=|\b(matmul|dot|gemm|syrk|addmm|mm|einsum)\w*\("),
    (
        "copies and checks",
        r"\.copy\(|copyto|astype|ascontiguous|subtract|isfinite|\[:?\w*\] ?[-*+]?=",
    ),
)


def kind_of(function: str, line: str) -> str:
    """Which kind of work a line of a function is.

    Examples
    --------
    >>> kind_of("project", "return self.Z @ V")
    'products'
    >>> kind_of("whitener", "values, vectors = eigh_descending(G)")
    'orthonormalisation'
    """
    for rules, text in ((_BY_FUNCTION, function), (_BY_LINE, line)):
        for kind, pattern in rules:
            if re.search(pattern, text):
                return kind
    return "other"


class Sampler:
    """Seconds by line of the thread that made it."""

    def __init__(self) -> None:
        self.seconds: Counter[tuple[str, str, str]] = Counter()  # kind, function, line
        self._watched = threading.get_ident()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Charge what runs inside."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), daemon=True)
        before = sys.getswitchinterval()
        sys.setswitchinterval(INTERVAL / 2)  # else it waits for 5 ms beside plain Python
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            sys.setswitchinterval(before)

    def _watch(self, done: threading.Event) -> None:
        last = time.perf_counter()
        while not done.wait(INTERVAL):
            frame = sys._current_frames().get(self._watched)
            now = time.perf_counter()
            self._charge(frame, now - last)
            last = now

    def _charge(self, frame: FrameType | None, spent: float) -> None:
        calls = []
        while frame is not None:  # from the innermost out, the library's own lines only
            code = frame.f_code
            if "/streampca/" in code.co_filename:
                calls.append((code.co_name, linecache.getline(code.co_filename, frame.f_lineno)))
            frame = frame.f_back
        if not calls:
            self.seconds["other", "outside", ""] += spent
            return
        kinds = [kind_of(*call) for call in calls[:4]]
        # a helper that says nothing of itself belongs to its caller
        kind = next((k for k in kinds if k != "other"), "other")
        if "orthonormalisation" in kinds:
            kind = "orthonormalisation"
        self.seconds[kind, calls[0][0], calls[0][1].strip()] += spent

    def shares(self) -> dict[str, float]:
        """Share of the time of each kind."""
        total = sum(self.seconds.values()) or 1.0
        return {
            kind: sum(s for (k, _, _), s in self.seconds.items() if k == kind) / total
            for kind in KINDS
        }


class Profile(NamedTuple):
    """What was found of one shape."""

    rate: float  # rows per second, without the watcher
    overhead: float  # time with it over time without, less one
    sampler: Sampler


def profile(memory: str, n: int, p: int, m: int, seconds: float = 3.0) -> Profile:
    """Steady state: minibatches after the first few, and one solve at the end of each turn.

    Dense moments of 10,000 features are not solved: their n x n eigenproblem would be all there is
    to see.
    """
    draws = np.random.default_rng(0)
    scales = 1.0 / np.sqrt(np.arange(1, n + 1))
    pool = [(draws.standard_normal((m, n), "float32") * scales).astype("float32") for _ in range(2)]
    solves = memory != "dense" or n <= 4096
    pca, sampler = StreamingPCA(p, memory=memory), Sampler()

    def turn(count: int) -> float:
        start = time.perf_counter()
        for i in range(count):
            pca.partial_fit(pool[i % len(pool)])
        if solves:
            _ = pca.components_
        return time.perf_counter() - start

    warm = 4 if n * m < 10_000_000 else 1  # minibatches of 10,000 features take seconds
    turn(warm)
    count = max(warm, int(seconds / 10 / (turn(warm) / warm)))
    plain, timed = [], []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(timed) < 2:
        plain.append(turn(count))
        with sampler.running():
            timed.append(turn(count))
    rate = count * m / statistics.median(plain)
    return Profile(rate, statistics.median(timed) / statistics.median(plain) - 1.0, sampler)


def measure(shapes: Sequence[tuple[int, int, int]] = SHAPES, seconds: float = 3.0) -> list[Figure]:
    """All shapes, both kinds of memory."""
    figures = []
    for n, p, m in shapes:
        for memory in ("dense", "factored"):
            name = f"n = {n:,}, p = {p}, m = {m:,}"
            at = {"part": "profile", "data": name, "n": n, "p": p, "m": m}
            method = f"streampca, {memory}"
            if memory == "dense" and 8 * n * n > MOST_DENSE:
                note = f"not possible: n x n is {8 * n * n / 1e9:,.0f} GB"
                figures.append(_figure(at, method, "rows/s", np.nan, note))
                print(f"{name:32}{memory:10}{note}")
                continue
            found = profile(memory, n, p, m, seconds)
            note = "without solving" if memory == "dense" and n > 4096 else ""
            figures.append(_figure(at, method, "rows/s", found.rate, note))
            figures.append(_figure(at, method, "overhead", found.overhead, note))
            shares = found.sampler.shares()
            figures += [_figure(at, method, kind, share, note) for kind, share in shares.items()]
            told = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
            print(
                f"{name:32}{memory:10}{found.rate:>10,.0f} rows/s  {told}  {note}"
                f" (watching cost {found.overhead:.0%})"
            )
            total = sum(found.sampler.seconds.values())
            for (kind, function, line), spent in found.sampler.seconds.most_common(5):
                print(f"{'':12}{spent / total:>5.0%}  {kind:20}{function:24}{line[:70]}")
    return figures


def _figure(at: dict[str, object], method: str, measure: str, value: float, note: str) -> Figure:
    return Figure(method=method, measure=measure, value=value, note=note, **at)  # type: ignore[arg-type]
