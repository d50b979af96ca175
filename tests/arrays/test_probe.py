"""Small products show whether threads wait, and no more of them are done than that takes."""

from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from streampca.arrays import choices, probe, threads


class Products:
    """Products that take 1 on one thread and what is said, one after the other, on several."""

    def __init__(self, taken):
        self.taken, self.done, self.several = taken, 0, False

    @contextmanager
    def on_several(self):
        self.several = True
        yield
        self.several = False

    @contextmanager
    def on_one(self):
        assert not self.several
        yield

    def seconds(self, A):
        if not self.several:
            return 1.0
        self.done += 1
        return self.taken[self.done - 1]

    def waits(self, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(probe, "_seconds", self.seconds)
            return probe.waits(self.on_several(), self.on_one())


@given(first=st.floats(0.02, 3.0), others=st.lists(st.floats(0.02, 1.9), min_size=11, max_size=11))
def test_products_that_do_not_wait_are_all_done(first, others):
    products = Products([first, *others])
    assert products.waits(pytest.MonkeyPatch()) == 0
    assert products.done == 12


@given(at=st.integers(0, 11), by=st.floats(50.0, 1e4), usual=st.floats(0.02, 1.5))
def test_the_first_that_waits_is_the_last(at, by, usual):
    products = Products([usual] * at + [by] + [usual] * 12)
    times = products.waits(pytest.MonkeyPatch())
    assert products.done == at + 1
    assert by / 12 <= times <= by + 1.5


def test_a_trial_that_would_wait_is_none(monkeypatch):
    monkeypatch.setattr(threads, "_choices", choices.Choices())
    monkeypatch.setattr(threads, "free_cores", lambda: None)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    probed, said = [], [50.0]
    monkeypatch.setattr(threads, "waits", lambda *_: probed.append(1) or said[0])
    (blas, *_) = threads._blas()
    with ThreadpoolController().limit(limits=2, user_api="blas"):

        def pieces(count):
            used = set()
            for _ in range(count):
                with threads.as_pays("some", 2**30):
                    used.add(blas.num_threads)
            return used

        assert pieces(900) == {1}
        assert len(probed) == 1  # the next comes after 20 times 49 pieces
        said[0] = 0.0
        assert pieces(100) == {1, 2}
    assert len(probed) >= 2
