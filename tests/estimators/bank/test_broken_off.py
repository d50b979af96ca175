"""A bank's call that is broken off is done, not done, or makes the bank refuse all use."""

import copy
import pickle

import numpy as np
import pytest
from interrupts import BREAKS, broken_off, count_lines

from streampca import KeyedPCA, TornError

CALLS = {
    "partial_fit": lambda bank, rows, other: bank.partial_fit(*rows),
    "decay": lambda bank, rows, other: bank.decay(0.5),
    "merge": lambda bank, rows, other: bank.merge(other),
    "one learns": lambda bank, rows, other: bank["a"].partial_fit(rows[0]),
    "one begins anew": lambda bank, rows, other: bank["a"].fit(rows[0]),
    "one forgets": lambda bank, rows, other: bank["a"].decay(0.25),
    "forget": lambda bank, rows, other: bank.__delitem__("a"),
}
READINGS = {
    "transform": lambda bank: bank.transform(np.zeros((2, 5)), ["a", "b"]),
    "components_": lambda bank: bank["b"].components_,
    "checkpoints": lambda bank: list(bank.checkpoints()),
    "copy": copy.deepcopy,
    "pickle": pickle.dumps,
}


def rows(rng, m, missing):
    X = rng.normal(size=(m, 5)) / np.arange(1, 6) + 1.0
    if missing == "impute":
        X[rng.random(X.shape) < 0.2] = np.nan
    return X, rng.choice(list("abcdef"), m)


def state(bank):
    """What each model says, by key."""
    return {
        each.key: (each.weight, each.mean, each.explained_variance, abs(each.components))
        for each in bank.checkpoints()
    }


def is_same(some, others):
    return some.keys() == others.keys() and all(
        np.allclose(a, b, rtol=1e-9, atol=1e-12)
        for key in some
        for a, b in zip(some[key], others[key], strict=True)
    )


def begun(missing, seed):
    rng = np.random.default_rng(seed)
    banks = [KeyedPCA(2, missing=missing, half_life=50.0) for _ in range(2)]
    for bank in banks:
        bank.partial_fit(*rows(rng, 60, missing))
    return rng, *banks


def is_torn(bank, new, other):
    try:
        list(bank.checkpoints())
    except TornError:
        pass
    else:
        return False
    calls = [lambda one, call=call: call(one, new, other) for call in CALLS.values()]
    for use in [*READINGS.values(), *calls, lambda one: KeyedPCA(2).merge(one)]:
        with pytest.raises(TornError):
            use(bank)
    return True


@pytest.mark.parametrize("missing", ["error", "impute"])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_is_broken_off(call, missing):
    change = CALLS[call]
    rng, before, other = begun(missing, len(call))
    new, later = rows(rng, 50, missing), rows(rng, 40, missing)
    after = copy.deepcopy(before)
    n_torn = 0
    for k in rng.integers(1, count_lines(lambda: change(after, new, other)) + 1, 15).tolist():
        bank, error = copy.deepcopy(before), BREAKS[rng.integers(len(BREAKS))]
        broken_off(lambda one=bank: change(one, new, other), k, error)
        if is_torn(bank, new, other):
            n_torn += 1
            continue
        twin = copy.deepcopy(before)
        if not is_same(state(bank), state(twin)):
            twin = copy.deepcopy(after)
            assert is_same(state(bank), state(twin))
        assert is_same(state(bank.partial_fit(*later)), state(twin.partial_fit(*later)))
    assert n_torn


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("missing", ["error", "impute"])
def test_a_reading_that_is_broken_off_changes_nothing(reading, missing):
    read = READINGS[reading]
    rng, before, _ = begun(missing, 9)
    later = rows(rng, 40, missing)
    for k in rng.integers(1, count_lines(lambda: read(copy.deepcopy(before))) + 1, 15).tolist():
        bank, twin = copy.deepcopy(before), copy.deepcopy(before)
        broken_off(lambda one=bank: read(one), k, KeyboardInterrupt)
        assert is_same(state(bank), state(twin))
        assert is_same(state(bank.partial_fit(*later)), state(twin.partial_fit(*later)))
        assert is_same({"b": (bank["b"].var_,)}, {"b": (twin["b"].var_,)})


def test_a_first_call_that_is_broken_off():
    rng = np.random.default_rng(4)
    new = rows(rng, 50, "error")
    learned = state(KeyedPCA(2).partial_fit(*new))
    for k in rng.integers(1, count_lines(lambda: KeyedPCA(2).partial_fit(*new)) + 1, 25).tolist():
        bank = KeyedPCA(2)
        broken_off(lambda one=bank: one.partial_fit(*new), k, KeyboardInterrupt)
        try:
            n = sum(each.n_samples_seen for each in bank.checkpoints()) if len(bank) else 0
        except TornError:
            assert is_same(state(bank.fit(*new)), learned)
            continue
        assert n in (0, 50)
        assert n or is_same(state(bank.partial_fit(*new)), learned)
