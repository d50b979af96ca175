"""Dask: a part of each block of an array, merged in a tree; workers are killed meanwhile.

make dask
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import dask
import dask.array as da
from dask.distributed import Client, LocalCluster

from benchmarks.engines.common import P, check, error, made, measured, quick, report, start
from streampca import StreamingPCA, merge_all

# --8<-- [start:tree]


def learn(block):
    return StreamingPCA(n_components=4).partial_fit(block).part()


def merged(*parts):
    return merge_all(parts).part()


def tree(rows, together=4):
    """One part of all rows of a dask array, not yet computed."""
    rows = rows.rechunk({1: -1})  # all columns of a row in one block
    parts = [dask.delayed(learn)(block) for block in rows.to_delayed().ravel()]
    while len(parts) > 1:
        groups = [parts[i : i + together] for i in range(0, len(parts), together)]
        parts = [dask.delayed(merged)(*group) for group in groups]
    return parts[0]


# --8<-- [end:tree]


def killed(cluster: LocalCluster, times: int, every: float) -> tuple[threading.Thread, list[int]]:
    """End a worker with SIGKILL now and then; its nanny starts another."""
    done: list[int] = []

    def kill() -> None:
        for _ in range(times):
            time.sleep(every)
            pids = [nanny.process.pid for nanny in cluster.workers.values() if nanny.process]
            if pids and pids[-1]:
                os.kill(pids[-1], signal.SIGKILL)
                done.append(pids[-1])

    thread = threading.Thread(target=kill)
    thread.start()
    return thread, done


def slow(block, seconds=0.25):
    time.sleep(seconds)  # so that there is something to kill
    return block


def main(few: bool) -> None:
    """Cold, warm, with kills, and Dask's own PCA on the same rows."""
    X = made(6_000 if few else 24_000)
    rows = da.from_array(X, chunks=(1000, 5))
    dask.config.set({"distributed.scheduler.allowed-failures": 20})
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": None,
        "silence_logs": logging.CRITICAL,  # a worker that is killed is meant to be
    }
    with LocalCluster(**options) as cluster, Client(cluster):
        for what in ("tree, cold", "tree, warm"):
            with measured() as cost:
                pca = merge_all([tree(rows).compute()])
            report("Dask", dask.__version__, what, len(X), check(pca, X), 0, cost)
        thread, done = killed(cluster, 2 if few else 5, 2.0)
        slowly = rows.rechunk({1: -1}).map_blocks(slow, dtype=rows.dtype)
        with measured() as cost:
            pca = merge_all([tree(slowly).compute()])
            while thread.is_alive():
                pca = merge_all([tree(slowly + 0).compute()])
        thread.join()
        report("Dask", dask.__version__, "tree, killed", len(X), check(pca, X), len(done), cost)
        if not few:
            theirs(rows, X)
    start("Dask", dask.__version__, "numpy, distributed.worker")


def theirs(rows: da.Array, X) -> None:
    """Dask-ML's PCA, which wants a tall array with one block of columns."""
    try:
        from dask_ml.decomposition import PCA
    except ImportError as reason:
        print(f"Dask-ML's PCA is left out: {reason}")
        return
    import dask_ml

    for what in ("its own PCA, cold", "its own PCA, warm"):
        with measured() as cost:
            pca = PCA(n_components=P, svd_solver="tsqr").fit(rows.rechunk({1: -1}))
        off = error(pca.components_, pca.explained_variance_, X)
        report("Dask-ML", dask_ml.__version__, what, len(X), off, 0, cost)


if __name__ == "__main__":
    main(quick())
