"""Models that a bundle keeps as objects for their next timers: never another than state says."""

import json
from collections import Counter

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows
from keyed_state import Bag, Cell, Time, Timers
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import MomentsFn
from beam_pipelines.learning import carry as carrying
from beam_pipelines.learning.carry import CarryModel
from beam_pipelines.learning.pending import Pending
from beam_pipelines.learning.running import Learning
from streampca.checkpoint import from_state

MINUTE = 60_000_000
X, _ = stream(90)


class Key:
    """The state of one key, and its timers fired by hand."""

    def __init__(self, text='"k"'):
        self.text = text
        self.cells = [Cell(), Cell(), Cell()]
        self.bag = Bag()

    def rows(self, fn, X, minute):
        """Moments of a minute, as they come."""
        moments = MomentsFn(n_components=2)
        part = moments.create_accumulator()
        for x in X:
            part = moments.add_input(part, x)
        window = Pending((minute + 1) * MINUTE - 1, minute * MINUTE, MINUTE, 0, 0, b"")
        arrived = window._replace(data=moments.extract_output(part))
        element = self.text, (False, tuple(arrived))
        assert list(fn.process(element, self.bag, Timers(), *self.cells)) == []

    def fire(self, fn, minute):
        """The checkpoints of a timer at the end of a minute."""
        end = Time((minute + 1) * MINUTE - 1)
        found = fn.close(self.text, end, self.bag, *self.cells, silent=None, timer=Timers())
        return [timestamped.value[1] for timestamped in found]


@pytest.fixture
def read(monkeypatch):
    """How often models were read from state, by the number of rows that they knew."""
    counts = Counter()
    plain = carrying.from_state

    def counted(data):
        found = plain(data)
        counts[found.n_samples_seen] += 1
        return found

    monkeypatch.setattr(carrying, "from_state", counted)
    return counts


@pytest.fixture
def fn():
    made = CarryModel(Learning({"n_components": 2}))
    made.start_bundle()
    return made


def test_the_next_timer_of_a_key_goes_on_without_reading_its_model(fn, read):
    key = Key()
    for minute in range(3):
        key.rows(fn, X[30 * minute : 30 * minute + 30], minute)
        (checkpoint,) = key.fire(fn, minute)
        assert_equals_batch(checkpoint, X[: 30 * minute + 30])
    assert not read


def test_a_new_bundle_reads_the_model_from_state(fn, read):
    key = Key()
    key.rows(fn, X[:30], 0)
    key.fire(fn, 0)
    fn.start_bundle()
    key.rows(fn, X[30:], 1)
    (checkpoint,) = key.fire(fn, 1)
    assert read == {30: 1}
    assert_equals_batch(checkpoint, X)


