"""A store that is compacted, pruned or copied says what it said before; beside writers, too."""

import dataclasses
import threading
from pathlib import Path

import pytest
from checkpoints import MINUTE, checkpoints, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streampca import CheckpointStore, CheckpointWarning
from streampca.checkpoint import day, tidy

DAY, HOUR = 24 * 60 * MINUTE, 60 * MINUTE


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


def hours_of(store, key):
    return [c.window_end and c.window_end / HOUR for c in store.history(key)]


def test_old_checkpoints_go_but_for_the_last_of_each_stretch(tmp_path):
    store = CheckpointStore(tmp_path)
    halves = [
        make(key="a", window_end=h * HOUR // 2, seed=h, sequence=h) for h in range(1, 60 * 2 + 1)
    ]
    store.write_many([*halves, make(key="a")])
    for checkpoint in windows("b", 3):
        store.write(checkpoint)
    before = content(store)
    done = store.prune(keep_hourly="10h", keep_daily=5)
    ends = [None, 24, 48, *range(51, 61)]
    assert hours_of(store, "a") == ends
    assert [c for c in before["a"] if c in store.history("a")] == store.history("a")
    assert content(store)["b"] == before["b"]
    assert (done.removed, done.checkpoints) == (121 - len(ends), 2 + len(ends))
    assert store.prune(keep_hourly="10h", keep_daily=5).removed == 0
    assert store.prune(keep_last=3).checkpoints == 3 + 2
    assert hours_of(store, "a") == [58, 59, 60]
    for wrong in (0, -1, "ten", "3 parsecs", 1.5, True, "0d"):
        with pytest.raises(ValueError, match="keep_daily=.* is not accepted: give how many"):
            store.prune(keep_daily=wrong)
    with pytest.raises(ValueError, match="needs a rule"):
        store.prune()


def test_what_was_replaced_does_not_come_back_when_the_newer_goes(tmp_path):
    store, first = CheckpointStore(tmp_path), windows("a", 20)
    for n in range(3):
        store.write_many([dataclasses.replace(c, weight=float(n)) for c in first[n:]])
    store.write(dataclasses.replace(first[1], weight=9.0))
    allowed = iter(())
    remove = store._files.remove

    def killed(relative, stamp=None):
        if next(allowed, None) is None:
            raise KeyboardInterrupt
        remove(relative, stamp)

    expected = {c.sequence: c for c in store.history("a")}
    store._files.remove = killed
    for n_removed in range(20):
        allowed = iter(range(n_removed))
        try:
            store.prune(keep_last=2)
        except KeyboardInterrupt:
            seen = CheckpointStore(tmp_path).history("a")
            assert all(expected[c.sequence] == c for c in seen)
            assert len({c.sequence for c in seen}) == len(seen)
            assert {18, 19} <= {c.sequence for c in seen}
    assert [c.sequence for c in store.history("a")] == [18, 19]


def test_a_copy_has_the_same(tmp_path):
    store, other = CheckpointStore(tmp_path / "a"), CheckpointStore(tmp_path / "b")
    store.write_many(windows("a", 30))
    store.write(make(key=7))
    assert store.copy_to(other) == 30
    assert content(other) == content(store)
    assert sorted(c.sequence for c in store.everything()) == [0, *range(1, 30)]


@pytest.mark.parametrize("when", ["reading", "writing", "removing"])
@pytest.mark.parametrize("what", ["many", "others", "one"])
@pytest.mark.parametrize("do", ["compact", "prune"])
def test_what_a_writer_replaces_meanwhile_is_not_lost(tmp_path, monkeypatch, when, what, do):
    store, written = CheckpointStore(tmp_path), windows("a", 20)
    newer = [dataclasses.replace(c, weight=3.0) for c in written]
    store.write_many(written[:12])
    store.write_many(written[10:])
    for checkpoint in written[:5]:
        store.write(checkpoint)
    writer, came = CheckpointStore(tmp_path), []

    def meanwhile():
        if came:
            return
        came.append(True)
        if what == "many":
            writer.write_many(newer)
        elif what == "others":
            writer.write_many([newer[2], newer[11], *windows("b", 20)])
        else:
            for i in (2, 7, 11):
                writer.write(newer[i])

    def before(function):
        return lambda *given, **named: (meanwhile(), function(*given, **named))[1]

    def after(function):
        return lambda *given, **named: (function(*given, **named), meanwhile())[0]

    with monkeypatch.context() as patch:
        if when == "reading":
            patch.setattr(day, "read_each", before(day.read_each))
        elif when == "writing":
            patch.setattr(day, "to_bundle", after(day.to_bundle))
        else:
            patch.setattr(store.places.listing, "retire", before(store.places.listing.retire))
        store.compact() if do == "compact" else store.prune(keep_last=9)
    assert came
    changed = {"many": range(19), "others": (2, 11), "one": (2, 7, 11)}[what]
    expected = [newer[i] if i in changed else c for i, c in enumerate(written)]
    for _ in range(2):
        found = CheckpointStore(tmp_path).history("a")
        if do == "compact":
            assert found == expected
        else:  # what was written while others went stays or goes, and is never an older one
            assert found[-9:] == expected[-9:]
            assert all(c in expected for c in found)
        assert what != "others" or CheckpointStore(tmp_path).history("b") == windows("b", 20)
        store.compact()


def test_only_one_process_keeps_a_store_in_order(tmp_path):
    store = CheckpointStore(tmp_path)
    store.write_many(windows("a", 5))
    with store._files.alone():
        for wrong in (lambda: store.compact(), lambda: store.prune(keep_last=1)):
            with pytest.raises(BlockingIOError, match="another process compacts or prunes"):
                wrong()
    assert store.compact().files == 1


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


@pytest.mark.parametrize("alone", [True, False])
def test_a_listing_that_misses_what_comes_and_what_goes_is_read_again(tmp_path, alone):
    written = windows("a", 20)
    CheckpointStore(tmp_path).write_many(written[:9])
    if alone:
        for checkpoint in written[9:]:
            CheckpointStore(tmp_path).write(checkpoint)
    else:
        CheckpointStore(tmp_path).write_many(written[9:])
    store = CheckpointStore(tmp_path)
    entries, torn = store._files.entries, []

    def with_a_compaction_in_it(folder=""):
        before = entries(folder)
        if folder and folder not in torn:
            torn.append(folder)
            CheckpointStore(tmp_path).write_many([make(key="b", window_end=len(torn))])
            CheckpointStore(tmp_path).compact()
        return [entry for entry in entries(folder) if entry in before]  # neither old nor new

    store._files.entries = with_a_compaction_in_it
    assert store.history("a") == written
    assert len(torn) == 2
    torn.clear()
    assert store.latest("a") == written[-1]
    assert len(torn) == 2


@pytest.mark.parametrize("double", [False, True])
def test_pruning_lists_files_of_their_own_as_often_for_many_days_as_for_few(
    tmp_path, monkeypatch, double
):
    counts = []
    listed = tidy.singles
    monkeypatch.setattr(tidy, "singles", lambda places: counts.append(1) or listed(places))
    n_listings = []
    for days in (3, 12):
        store = CheckpointStore(tmp_path / str(days))
        made = [make(key="a", window_end=day * DAY, seed=day) for day in range(1, days + 1)]
        if double:
            store.write_many([dataclasses.replace(c, n_samples_seen=1) for c in made])
        for checkpoint in made:
            store.write(checkpoint)
        counts.clear()
        assert store.prune(keep_last=2).removed == days - 2
        n_listings.append(len(counts))
        assert store.history("a") == made[-2:]
    assert n_listings[0] == n_listings[1]
