"""Who reads while others write, compact and prune misses nothing and gets nothing wrong.

The other is a thread that stands still before each of its calls of the file system. It may go on
for some of them before and after each call of who reads, and in the middle of a listing, which may
then have any of what came or went. So many ways to come together are drawn, and can be drawn again.
"""

import contextlib
import os
import random
import threading

import pytest
from checkpoints import make

from streampca.checkpoint import CheckpointStore
from streampca.checkpoint.bundle_index import Name
from streampca.checkpoint.files import LocalFiles
from streampca.checkpoint.places import Places
from streampca.checkpoint.retention import Retention

ROUNDS = int(os.environ.get("ROUNDS", "12"))
HOUR, KEYS = 3_600_000_000, ("a", "b", 7)
RULES = {"last": 4, "daily": 2}


def some(chance):
    """Names of a few checkpoints."""
    hours = [(key, chance.randrange(1, 40)) for key in KEYS for _ in range(chance.randrange(3))]
    return {(key, Name(hour * HOUR, hour)) for key, hour in hours}


def drawn(chance, count):
    """Steps, and what there is before the first and after each: a version of each name."""
    steps, states = [], [{}]
    for version in range(count):
        kind = chance.choice(["many", "many", "one", "compact", "prune"])
        now = states[-1] | dict.fromkeys(some(chance), version) if kind in ("many", "one") else None
        if kind == "prune":
            staying = {
                (key, name)
                for key in KEYS
                for name in Retention.of(**RULES).staying({n for k, n in states[-1] if k == key})
            }
            now = {which: version for which, version in states[-1].items() if which in staying}
        now = states[-1] if now is None else now
        new = {which for which, each in now.items() if each == version}
        steps.append((kind, [checkpoint(which, version) for which in sorted(new, key=str)]))
        states.append(now)
    return steps, states


def checkpoint(which, version):
    key, name = which
    numbers = {"weight": float(version), "explained_variance": [9.0 + version, 1.0]}
    return make(key=key, window_end=name.window_end, sequence=name.sequence, **numbers)


class Other(threading.Thread):
    """Does its steps, one call after the other when it is let."""

    def __init__(self, folder, steps):
        super().__init__(daemon=True)
        self.may, self.waits = threading.Semaphore(0), threading.Semaphore(0)
        self.done, self.over, self.failed = 0, False, None
        self.store, self.steps = opened(folder, self.stand), steps

    def stand(self):
        self.waits.release()
        self.may.acquire()

    def run(self):
        try:
            for kind, made in self.steps:
                self.stand()
                if kind == "many":
                    self.store.write_many(made)
                elif kind == "one":
                    for each in made:
                        self.store.write(each)
                elif kind == "compact":
                    self.store.compact()
                else:
                    self.store.prune(**{f"keep_{rule}": most for rule, most in RULES.items()})
                self.done += 1
        except BaseException as error:  # noqa: BLE001 - handed to who reads
            self.failed = error
        self.over = True
        self.waits.release()

    def go(self, calls):
        for _ in range(calls):
            if not self.over:
                self.may.release()
                self.waits.acquire()
        if self.failed is not None:
            raise self.failed


def opened(folder, before, after=lambda: None, listing=None):
    """A store that says when it is about to call the file system."""

    class Watched(LocalFiles):
        def entries(self, folder=""):
            before()
            found = super().entries(folder)
            if listing is not None:
                found = listing(found, lambda: LocalFiles.entries(self, folder))
            return found

        @contextlib.contextmanager
        def opened(self, relative):
            before()
            with super().opened(relative) as file:
                after()
                yield file

        def remove(self, *given):
            before()
            super().remove(*given)

        def write(self, *given):
            before()
            super().write(*given)

    store = CheckpointStore(folder)
    store._files = Watched(store._files.root)
    store.places = Places(store._files, store._skip)
    return store


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_others_do_meanwhile_answers_are_of_then(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)
    chance = random.Random(seed)
    steps, states = drawn(chance, 40)
    other = Other(tmp_path, steps)
    pace = chance.choice([1, 2, 5])

    def meanwhile():
        if chance.random() < 0.5:
            other.go(chance.randrange(2 * pace))

    def listing(first, again):
        meanwhile()
        then = again()
        came_or_went = set(first) ^ set(then)
        return [e for e in {*first, *then} if e not in came_or_went or chance.random() < 0.5]

    other.start()
    other.waits.acquire()
    kept, asked = opened(tmp_path, meanwhile, meanwhile, listing), 0
    while not other.over:
        fresh = opened(tmp_path, meanwhile, meanwhile, listing)
        ask(chance.choice([kept, fresh]), chance, states, other)
        asked += 1
        if asked > 50:
            other.go(pace)
    assert asked > 5
    store = CheckpointStore(tmp_path)
    for key in KEYS:
        mine = {(key, Name(c.window_end, c.sequence)): c.weight for c in store.history(key)}
        assert mine == {which: each for which, each in states[-1].items() if which[0] == key}
    assert store.verify().problems == {}


def ask(store, chance, states, other):
    """Each name is as it was in some state since the question was asked."""
    key, until = chance.choice(KEYS), chance.randrange(45) * HOUR
    what, began = chance.choice(["history", "summaries", "latest", "at", "keys"]), other.done
    if what == "keys":
        found = store.keys()
    elif what == "at":
        found = [store.at(until, key)]
    else:
        found = getattr(store, what)(key)
    window = states[began : other.done + 2]
    if what == "keys":
        for each in KEYS:
            assert any((each in found) == (each in {k for k, _ in state}) for state in window)
        return
    found = found if isinstance(found, list) else [found]
    found = {Name(c.window_end, c.sequence): c for c in found if c is not None}
    for name, each in found.items():
        assert each.explained_variance[0] == 9.0 + each.weight
        assert any(state.get((key, name)) == each.weight for state in window), (what, name)
    assert list(found) == sorted(found, key=lambda name: name.order)
    all_in = set.intersection(*({name for k, name in state if k == key} for state in window))
    if what in ("history", "summaries"):
        assert all_in <= found.keys(), (what, all_in - found.keys())
    else:
        ended = {name for name in all_in if what == "latest" or name.window_end <= until}
        newest = max((name.rank for name in found), default=(-1, 0))
        assert all(name.rank <= newest for name in ended), (what, ended, newest)
