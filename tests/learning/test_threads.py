"""Threads: an estimator is read while another thread learns; the BLAS's are as they were."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest
from extras import needs_torch, torch
from threadpoolctl import ThreadpoolController

from streampca import StreamingPCA
from streampca.arrays import threads
from streampca.arrays.threads import one_thread, one_torch_thread


def numbers():
    blas = ThreadpoolController().select(user_api="blas")
    return {library.num_threads for library in blas.lib_controllers}


@pytest.fixture(autouse=True)
def _two_threads():
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield


def test_a_number_whose_setting_was_broken_off_is_set_by_the_next(monkeypatch):
    class Library:
        num_threads, breaks = 4, True

        def set_num_threads(self, number):
            self.num_threads = number
            if self.breaks:
                self.breaks = False
                raise KeyboardInterrupt

    library = Library()
    monkeypatch.setattr(threads, "_blas", lambda: [library])
    limits = threads._Limits()
    with pytest.raises(KeyboardInterrupt):
        limits.enter(1)
    limits.enter(2)
    assert library.num_threads == 2
    limits.leave(2)
    assert library.num_threads == 4


def test_one_inside_and_as_before_outside():
    with one_thread():
        assert numbers() == {1}
        with one_thread():
            assert numbers() == {1}
        assert numbers() == {1}
    assert numbers() == {2}


def test_an_error_inside_puts_it_back():
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert numbers() == {2}


@pytest.fixture
def _two_of_torch():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@needs_torch
@pytest.mark.usefixtures("_two_of_torch")
def test_torch_keeps_to_one_inside_for_what_is_small(monkeypatch):
    monkeypatch.setattr(threads, "free_cores", lambda: None)
    with one_torch_thread(1000):
        assert torch.get_num_threads() == 1
    with pytest.raises(KeyError), one_torch_thread(1000):
        raise KeyError
    assert torch.get_num_threads() == 2
    with one_torch_thread(10**9):
        assert torch.get_num_threads() == 2
    monkeypatch.setattr(threads, "free_cores", lambda: 1)
    with one_torch_thread(10**9):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@needs_torch
@pytest.mark.usefixtures("_two_of_torch")
def test_a_first_order_step_runs_on_one_thread_of_torch_and_others_keep_theirs():
    seen, elsewhere, stepping, looked = [], [], threading.Event(), threading.Event()

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(torch.get_num_threads())
            stepping.set()
            looked.wait(timeout=30)
            return super().step(closure)

    def other():
        torch.set_num_threads(2)
        stepping.wait(timeout=30)
        elsewhere.append(torch.get_num_threads())
        looked.set()

    beside = threading.Thread(target=other)
    beside.start()
    pca = StreamingPCA(2, solver="first_order", optimizer=lambda A_B: Spy(A_B, lr=0.1))
    pca.partial_fit(np.random.default_rng(0).normal(size=(300, 6))).components_  # noqa: B018
    beside.join()
    assert set(seen) == {1}
    assert elsewhere == [2]
    assert torch.get_num_threads() == 2


def test_learning_in_many_threads_leaves_it_as_it_was():
    X = np.random.default_rng(0).normal(size=(2000, 20))

    def learn():
        for memory in ("dense", "factored"):
            pca = StreamingPCA(3, memory=memory, batch_size=50)
            for start in range(0, len(X), 50):
                _ = pca.partial_fit(X[start : start + 50]).components_

    threads = [threading.Thread(target=learn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers() == {2}


# --- reading while another thread learns ----------------------------------------------------------

ROWS = np.random.default_rng(0).normal(size=(6000, 12)) * np.geomspace(9, 1, 12) + 5


@pytest.fixture
def _eager_switches():
    """Threads change places so often that what can go wrong does within a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def learn_beside(read, **options):
    """Learn all rows in small pieces while three threads call `read` without a pause."""
    pca = StreamingPCA(3, batch_size=64, **options).partial_fit(ROWS[:50])
    troubles, readings, done = [], [], threading.Event()

    def reader():
        while not done.is_set():
            try:
                readings.append(read(pca))
            except Exception as error:  # noqa: BLE001 - any at all is what is looked for
                troubles.append(repr(error))
                return

    readers = [threading.Thread(target=reader) for _ in range(3)]
    for thread in readers:
        thread.start()
    try:
        start = 50
        while start < len(ROWS):
            stop = start + 1 + start % 37
            pca.partial_fit(ROWS[start:stop])
            start = stop
    finally:
        done.set()
        for thread in readers:
            thread.join()
    assert troubles == []
    return pca, readings


