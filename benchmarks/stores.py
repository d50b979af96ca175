"""A store of a million checkpoints: how long questions take, and what compacting and pruning do.

    python -m benchmarks.stores [--quick] [--folder FOLDER]

Keys have a window every ten minutes. A file is written for every 250 checkpoints, as by a job whose
bundles are small, and for each of the last window's alone. Questions are asked in new processes:
"first" is the first one after the import, with nothing read before; "then" is the median of the
others (200, or 5 of the long ones), and "most" the longest of these; "of it" is the part for which
the processor worked, which is all of it where nobody else wants the machine. Twenty checkpoints
chosen by chance are compared with what was written, bit for bit.

A file costs two waits for the disk, so that most of the time of writing is the disk's; a folder in
memory (/dev/shm) shows what is ours.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streampca import Checkpoint, CheckpointStore

STEP = 600_000_000
START = 1_767_225_600_000_000
TOGETHER = 250

ASK = """
import json, random, sys, time
from streampca import CheckpointStore
folder, keys, windows, start, step = sys.argv[1], *map(int, sys.argv[2:6])
chance, store = random.Random(1), CheckpointStore(folder)

def key():
    return f"press {chance.randrange(keys)}"

questions = {
    "latest": lambda: store.latest(key(), moments=False),
    "at": lambda: store.at(start + step * chance.randrange(1, windows + 1), key(), moments=False),
    "written": lambda: store.written(key()),
    "history": lambda: store.history(key(), moments=False),
    "keys": lambda: store.keys(),
}
which, times = sys.argv[6], []
for _ in range(200 if which in ("latest", "at") else 5):
    begin = time.perf_counter(), time.process_time()
    assert questions[which]()
    times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
print(json.dumps(times))
"""


def main() -> None:
    """Print a table before and after."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="50,000 checkpoints")
    parser.add_argument("--folder", help="where the store is made, unless it is there")
    given = parser.parse_args()
    keys, windows = (50, 1000) if given.quick else (1000, 1000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.folder or f"{scratch}/store")
        store = CheckpointStore(folder)
        _say(f"{keys:,} keys x {windows:,} windows of 8 features")
        if not folder.exists():
            _say(f"written in {_timed(lambda: _make(store, keys, windows)):.0f} s")
        _ask(folder, keys, windows)
        before = _files(folder)
        begin = time.process_time()
        took = _timed(store.compact)
        cpu = time.process_time() - begin
        after = _files(folder)
        fewer = before / after
        _say(f"compact: {took:.0f} s ({cpu:.0f} of it the processor's)")
        _say(f"files {before:,} -> {after:,}, {fewer:.0f} times fewer")
        _ask(folder, keys, windows)
        _check(store, keys, windows)
        _say(f"compact again: {_timed(store.compact):.1f} s, files {_files(folder):,}")
        done: list[Any] = []
        took = _timed(lambda: done.append(store.prune(keep_last=48, keep_daily="365d")))
        _say(f"prune to 48 and one a day: {took:.0f} s, {done[0].removed:,} checkpoints went")
        _ask(folder, keys, windows, ("latest", "history", "keys"))


@functools.cache
def _model(key: int) -> Checkpoint:
    n, p = 8, 3
    draws = np.random.default_rng(key)
    components = np.linalg.qr(draws.normal(size=(n, p)))[0].T.copy()
    variance = np.sort(draws.uniform(1, 2, p))[::-1]
    return Checkpoint(
        key=f"press {key}",
        n_samples_seen=0,
        weight=0.0,
        feature_names=tuple(f"sensor {i}" for i in range(n)),
        mean=draws.normal(size=n),
        components=components,
        explained_variance=variance,
        explained_variance_ratio=variance / 10,
        total_variance=10.0,
        decoder=np.ascontiguousarray(components.T),
        encoder=components,
        residuals=np.zeros(p),
        settings={"n_components": p, "memory": "dense"},
    )


def _checkpoint(key: int, window: int) -> Checkpoint:
    """That of a key's window, without checking again what its other windows have as well."""
    found = copy.copy(_model(key))
    changes = {
        "window_start": START + STEP * window,
        "window_end": START + STEP * (window + 1),
        "sequence": window,
        "n_samples_seen": 100 * (window + 1),
        "weight": 100.0 * (window + 1),
    }
    for name, value in changes.items():
        object.__setattr__(found, name, value)
    return found


def _make(store: CheckpointStore, keys: int, windows: int) -> None:
    for window in range(windows):
        made = [_checkpoint(key, window) for key in range(keys)]
        if window == windows - 1:
            for each in made:
                store.write(each)
            continue
        for start in range(0, keys, TOGETHER):
            store.write_many(made[start : start + TOGETHER])


def _ask(
    folder: Path,
    keys: int,
    windows: int,
    questions: tuple[str, ...] = ("latest", "at", "written", "history", "keys"),
) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    _say(f"    {_files(folder):,} files, {size / 1e6:,.0f} MB")
    of = "of it"
    _say(f"    {'milliseconds':14}{'first':>10}{of:>8}{'then':>10}{of:>8}{'most':>10}{of:>8}")
    for which in questions:
        given = [str(each) for each in (folder, keys, windows, START, STEP)]
        told = subprocess.check_output([sys.executable, "-c", ASK, *given, which], text=True)
        first, *others = 1000 * np.array(json.loads(told))
        shown = (first, np.median(others, axis=0), np.max(others, axis=0))
        _say(f"    {which:14}" + "".join(f"{took:10.1f}{cpu:8.1f}" for took, cpu in shown))


def _check(store: CheckpointStore, keys: int, windows: int) -> None:
    chance = random.Random(0)
    for _ in range(20):
        key, window = chance.randrange(keys), chance.randrange(windows)
        wanted = _checkpoint(key, window)
        if store.read(wanted.key, wanted.window_end, wanted.sequence) != wanted:
            raise SystemExit(f"{wanted!r} is not what was written")
    _say("20 checkpoints by chance are what was written")


def _say(line: str) -> None:
    print(line, flush=True)


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
