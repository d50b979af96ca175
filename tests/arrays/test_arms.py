"""The faster of two ways is used, whatever changes; and limits that others have set are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from streampca import StreamingPCA
from streampca.arrays import threads
from streampca.arrays.arms import TwoArms


def taken(arms, times, pieces, noise=0.0, seed=0):
    """Time of all pieces, and that of the better arm alone; times may depend on the piece."""
    draws = np.random.default_rng(seed)
    spent = best = 0.0
    for piece in range(pieces):
        arm = arms.choose()
        both = np.array(times(piece)) * (1.0 + noise * draws.exponential(size=2))
        arms.tell(arm, both[arm])
        spent, best = spent + both[arm], best + both.min()
    return spent, best


@settings(max_examples=100, deadline=None)
@given(
    ratio=st.floats(0.05, 20.0),
    noise=st.sampled_from([0.0, 0.02, 0.1]),
    seed=st.integers(0, 1000),
)
def test_all_pieces_take_little_longer_than_with_the_better_arm(ratio, noise, seed):
    arms = TwoArms()
    taken(arms, lambda _: (1.0, ratio), 400, noise, seed)  # beginnings are paid for once
    spent, _ = taken(arms, lambda _: (1.0, ratio), 2000, noise, seed + 1)
    usual = 2000 * min(1.0, ratio) * (1.0 + noise)
    assert spent <= usual / 0.85


def test_a_load_that_comes_is_seen_at_once_and_one_that_goes_later():
    arms = TwoArms()
    quiet, busy = (lambda _: (1.7, 1.0)), (lambda _: (1.8, 14.0))
    taken(arms, quiet, 200)
    assert arms.preferred == 1
    spent, _ = taken(arms, busy, 10)
    assert arms.preferred == 0
    assert spent < 2 * 14 + 10 * 1.8  # two slow pieces and no more
    taken(arms, busy, 500)
    taken(arms, quiet, 1100)
    assert arms.preferred == 1


def test_trials_that_lose_much_are_few():
    arms = TwoArms()
    taken(arms, lambda _: (1.0, 14.0), 100)
    spent, _ = taken(arms, lambda _: (1.0, 14.0), 3000)
    assert spent < 1.06 * 3000


@pytest.fixture
def _fresh(monkeypatch):
    monkeypatch.setattr(threads, "_choices", threads._Choices())


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
    assert [kind for kind, _ in threads._choices.arms] == ["dense"]


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
        assert threads._allowed() == 2


@pytest.mark.usefixtures("_fresh")
def test_an_error_inside_is_no_measurement():
    controller = ThreadpoolController()
    with controller.limit(limits=2, user_api="blas"):
        with pytest.raises(KeyError), threads.as_pays("some", 2**30):
            raise KeyError
        assert threads._allowed() == 2
        (arms,) = threads._choices.arms.values()
        assert arms._until_trial == 2