def test_a_timer_that_fails_before_it_writes_leaves_nothing_at_hand(fn, read, monkeypatch):
    key = Key()
    key.rows(fn, X[:30], 0)
    key.fire(fn, 0)
    key.rows(fn, X[30:], 1)
    before = [cell.value for cell in key.cells], key.bag.read()
    with monkeypatch.context() as patch:
        patch.setattr(key.cells[0], "write", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            key.fire(fn, 1)
    for cell, value in zip(key.cells, before[0], strict=True):
        cell.value = value  # the runner throws away what the bundle had written
    key.bag.entries = before[1]
    (checkpoint,) = key.fire(fn, 1)
    assert read == {30: 1}
    assert_equals_batch(checkpoint, X)
    assert checkpoint.sequence == 1


def test_a_model_that_is_not_what_state_holds_is_not_used(fn, read):
    """A runner that takes back what was written, and goes on with the same object."""
    key = Key()
    key.rows(fn, X[:30], 0)
    key.fire(fn, 0)
    written = [cell.value for cell in key.cells]
    key.rows(fn, X[30:60], 1)
    key.fire(fn, 1)
    for cell, value in zip(key.cells, written, strict=True):
        cell.value = value
    key.rows(fn, X[60:], 2)
    (checkpoint,) = key.fire(fn, 2)
    assert read == {30: 1}
    assert checkpoint.n_samples_seen == 60
    assert checkpoint.sequence == 1
    key.rows(fn, X[30:60], 3)
    (checkpoint,) = key.fire(fn, 3)
    assert_equals_batch(checkpoint, X)


def test_only_some_keys_are_at_hand(fn, read, monkeypatch):
    monkeypatch.setattr(carrying, "_AT_HAND", 2)
    monkeypatch.setattr(carrying, "_AT_HAND_BYTES", 0)
    keys = [Key(json.dumps(name)) for name in "abc"]
    for minute in range(2):
        for i, key in enumerate(keys):
            key.rows(fn, X[i : 20 * minute + 20 + i], minute)
            key.fire(fn, minute)
            assert len(fn._at_hand) <= 2
    assert sum(read.values()) == 3  # each had been pushed out by the two others


def test_more_keys_are_at_hand_while_they_are_small(fn, read):
    keys = [Key(json.dumps(i)) for i in range(40)]
    for minute in range(2):
        for i, key in enumerate(keys):
            key.rows(fn, X[i : i + 3], minute)
            key.fire(fn, minute)
    assert not read
    assert fn._n_bytes == sum(len(key.cells[0].value) for key in keys)


def test_a_thousand_windows_are_not_written_a_thousand_times(fn):
    key, n = Key(), 200
    for minute in range(n):
        key.rows(fn, X[:2], minute)
    key.bag.n_added = 0
    for minute in np.random.default_rng(0).permutation(n):  # timers fire in any order
        key.fire(fn, int(minute))
        assert len(key.bag.entries) <= 2 * (n - minute)
    assert key.bag.entries == []
    assert key.bag.n_added <= n


@pytest.mark.parametrize("seed", range(20))
def test_rows_on_time_and_late_are_learned_once_wherever_bundles_end(seed):
    """Windows are closed in any order, with bundles between, and late rows come to some."""
    draws = np.random.default_rng(seed)
    fn, key, n = CarryModel(Learning({"n_components": 2})), Key(), 8
    fn.start_bundle()
    rows = np.array_split(X, 3 * n)
    left = list(range(3 * n))
    fired, learned = 0, 0
    while left or fired < n:
        if draws.random() < 0.3:
            fn.start_bundle()
        if left and (fired == n or draws.random() < 0.6):
            i = left.pop(int(draws.integers(len(left))))
            key.rows(fn, rows[i], i % n)
            if i % n < fired:  # late: its timer fires anew
                closed = key.cells[1].value  # windows without rows have not been
                (checkpoint,) = key.fire(fn, i % n)
                assert checkpoint.late == (
                    closed is not None and checkpoint.window_end <= closed + 1
                )
        else:
            for checkpoint in key.fire(fn, fired):
                learned = checkpoint.n_samples_seen
            fired += 1
    (checkpoint,) = [from_state(key.cells[0].value)]
    assert learned <= checkpoint.n_samples_seen
    assert key.bag.entries == []
    assert_equals_batch(checkpoint, X)


def test_state_of_an_older_version_is_gone_on_from(fn):
    """Its models are checkpoints' bytes, and its rows do not say that they came on time."""
    key = Key()
    key.rows(fn, X[:30], 0)
    key.fire(fn, 0)
    key.cells[0].value = from_state(key.cells[0].value).to_bytes()
    for minute, some in ((1, X[30:50]), (0, X[50:60]), (2, X[60:])):  # one of them late
        key.rows(fn, some, minute)
    key.bag.entries = [(*entry[:3], 0, *entry[4:]) for entry in key.bag.entries]
    fn.start_bundle()
    found = [c for minute in (2, 1, 0) for c in key.fire(fn, minute)]
    assert [c.late for c in found] == [True, False, False]
    assert_equals_batch(found[-1], X)
    assert key.bag.entries == []


def test_the_last_of_a_bundle_has_moments_and_those_before_it_none():
    fn, key = CarryModel(Learning({"n_components": 2}, moments="last")), Key()
    fn.start_bundle()
    for minute in range(4):
        key.rows(fn, X[20 * minute : 20 * minute + 20], minute)
    found = [c for minute in (2, 0, 3) for c in key.fire(fn, minute)]
    key.rows(fn, X[80:], 0)
    found += key.fire(fn, 0)
    found += [each.value[1] for each in fn.finish_bundle()]
    assert [(c.sequence, c.late, bool(c.moments)) for c in found] == [
        *((i, False, False) for i in range(3)),
        (3, False, True),  # the newest, before a late one
        (4, True, True),
    ]
    assert list(fn.finish_bundle()) == []
    assert_equals_batch(found[-1], X)


@pytest.mark.parametrize("carry", [True, False])
def test_checkpoints_are_the_same_to_the_last_bit_as_of_models_read_from_state(
    tmp_path, monkeypatch, carry, engine
):
    rows, times = stream(120)

    def run(folder):
        elements = timed([(f"k{i % 2}", x) for i, x in enumerate(rows)], times)
        store = learn(elements, FixedWindows(20), tmp_path / folder, carry=carry)
        return [c.to_bytes() for key in ("k0", "k1") for c in store.history(key)]

    kept = run("kept")
    monkeypatch.setattr(carrying, "_AT_HAND", 0)
    monkeypatch.setattr(carrying, "_AT_HAND_BYTES", 0)
    assert kept == run("read")
    assert len(kept) == 12
