"""Threads beside other work: what is chosen by time, beside one thread and all of them.

The load is made here: processes that count, one or as many as there are cores, or the same
learning in a second process. Figures are ratios of what took turns under one load.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers.measure import cores
from streampca import StreamingPCA

WANTED = 0.85
"""Rate over that of the better of one thread and all."""

ROUNDS, ROWS, BATCH = 9, 20_000, 1000

PAUSE = 0.1
"""Seconds before each turn, in which the threads that the last one keeps spinning fall asleep."""

LEARNING = (
    ("dense, p = 10", {"n_components": 10, "memory": "dense"}),
    ("dense, p = 100", {"n_components": 100, "memory": "dense"}),
    ("factored, p = 10", {"n_components": 10, "memory": "factored"}),
    ("factored, p = 100", {"n_components": 100, "memory": "factored"}),
)

_COUNT = "while True: pass"
_LEARN = """
import numpy as np
from streampca import StreamingPCA
X = np.random.default_rng(0).normal(size=(20000, 784)).astype("float32")
while True: StreamingPCA(10, memory="dense").fit(X)
"""


@contextmanager
def load(*programs: str) -> Iterator[None]:
    """Beside these Python programs, which run until the end."""
    running = [subprocess.Popen([sys.executable, "-c", program]) for program in programs]
    try:
        time.sleep(2.0 if running else 0.0)  # until they have started
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def loads() -> dict[str, tuple[str, ...]]:
    """What else the machine does."""
    return {
        "quiet": (),
        "one core busy": (_COUNT,),
        "all cores busy": (_COUNT,) * cores(),
        "two at once": (_LEARN,),
    }


def ratios(X: np.ndarray, parameters: dict[str, object]) -> tuple[float, float, float]:
    """Seconds on one thread, on all (a seed lets threads be) and as chosen: medians of turns."""

    def seconds(**more: object) -> float:
        time.sleep(PAUSE)
        start = time.perf_counter()
        pca = StreamingPCA(**parameters, **more)  # type: ignore[arg-type]
        for first in range(0, len(X), BATCH):
            pca.partial_fit(X[first : first + BATCH])
        _ = pca.components_
        return time.perf_counter() - start

    def on_one() -> float:
        with threadpool_limits(1):
            return seconds()

    ways: list[Callable[[], float]] = [on_one, lambda: seconds(random_state=0), seconds]
    turns = [[way() for way in ways] for _ in range(ROUNDS + 1)][1:]  # the first one learns
    one, every, chosen = (statistics.median(times) for times in zip(*turns, strict=True))
    return one, every, chosen


def busy(claim: Callable[..., None], X: np.ndarray) -> None:
    """One line for each load and kind of learning."""
    for name, programs in loads().items():
        print(f"\nThreads, {name}: {ROWS:,} rows of {X.shape[1]} features, rows/s")
        with load(*programs):
            for kind, parameters in LEARNING:
                one, every, chosen = ratios(X[:ROWS], parameters)
                rates = [ROWS / seconds for seconds in (one, every, chosen)]
                print(f"  {kind:20}one {rates[0]:>10,.0f}  all {rates[1]:>10,.0f}", end="")
                print(f"  chosen {rates[2]:>10,.0f}")
                claim(f"{kind}, {name}", rates[2] / max(rates[:2]), WANTED)
