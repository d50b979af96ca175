"""Processes that write and read one store at the same time see whole checkpoints only."""

import multiprocessing
import os
import warnings

import pytest
from checkpoints import MINUTE, make

from streampca.checkpoint import CheckpointStore, temporary

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

ENDS = range(1, 31)
KEYS = ("a", "b", None)


def checkpoint(key, end):
    return make(n=40, key=key, window_end=end * MINUTE, seed=end)


def write(folder, keys, failures):
    try:
        warnings.simplefilter("error")
        store = CheckpointStore(folder)
        for end in ENDS:
            for key in keys:
                store.write(checkpoint(key, end))
    except BaseException as error:
        failures.put(repr(error))
        raise


def read(folder, done, failures):
    try:
        warnings.simplefilter("error")
        store, last = CheckpointStore(folder), dict.fromkeys(KEYS, 0)
        while not done.is_set():
            known = store.keys()
            for key in known:
                found = store.latest(key)
                end = found.window_end // MINUTE
                assert found == checkpoint(key, end)
                assert end >= last[key], "the newest has gone back"
                last[key] = end
    except BaseException as error:
        failures.put(repr(error))
        raise


def test_writers_and_readers_in_many_processes(tmp_path, monkeypatch):
    # Everything that no living writer holds is swept at once: nothing else may protect files.
    monkeypatch.setattr(temporary, "UNTOUCHED_MINUTE", -1e9)
    context = multiprocessing.get_context("fork")
    done, failures = context.Event(), context.SimpleQueue()
    # The first two write the same checkpoints, as a retry beside a slow first try does.
    writers = [
        context.Process(target=write, args=(tmp_path, keys, failures))
        for keys in (("a", None), ("a", None), ("b",), ("b", "a"))
    ]
    readers = [context.Process(target=read, args=(tmp_path, done, failures)) for _ in range(2)]
    for process in (*writers, *readers):
        process.start()
    for process in writers:
        process.join(timeout=120)
    done.set()
    for process in readers:
        process.join(timeout=60)
    assert failures.empty(), failures.get()
    assert [process.exitcode for process in (*writers, *readers)] == [0] * 6
    store = CheckpointStore(tmp_path)
    for key in KEYS:
        assert store.history(key) == [checkpoint(key, end) for end in ENDS]
    assert os.listdir(tmp_path / ".tmp") == []
