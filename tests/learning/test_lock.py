"""A lock that survives copies, pickles and forks."""

import copy
import gc
import os
import pickle
import threading
import time

import pytest

from streampca.learning.lock import Lock


def others_wait_for(lock):
    entered = threading.Event()

    def enter():
        with lock:
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    waited = not entered.wait(0.05)
    return waited, thread


def test_one_thread_at_a_time_and_that_one_again():
    lock = Lock()
    with lock, lock:
        waited, thread = others_wait_for(lock)
        assert waited
    thread.join()
    assert others_wait_for(lock)[0] is False


def test_an_error_inside_frees_it():
    lock = Lock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert others_wait_for(lock)[0] is False


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_is_a_free_lock_of_its_own(again):
    lock = Lock()
    with lock:
        other = again(lock)
        assert others_wait_for(other)[0] is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_finds_every_lock_free_and_nothing_half_changed():
    lock, pair, stop = Lock(), [0, 0], threading.Event()

    def change():
        while not stop.is_set():
            with lock:
                pair[0] += 1
                time.sleep(0.001)
                Lock()  # made while one is held, as a fork may be under way
                pair[1] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                with lock:
                    os._exit(pair[0] != pair[1])
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_locks_that_nobody_needs_are_forgotten():
    from streampca.learning import lock

    gc.collect()  # those of estimators that other tests have left go now, not in between
    before = len(lock._existing())
    locks = [Lock() for _ in range(100)]
    assert len(lock._existing()) == before + 100
    del locks
    assert len(lock._existing()) == before
