"""Models that a bundle keeps as objects for their next timers: never another than state says."""

import json
from collections import Counter

import pytest
from apache_beam.transforms.window import FixedWindows
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import MomentsFn
from beam_pipelines.learning import carry as carrying
from beam_pipelines.learning.carry import CarryModel
from beam_pipelines.learning.pending import Pending
from beam_pipelines.learning.running import Learning
from streampca import Checkpoint

MINUTE = 60_000_000
X, _ = stream(90)


class Cell:
    """State of one key, as a runner holds it: what was not written is not there."""

    def __init__(self, value=None):
        self.value = value

    def read(self):
        return self.value

    def write(self, value):
        self.value = value


class Bag:
    """Entries of one key."""

    def __init__(self, entries=()):
        self.entries = list(entries)

    def read(self):
        return list(self.entries)

    def add(self, entry):
        self.entries.append(entry)

    def clear(self):
        self.entries = []


class Time:
    """When a timer fires."""

    def __init__(self, micros):
        self.micros = micros


class Key:
    """The state of one key, and its timers fired by hand."""

    def __init__(self, text='"k"'):
        self.text = text
        self.cells = [Cell(), Cell(), Cell()]
        self.bag = Bag()

    def rows(self, X, minute):
        moments = MomentsFn(n_components=2)
        part = moments.create_accumulator()
        for x in X:
            part = moments.add_input(part, x)
        window = Pending((minute + 1) * MINUTE - 1, minute * MINUTE, MINUTE, 0, 0, b"")
        self.bag.add(tuple(window._replace(data=moments.extract_output(part))))

    def fire(self, fn, minute):
        """The checkpoints of a timer at the end of a minute."""
        end = Time((minute + 1) * MINUTE - 1)
        found = fn.close(self.text, end, self.bag, *self.cells, silent=None)
        return [timestamped.value[1] for timestamped in found]


@pytest.fixture
def read(monkeypatch):
    """How often models were read from state, by the number of rows that they knew."""
    counts = Counter()
    plain = Checkpoint.from_bytes

    def counted(data):
        found = plain(data)
        counts[found.n_samples_seen] += 1
        return found

    monkeypatch.setattr(carrying.Checkpoint, "from_bytes", counted)
    return counts


@pytest.fixture
def fn():
    made = CarryModel(Learning({"n_components": 2}))
    made.start_bundle()
    return made


def test_the_next_timer_of_a_key_goes_on_without_reading_its_model(fn, read):
    key = Key()
    for minute in range(3):
        key.rows(X[30 * minute : 30 * minute + 30], minute)
        (checkpoint,) = key.fire(fn, minute)
        assert_equals_batch(checkpoint, X[: 30 * minute + 30])
    assert not read


def test_a_new_bundle_reads_the_model_from_state(fn, read):
    key = Key()
    key.rows(X[:30], 0)
    key.fire(fn, 0)
    fn.start_bundle()
    key.rows(X[30:], 1)
    (checkpoint,) = key.fire(fn, 1)
    assert read == {30: 1}
    assert_equals_batch(checkpoint, X)


def test_a_timer_that_fails_before_it_writes_leaves_nothing_at_hand(fn, read, monkeypatch):
    key = Key()
    key.rows(X[:30], 0)
    key.fire(fn, 0)
    key.rows(X[30:], 1)
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
    key.rows(X[:30], 0)
    key.fire(fn, 0)
    written = [cell.value for cell in key.cells]
    key.rows(X[30:60], 1)
    key.fire(fn, 1)
    for cell, value in zip(key.cells, written, strict=True):
        cell.value = value
    key.rows(X[60:], 2)
    (checkpoint,) = key.fire(fn, 2)
    assert read == {30: 1}
    assert checkpoint.n_samples_seen == 60
    assert checkpoint.sequence == 1
    key.rows(X[30:60], 3)
    (checkpoint,) = key.fire(fn, 3)
    assert_equals_batch(checkpoint, X)


def test_only_some_keys_are_at_hand(fn, read, monkeypatch):
    monkeypatch.setattr(carrying, "_AT_HAND", 2)
    keys = [Key(json.dumps(name)) for name in "abc"]
    for minute in range(2):
        for i, key in enumerate(keys):
            key.rows(X[i : 20 * minute + 20 + i], minute)
            key.fire(fn, minute)
            assert len(fn._at_hand) <= 2
    assert sum(read.values()) == 3  # each had been pushed out by the two others


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
    assert kept == run("read")
    assert len(kept) == 12