def assert_learned_each_row_once(pca, **options):
    alone = StreamingPCA(3, batch_size=64, **options).partial_fit(ROWS)
    assert pca.n_samples_seen_ == len(ROWS)
    np.testing.assert_allclose(pca.mean_, alone.mean_, rtol=1e-10)
    np.testing.assert_allclose(pca.var_, alone.var_, rtol=1e-10)
    np.testing.assert_allclose(pca.explained_variance_, alone.explained_variance_, rtol=1e-2)


def everything(pca):
    """One reading of each kind, checked on the spot."""
    C = pca.components_
    np.testing.assert_allclose(C @ C.T, np.eye(3), atol=1e-8)
    assert np.isfinite(pca.transform(ROWS[:5])).all()
    assert np.isfinite(pca.score_samples(ROWS[:5])).all()
    assert (pca.var_ > 0).all()
    assert 0 < pca.loss_ < np.inf
    return pca.n_samples_seen_


@pytest.mark.usefixtures("_eager_switches")
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_reading_while_another_thread_learns_changes_nothing(memory):
    pca, counts = learn_beside(everything, memory=memory)
    assert_learned_each_row_once(pca, memory=memory)
    assert 50 <= min(counts) <= max(counts) <= len(ROWS)


def exact(checkpoint):
    """Whether all parts of a checkpoint are of the same rows: batch PCA of the first so many."""
    first = ROWS[: checkpoint.n_samples_seen]
    np.testing.assert_allclose(checkpoint.mean, first.mean(axis=0), rtol=1e-9)
    variances = np.linalg.eigvalsh(np.cov(first.T))[::-1]
    np.testing.assert_allclose(checkpoint.explained_variance, variances[:3], rtol=1e-7)
    np.testing.assert_allclose(checkpoint.total_variance, variances.sum(), rtol=1e-9)
    moments = checkpoint.moments
    assert int(moments["n_samples"]) == checkpoint.n_samples_seen
    np.testing.assert_array_equal(moments["mean"], checkpoint.mean)


@pytest.mark.usefixtures("_eager_switches")
def test_a_checkpoint_taken_while_another_thread_learns_is_of_one_moment():
    pca, checkpoints = learn_beside(StreamingPCA.checkpoint)
    assert_learned_each_row_once(pca)
    for checkpoint in checkpoints[:: max(1, len(checkpoints) // 50)]:
        exact(checkpoint)


@pytest.mark.usefixtures("_eager_switches")
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda pca: pickle.loads(pickle.dumps(pca))], ids=["copy", "pickle"]
)
def test_a_copy_taken_while_another_thread_learns_is_of_one_moment(again):
    pca, copies = learn_beside(again)
    assert_learned_each_row_once(pca)
    for each in copies[:: max(1, len(copies) // 50)]:
        exact(each.checkpoint())


@pytest.mark.usefixtures("_eager_switches")
def test_merging_from_an_estimator_that_learns_takes_it_as_of_one_moment():
    def merged(pca):
        return StreamingPCA(3).merge(pca).checkpoint()

    pca, checkpoints = learn_beside(merged)
    assert_learned_each_row_once(pca)
    for checkpoint in checkpoints[:: max(1, len(checkpoints) // 50)]:
        exact(checkpoint)


def test_two_that_merge_each_other_do_not_wait_for_ever():
    pair = [StreamingPCA(3).partial_fit(ROWS[i : i + 500]) for i in (0, 500)]
    small = [StreamingPCA(3).partial_fit(ROWS[i : i + 500]) for i in (0, 500)]

    def merge(i):
        for _ in range(20):
            copy.deepcopy(small[i]).merge(pair[1 - i])
        small[i].merge(pair[1 - i])
        pair[i].components_  # noqa: B018

    threads = [threading.Thread(target=merge, args=(i,), daemon=True) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for each in small:
        np.testing.assert_allclose(each.mean_, ROWS[:1000].mean(axis=0), rtol=1e-12)
