"""The faster of two ways is used, whatever changes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_the_arm_to_begin_with_is_kept_until_the_first_trial_and_after_one_that_loses():
    arms = TwoArms(1, until_trial=20)
    chosen = []
    for _ in range(28):
        chosen.append(arms.choose())
        arms.tell(chosen[-1], (2.0, 1.0)[chosen[-1]])
    assert chosen == [1] * 20 + [0] + [1] * 7
