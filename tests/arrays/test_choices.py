"""How many threads are chosen, on machines of 2 to 64 cores that are quiet, busy, or change.

The machines are simulated: pieces take what they say, and no clock is read. Then limits that others
have set are kept, on this one.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from streampca import StreamingPCA
from streampca.arrays import choices, threads
from streampca.arrays.arms import TwoArms
from streampca.arrays.choices import Choices

CORES = st.sampled_from([2, 3, 4, 6, 8, 16, 32, 64])
SHARES = st.floats(0.3, 0.99)
WAITS = st.floats(2.0, 14.0)
NOISE = st.sampled_from([0.0, 0.02, 0.1])
SEEDS = st.integers(0, 1000)


@dataclass
class Machine:
    """What a piece takes there that takes 1 on one thread and a quiet core."""

    cores: int
    share: float
    """Part of a piece that threads do between them."""
    waits: float
    """How many times as long several threads take where one of them has no core of its own."""
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self):
        self.draws = np.random.default_rng(self.seed)

    def time(self, threads, others):
        """On so many threads beside so many others."""
        time = 1.0 - self.share + self.share / threads
        if threads > 1 and threads + others > self.cores:
            time *= self.waits
        time *= max(1.0, (others + 1) / self.cores)
        return time * (1.0 + self.noise * self.draws.exponential())


def spent(machine, chooser, pieces, others, told, kind="dense"):
    """Time as chosen, on one thread, and on all; `others(piece)` run there, `told(piece)` shown."""
    own = one = every = 0.0
    for piece in range(pieces):
        beside, shown = others(piece), told(piece)
        free = None if shown is None else max(1, machine.cores - shown)
        choice = chooser.of(kind, 2.0**30, machine.cores, free)
        arm = choice.arms.choose()
        time = machine.time(choice.threads if arm == 1 else 1, beside)
        choice.arms.tell(arm, time)
        own += time
        one += machine.time(1, beside)
        every += machine.time(machine.cores, beside)
    return own, one, every


@settings(max_examples=200, deadline=None)
@given(cores=CORES, share=SHARES, waits=WAITS, noise=NOISE, seed=SEEDS, data=st.data())
def test_a_short_run_is_as_fast_as_the_better_of_one_thread_and_all(
    cores, share, waits, noise, seed, data
):
    others = data.draw(st.integers(0, cores + 2))
    machine = Machine(cores, share, waits, noise, seed)
    own, one, every = spent(machine, Choices(), 20, lambda _: others, lambda _: others)
    limit = 0.9 if noise < 0.1 else 0.8
    assert own <= one / limit
    if others <= cores / 2 or every >= one:
        assert own <= every / limit


@settings(max_examples=100, deadline=None)
@given(
    cores=CORES, share=SHARES, waits=WAITS, noise=NOISE, seed=SEEDS, most=st.sampled_from([0.5, 1])
)
def test_a_load_that_comes_and_goes_costs_nothing(cores, share, waits, noise, seed, most):
    draws = np.random.default_rng(seed)
    load = np.repeat(draws.integers(0, int(cores * most) + 1, 100), draws.integers(1, 30, 100))
    machine = Machine(cores, share, waits, noise, seed)
    own, one, every = spent(machine, Choices(), len(load), load.__getitem__, load.__getitem__)
    assert own <= one / 0.85
    if most < 1 or waits > cores:
        assert own <= every / 0.85


@settings(max_examples=40, deadline=None)
@given(cores=CORES, share=SHARES, waits=WAITS, noise=NOISE, seed=SEEDS, data=st.data())
def test_what_the_system_says_wrongly_is_corrected_by_time(cores, share, waits, noise, seed, data):
    really, said = data.draw(st.sampled_from([(0, cores), (1, 0), (cores, 0)]))
    machine, chooser = Machine(cores, share, waits, noise, seed), Choices()
    spent(machine, chooser, 6000, lambda _: really, lambda _: said)
    own, one, every = spent(machine, chooser, 3000, lambda _: really, lambda _: said)
    assert own <= min(one, every) / 0.85


@settings(max_examples=100, deadline=None)
@given(cores=CORES, share=SHARES, waits=WAITS, noise=NOISE, seed=SEEDS, data=st.data())
def test_where_nothing_is_known_time_decides(cores, share, waits, noise, seed, data):
    others = data.draw(st.sampled_from([0, 1, cores]))
    machine, chooser = Machine(cores, share, waits, noise, seed), Choices()
    spent(machine, chooser, 300 + 30 * cores, lambda _: others, lambda _: None)
    own, one, every = spent(machine, chooser, 3000, lambda _: others, lambda _: None)
    assert own <= min(one, every) / 0.85
    # and what is new begins with that
    new = chooser.of("factored", 2.0**30, cores, None).arms
    assert new.preferred == chooser.of("dense", 2.0**30, cores, None).arms.preferred


@given(cores=CORES, data=st.data())
def test_there_are_no_more_threads_than_free_cores_or_than_are_allowed(cores, data):
    most, free = data.draw(st.integers(2, cores)), data.draw(st.integers(1, cores))
    choice = Choices().of("dense", 2.0**30, most, free)
    if free > 1 and 4 * free >= most:
        assert choice.threads == min(most, free) == Choices().last(most, free)
        assert choice.arms.preferred == 1
    else:
        assert choice.threads == most
        assert choice.arms.preferred == 0
        assert Choices().last(most, free) == 1


def test_work_that_is_not_timed_goes_with_what_was_timed_in_the_same_state():
    chooser = Choices()
    assert chooser.last(4, None) == 1
    assert chooser.last(4, 4) == 4
    arms = chooser.of("dense", 2.0**30, 4, 4).arms
    while arms.preferred == 1:
        arms.tell(arms.choose(), (1.0, 2.0)[arms.choose()])
    assert chooser.last(4, 4) == 1
    assert chooser.last(4, 2) == 2


# --- on this machine -----------------------------------------------------------------------------


@pytest.fixture
def _fresh(monkeypatch):
    monkeypatch.setattr(threads, "_choices", choices.Choices())
    monkeypatch.setattr(threads, "free_cores", lambda: None)  # whatever else runs there


def learned(X, **parameters):
    pca = StreamingPCA(3, memory="dense", batch_size=500, **parameters)
    return pca.fit(X).components_


@pytest.mark.usefixtures("_fresh")
def test_a_limit_of_one_and_small_work_are_not_timed():
    X = np.random.default_rng(0).normal(size=(2000, 300))
    controller = ThreadpoolController()
    with controller.limit(limits=1, user_api="blas"):
        learned(X)
    with controller.limit(limits=2, user_api="blas"):
        learned(X[:, :20])
        learned(X, random_state=0)
        assert not threads._choices.arms
        learned(X)
    assert [kind for kind, *_ in threads._choices.arms] == ["dense"]


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("arm", [0, 1])
def test_both_arms_find_the_same_and_leave_the_number_of_threads(arm, monkeypatch):
    monkeypatch.setattr(TwoArms, "choose", lambda self: arm)
    X = np.random.default_rng(0).normal(size=(2000, 300)) * np.arange(300, 0, -1.0)
    controller = ThreadpoolController()
    with controller.limit(limits=1, user_api="blas"):
        expected = learned(X)
    with controller.limit(limits=2, user_api="blas"):
        np.testing.assert_allclose(learned(X), expected, atol=1e-9)
        assert threads._blas()[0].num_threads == 2


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize(("free", "inside"), [(1, 1), (2, 2), (None, 1)])
def test_threads_are_no_more_than_free_cores_from_the_first_piece_on(free, inside, monkeypatch):
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    (blas, *_) = threads._blas()
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        with threads.as_pays("some", 2**30):
            assert blas.num_threads == inside
            with threads.one_thread():
                assert blas.num_threads == 1
            assert blas.num_threads == inside
        assert blas.num_threads == 2
        with threads.as_last(784):
            assert blas.num_threads == inside
        with threads.as_last(100):
            assert blas.num_threads == 1
        assert blas.num_threads == 2
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        with threads.as_pays("some", 2**30):
            assert blas.num_threads == 1
        assert blas.num_threads == 1


@pytest.mark.usefixtures("_fresh")
def test_an_error_inside_is_no_measurement():
    controller = ThreadpoolController()
    with controller.limit(limits=2, user_api="blas"):
        with pytest.raises(KeyError), threads.as_pays("some", 2**30):
            raise KeyError
        assert threads._blas()[0].num_threads == 2
        (arms,) = threads._choices.arms.values()
        assert arms._until_trial == 2


@pytest.mark.parametrize("p", [2, 32, 33, 100])
def test_coordinates_go_by_components_alone(p, monkeypatch):
    X = np.random.default_rng(0).normal(size=(2000, 120))
    (blas, *_) = threads._blas()
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        pca = StreamingPCA(p, memory="dense").fit(X)
        Z = pca.transform(X)
        for free in (1, 2, None):
            monkeypatch.setattr(threads, "free_cores", lambda free=free: free)
            np.testing.assert_array_equal(pca.transform(X), Z)
        with threads.beside_passes(p):
            assert blas.num_threads == (1 if p <= 32 else 2)
        assert blas.num_threads == 2
