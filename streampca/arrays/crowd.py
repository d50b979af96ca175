"""How many cores this process may use, and how many of them others keep busy now.

Threads wait for the slowest of them, and one that shares its core with somebody else's work is
slow: so it pays to know before. Linux tells for some microseconds; where it does not, who asks has
to find out by trying. Knows nothing of what the cores are wanted for.
"""

from __future__ import annotations

import math
import os
import threading
import time
from functools import cache
from pathlib import Path

_TASKS = "/proc/self/task"

_KEPT, _LONGEST = 50.0, 0.02
"""A reading is kept for so many times as long as it took, in seconds at most: two per cent of the
time of who asks all the time. With 2 threads it takes 20 microseconds, with 64 some 400."""


class Crowd:
    """Cores that others keep busy, read anew when the last reading is old."""

    def __init__(self) -> None:
        self._until = 0.0
        self._others: int | None = None

    def others(self) -> int | None:
        """Tasks beside ours that run or wait for a core; None where that cannot be known."""
        now = time.perf_counter()
        if now >= self._until:
            self._others = _others()
            end = time.perf_counter()
            self._until = end + min(_KEPT * (end - now), _LONGEST)
        return self._others


@cache
def cores() -> int:
    """Cores that this process may use: by its affinity, and the quota of its container."""
    return max(1, min(_allowed(), _quota(Path("/"))))


def cores_without(others: int) -> int:
    """Cores that others leave, at least one."""
    return max(1, min(cores(), _online() - others))


@cache
def _online() -> int:
    return os.cpu_count() or 1


def _allowed() -> int:
    here = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if here else _online()


def _quota(root: Path) -> int:
    """Cores' worth of time that the control groups of this process give it, rounded up."""
    limits = [float(_online())]
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            own = Path(path.lstrip("/"))
            limits += [_limit(top / group) for group in (own, *own.parents)]
    return math.ceil(min(limits))


def _limit(folder: Path) -> float:
    """Time over period of one control group, of the second version or the first."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such thing
        return math.inf


@cache
def _sees_all() -> bool:
    """Whether what the system says of all of its cores is about those of this process."""
    return hasattr(os, "sched_getaffinity") and _allowed() == _online()


def _others() -> int | None:
    if not _sees_all():
        return None
    running = _running()
    if running is None or running <= 1:
        return None if running is None else 0
    return max(0, running - _own())


def _running() -> int | None:
    """Tasks of all processes that run or wait for a core, this one among them."""
    try:
        return int(_read("/proc/loadavg").split()[3].split(b"/")[0]) or None
    except (OSError, ValueError, IndexError):
        return None  # another system, or one that makes this file up


def _own() -> int:
    """This task, and those of ours that run outside Python: they spin and wait for work.

    Libraries keep them so for milliseconds after each product, on the cores that the next uses.
    Other threads of Python that run want a core as other processes do.
    """
    here = threading.get_native_id()
    others = {thread.native_id for thread in threading.enumerate()} - {here}
    count = 0
    for task in os.listdir(_TASKS):
        if int(task) not in others and _state(task) == b"R":
            count += 1
    return max(1, count)


def _state(task: str) -> bytes:
    try:
        # the name of the program stands in brackets before it, and may hold brackets
        return _read(f"{_TASKS}/{task}/stat").rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b""  # it has ended


def _read(path: str) -> bytes:
    """A small file; `open` takes twice as long."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 512)
    finally:
        os.close(descriptor)
