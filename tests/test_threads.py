"""BLAS threads: one inside, what it was before outside."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from streampca import StreamingPCA
from streampca._threads import one_thread


def numbers():
    blas = ThreadpoolController().select(user_api="blas")
    return {library.num_threads for library in blas.lib_controllers}


@pytest.fixture(autouse=True)
def _two_threads():
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield


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
