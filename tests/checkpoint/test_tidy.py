"""A store that is compacted, pruned or copied says what it said before; beside writers, too."""

import dataclasses
import os
import threading
from pathlib import Path

import children
import pytest
from checkpoints import MINUTE, checkpoints, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streampca import CheckpointStore, CheckpointWarning
from streampca.checkpoint import tidy

DAY, HOUR = 24 * 60 * MINUTE, 60 * MINUTE
KILLS = int(os.environ.get("KILLS", "24"))


def content(store):
    return {key: store.history(key) for key in store.keys()}  # noqa: SIM118


def n_files(folder):
    return len(list(Path(folder).rglob("*.parquet")))


def windows(key, count, **changes):
    return [
        make(key=key, window_end=w * HOUR, seed=w, sequence=w, **changes) for w in range(1, count)
    ]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.booleans(), st.lists(checkpoints(), max_size=4)), max_size=5))
def test_compacting_changes_nothing_but_the_files(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("store")
    store = CheckpointStore(folder)
    for many, batch in batches:
        if many:
            store.write_many(batch)
        else:
            for checkpoint in batch:
                store.write(checkpoint)
    before = content(store)
    done = store.compact()
    assert content(store) == content(CheckpointStore(folder)) == before
    assert (done.checkpoints, done.removed) == (sum(map(len, before.values())), 0)
    assert done.files == n_files(folder) <= max(done.files_before, 1)
    assert store.compact().files == done.files


def test_files_become_fewer_by_a_hundred_times(tmp_path):
    store = CheckpointStore(tmp_path)
    for key in range(5):
        for checkpoint in windows(key, 24):
            store.write(checkpoint)
    before = content(store)
    assert store.compact() == (115, 115, 1, 0)
    assert content(store) == before
    store.write_many(windows("more", 24))
    store.write(dataclasses.replace(before[3][0], weight=2.0))
    again = content(store)
    assert again[3][0].weight == 2.0
    assert store.compact().files == 1
    assert content(store) == again


@pytest.mark.parametrize("moments", ["last", "none", 5])
def test_moments_that_nobody_needs_go(tmp_path, moments):
    store, written = CheckpointStore(tmp_path), windows("a", 12)
    late = dataclasses.replace(written[3], sequence=50, late=True)
    store.write_many([*written, late])
    store.compact(moments=moments)
    kept = {c.sequence for c in store.history("a") if c.moments}
    assert kept == {"last": {11, 50}, "none": set(), 5: {4, 9, 11, 50}}[moments]
    everything = [
        c.without_moments()
        for c in sorted([*written, late], key=lambda c: (c.window_end, c.sequence))
    ]
    assert store.history("a", moments=False) == everything
    assert store.resume_point("a").sequence == 50 or moments == "none"


def test_old_checkpoints_go_but_for_the_last_of_each_stretch(tmp_path):
    store = CheckpointStore(tmp_path)
    written = windows("a", 60)
    store.write_many([*written, make(key="a")])
    for checkpoint in windows("b", 3):
        store.write(checkpoint)
    done = store.prune(keep_every=6 * 3600, older_than=10 * 3600)
    ends = [None, *(6 * h for h in range(1, 9)), *range(50, 60)]
    assert [c.window_end and c.window_end // HOUR for c in store.history("a")] == ends
    assert len(store.history("b")) == 2
    assert done.removed == 60 - len(ends)
    assert store.prune(keep_every=6 * 3600, older_than=10 * 3600).removed == 0
    store.prune(keep_every=1e9, older_than=0)
    assert [c.window_end for c in store.history("a")] == [None, 59 * HOUR]
    for wrong in ((0, 1), (-1, 1), (1, -1)):
        with pytest.raises(ValueError, match="give seconds"):
            store.prune(*wrong)


def test_a_copy_has_the_same(tmp_path):
    store, other = CheckpointStore(tmp_path / "a"), CheckpointStore(tmp_path / "b")
    store.write_many(windows("a", 30))
    store.write(make(key=7))
    assert store.copy_to(other) == 30
    assert content(other) == content(store)
    assert sorted(c.sequence for c in store.everything()) == [0, *range(1, 30)]


@pytest.mark.parametrize("many", [True, False])
def test_what_a_writer_replaces_meanwhile_is_not_lost(tmp_path, monkeypatch, many):
    store, written = CheckpointStore(tmp_path), windows("a", 20)
    newer = [dataclasses.replace(c, weight=3.0) for c in written]
    store.write_many(written)
    for checkpoint in written[:5]:
        store.write(checkpoint)
    read, writer = tidy._read, CheckpointStore(tmp_path)

    def meanwhile(*given):
        found = read(*given)
        if many:
            writer.write_many(newer)
            for checkpoint in newer[:5]:
                writer.write(checkpoint)
        else:
            writer.write(newer[7])
            writer.write(newer[2])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(tidy, "_read", meanwhile)
        store.compact()
    expected = newer if many else [newer[i] if i in (2, 7) else c for i, c in enumerate(written)]
    assert CheckpointStore(tmp_path).history("a") == expected
    store.compact()
    assert CheckpointStore(tmp_path).history("a") == expected


def test_a_file_that_cannot_be_read_is_said_and_stays(tmp_path):
    store = CheckpointStore(tmp_path)
    store.write_many(windows("a", 5))
    path = store.write(make(key="a", window_end=9 * HOUR))
    Path(path).write_bytes(Path(path).read_bytes()[:-50])
    (many,) = store.write_many(windows("b", 5))
    Path(many).write_bytes(Path(many).read_bytes()[:-50])
    before = n_files(tmp_path)
    with pytest.warns(CheckpointWarning):
        assert store.compact().files == before
    with pytest.warns(CheckpointWarning):
        assert len(CheckpointStore(tmp_path).history("a")) == 4


def test_readers_see_all_at_any_time(tmp_path):
    store, written = CheckpointStore(tmp_path), windows("a", 20)
    for checkpoint in written:
        store.write(checkpoint)
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                seen.append(CheckpointStore(tmp_path).latest("a", moments=False))
            except BaseException as error:  # noqa: BLE001
                seen.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(6):
        store.write_many([make(key="b", window_end=n * HOUR + 1)])
        store.compact()
    stop.set()
    thread.join()
    assert {c if c is None or isinstance(c, BaseException) else c.sequence for c in seen} == {19}


KILLED = """
import dataclasses, os, random, signal, sys, time, warnings
from checkpoints import make
from streampca.checkpoint import CheckpointStore, CheckpointWarning

warnings.simplefilter("error")
folder, kills, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
HOUR = 3_600_000_000
chance, store = random.Random(what), CheckpointStore(folder)
expected = {}

def more(number):
    names = [(k, (h + 1) * HOUR) for k in "abc" for h in range(4)]
    return [make(key=k, window_end=end, sequence=number, seed=number) for k, end in names]

def checked():
    opened, found = CheckpointStore(folder), {}
    for k in opened.keys():
        history = opened.history(k)
        assert opened.written(k) == [(c.window_end, c.sequence) for c in history]
        found |= {(k, c.window_end, c.sequence): c for c in history}
    return found

for kill in range(kills):
    before = checked() if expected else {}
    new = more(kill)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for checkpoint in new[:6]:
            store.write(checkpoint)
            os.write(write, b"1")
        store.write_many(new[6:])
        os.write(write, b"666666")
        if what != "write":
            store.compact() if what == "compact" else store.prune(2 * 3600, 3600)
        os._exit(0)
    time.sleep(chance.uniform(0.0, 0.25))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(write)
    acknowledged = len(os.read(read, 100))
    os.close(read)
    found = checked()
    names = {(c.key, c.window_end, c.sequence): c for c in new}
    for name, checkpoint in found.items():
        assert checkpoint == before.get(name, names.get(name)), name
    gone = before.keys() - found.keys()
    if what == "prune":  # old windows that are not the last of two hours
        assert all(name[1] in (HOUR, 2 * HOUR, 3 * HOUR) for name in gone), gone
    else:
        assert not gone, gone
        assert all((c.key, c.window_end, c.sequence) in found for c in new[:acknowledged])
    expected = found
store.compact()
assert checked() == expected
print(len(expected), len(list(os.scandir(folder))))
"""


@pytest.mark.parametrize("what", ["compact", "prune", "write"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path, what):
    kills = max(1, KILLS // 3)
    print(
        what, kills, children.run(KILLED, tmp_path / "store", kills, what, timeout=60 + 5 * kills)
    )
