"""Killed at random moments of compacting, pruning, writing and copying: the old or new state.

Two dozen kills in the suite; `make kill` makes hundreds (KILLS=400).
"""

import os

import children
import pytest

KILLS = int(os.environ.get("KILLS", "24"))

KILLED = """
import dataclasses, os, random, signal, sys, time, warnings
from checkpoints import make
from streampca.checkpoint import CheckpointStore
from streampca.checkpoint.bundle_index import Name
from streampca.checkpoint.retention import Retention

warnings.simplefilter("error")
folder, kills, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
HOUR = 3_600_000_000
KEYS, RULES = "abc", {"hourly": 20, "daily": 4, "last": 2}
chance, store, copy = random.Random(what), CheckpointStore(folder), folder + "-copy"

def new(number):
    named = [(k, (number + h) * HOUR) for k in KEYS for h in range(-3, 1)]
    return [make(key=k, window_end=end, sequence=end // HOUR, seed=number) for k, end in named]

def name(c):
    return c.key, c.window_end, c.sequence

def work(number, tell):
    made = new(number)
    for checkpoint in made[:3]:
        store.write(checkpoint)
        tell(1)
    store.write_many(made[3:8])
    tell(5)
    store.write_many(made[8:])
    tell(4)
    if what == "compact":
        store.compact()
    if what == "prune":
        store.prune(**{f"keep_{rule}": most for rule, most in RULES.items()})
    if what == "copy":
        store.copy_to(CheckpointStore(copy))
    tell(1)

def there(folder=folder):
    opened = CheckpointStore(folder)
    found = list(opened.everything())
    assert len({name(c) for c in found}) == len(found), "doubled"
    for k in opened.keys():
        history = opened.history(k)
        assert history == sorted((c for c in found if c.key == k), key=lambda c: c.window_end)
        assert opened.latest(k) == history[-1]
    return {name(c): c for c in found}

said = []
begin = time.perf_counter()
work(100, lambda n: said.append(time.perf_counter() - begin))
writing, takes = said[-2:]
before, copied, inside = there(), there(copy), 0
for kill in range(101, 101 + kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, b"0")
        work(kill, lambda n: os.write(write, bytes(n)))
        os._exit(0)
    os.close(write)
    os.read(read, 1)
    acknowledged = 0
    if what == "write" or chance.random() < 0.3:
        time.sleep(chance.uniform(0, 1.1 * takes))
    else:  # until all is written
        while acknowledged < 12:
            acknowledged += len(os.read(read, 100))
        time.sleep(chance.uniform(0, 1.1 * (takes - writing)))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    acknowledged += len(os.read(read, 100))
    os.close(read)
    inside += acknowledged == 12
    made = {name(c): c for c in new(kill)}
    found = there()
    for which, checkpoint in found.items():
        assert checkpoint in (made.get(which), before.get(which)), which
    for which, checkpoint in list(made.items())[:acknowledged]:
        assert what == "prune" or found[which] == checkpoint, which
        assert found.get(which) in (checkpoint, None), which
    gone = (before.keys() | set(list(made)[:acknowledged])) - found.keys()
    if what == "prune" and acknowledged >= 12:
        for k in KEYS:
            names = {Name(*which[1:]) for which in (before.keys() | made.keys()) if which[0] == k}
            gone -= {(k, *n) for n in names - Retention.of(**RULES).staying(names)}
    assert not gone, gone
    now = there(copy)  # what is there stays, or is as in the store by now
    assert now.keys() >= copied.keys()
    for which, checkpoint in now.items():
        assert checkpoint in (found[which], copied.get(which)), which
    if acknowledged > 12:
        assert what != "copy" or now == found
    before, copied = found, now
work(101 + kills, lambda n: None)
print(f"{kills} kills, {inside} of them inside {what}, {len(there())} checkpoints in the end")
"""


@pytest.mark.parametrize("what", ["compact", "prune", "write", "copy"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path, what):
    kills = max(1, KILLS // 4)
    told = children.run(KILLED, tmp_path / "store", kills, what, timeout=120 + 30 * kills)
    assert told.startswith(f"{kills} kills")
    print(told)
