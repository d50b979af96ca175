"""Files that cannot have an answer stay closed; whatever becomes of records, answers are right."""

import os
import random
import shutil
import warnings
from pathlib import Path

import pytest
from checkpoints import MINUTE, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streampca import CheckpointStore
from streampca.checkpoint import catalogue
from streampca.checkpoint.bundle_index import Name
from streampca.checkpoint.files import LocalFiles

DAY = 24 * 60 * MINUTE
KEYS = ["a", "b", "press 4", 4, "4", None, ""]
TIMES = [None, 1, MINUTE, DAY, DAY + 1, 3 * DAY, -DAY]


@st.composite
def work(draw):
    """What several writers do, one after the other."""
    names = st.tuples(
        st.sampled_from(KEYS), st.sampled_from(TIMES), st.integers(0, 2), st.integers(0, 9)
    )
    many = st.tuples(st.just("many"), st.lists(names, min_size=1, max_size=6))
    one = st.tuples(st.just("one"), st.lists(names, min_size=1, max_size=1))
    order = st.tuples(st.sampled_from(["compact", "prune", "lose", "tear", "flip"]), st.just([]))
    return draw(st.lists(st.one_of(many, many, one, order), min_size=1, max_size=8))


def records(folder):
    return sorted(Path(folder).glob(f"{catalogue.FOLDER}/.*"))


def spoil(folder, how):
    """Records that are lost, cut off or changed, as only chance can do it."""
    for path in records(folder):
        data = bytearray(path.read_bytes())
        chance = random.Random(len(data))
        if how == "lose":
            path.unlink()
        elif how == "tear":
            path.write_bytes(data[: chance.randrange(len(data) + 1)])
        elif data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.write_bytes(data)


def answers(store):
    """Everything that a store can be asked about, by key."""
    times = [t + d for t in TIMES if t is not None for d in (-1, 0, 1)]
    return {
        (type(key), key): (
            store.latest(key),
            [store.at(time, key) for time in times],
            store.history(key),
            store.written(key),
            store.resume_point(key),
        )
        for key in [*KEYS, "nobody"]
    } | {"keys": store.keys()}


def brute(store):
    """The same from all files, each read."""
    all_of: dict = {}
    for checkpoint in store.everything():
        all_of.setdefault((type(checkpoint.key), checkpoint.key), []).append(checkpoint)
    found = {}
    for key in [*KEYS, "nobody"]:
        mine = all_of.get((type(key), key), [])
        mine.sort(key=lambda c: Name(c.window_end, c.sequence).order)
        times = [t + d for t in TIMES if t is not None for d in (-1, 0, 1)]
        ended = [[c for c in mine if c.window_end is not None and c.window_end <= t] for t in times]
        found[type(key), key] = (
            mine[-1] if mine else None,
            [each[-1] if each else None for each in ended],
            mine,
            [(c.window_end, c.sequence) for c in mine],
        )
    found["keys"] = sorted(
        {c.key for all_ in all_of.values() for c in all_},
        key=lambda key: (key is not None, isinstance(key, str), 0 if key is None else key),
    )
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(work(), st.booleans(), st.sampled_from([1, 3, 2**32 - 1]))
def test_answers_are_those_of_reading_every_file(tmp_path_factory, steps, one_process, bits):
    """Also where keys share their bits."""
    folder = tmp_path_factory.mktemp("store")
    kept = CheckpointStore(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "FEW", 0)
        patch.setattr(catalogue, "MANY", 2)
        patch.setattr(catalogue, "_bits", lambda key, before=catalogue._bits: before(key) & bits)
        catalogue._of_keys.cache_clear()
        for what, names in steps:
            store = kept if one_process else CheckpointStore(folder)
            made = [
                make(key=key, window_end=end, sequence=sequence, seed=seed)
                for key, end, sequence, seed in names
            ]
            if what == "many":
                store.write_many(made)
            elif what == "one":
                store.write(made[0])
            elif what == "compact":
                store.compact()
            elif what == "prune":
                store.prune(keep_last=2)
            else:
                spoil(folder, what)
            here = answers(store)
            without = {w: each if w == "keys" else each[:4] for w, each in here.items()}
            assert without == brute(CheckpointStore(folder))  # without where to go on from
            assert here == answers(CheckpointStore(folder))
        for how in ("lose", "tear", "flip"):
            spoil(folder, how)
            assert answers(CheckpointStore(folder)) == here
        shutil.rmtree(folder / catalogue.FOLDER, ignore_errors=True)
        assert answers(CheckpointStore(folder)) == here
    catalogue._of_keys.cache_clear()


def filled(folder, files=100, keys=40, together=10):
    """Many small files of a day: each has some of the keys, of one window."""
    store = CheckpointStore(folder)
    for number in range(files):
        window, part = divmod(number, keys // together)
        mine = range(part * together, (part + 1) * together)
        ends = (window + 1) * MINUTE
        store.write_many(
            [make(n=3, key=f"press {k}", window_end=ends, sequence=window) for k in mine]
        )
    return store


def opened(monkeypatch):
    read, before = [], LocalFiles.opened

    def counted(self, relative):
        read.append(relative)
        return before(self, relative)

    monkeypatch.setattr(LocalFiles, "opened", counted)
    return read


def test_a_question_opens_the_files_of_its_answer_alone(tmp_path, monkeypatch):
    filled(tmp_path)
    read = opened(monkeypatch)
    for ask in (
        lambda store: store.latest("press 17"),
        lambda store: store.at(12 * MINUTE + 5, "press 17"),
        lambda store: store.at(12 * MINUTE, "press 3", moments=False),
    ):
        read.clear()
        assert ask(CheckpointStore(tmp_path)).key.startswith("press")
        assert sum(name.endswith(".parquet") for name in read) == 2  # its index, then its rows
        assert len(set(read)) == 3  # with the generation and the records, but these twice
    read.clear()
    assert CheckpointStore(tmp_path).latest("press 40") is None
    assert not any(name.endswith(".parquet") for name in read)
    read.clear()
    assert len(CheckpointStore(tmp_path).written("press 17")) == 25
    assert sum(name.endswith(".parquet") for name in read) == 25


def test_keys_opens_files_that_may_have_new_ones_alone(tmp_path, monkeypatch):
    store = filled(tmp_path)
    store.write_many([make(n=3, key=key, window_end=30 * MINUTE) for key in ("press 3", 4, "4")])
    store.write_many(
        [make(n=3, key=key, window_end=30 * MINUTE) for key in ("press 3", "press 39")]
    )
    read = opened(monkeypatch)
    found = CheckpointStore(tmp_path).keys()
    assert found == [4, *sorted(["4", *(f"press {k}" for k in range(40))])]
    assert sum(name.endswith(".parquet") for name in read) <= 6


def test_records_of_an_older_version_are_passed_over(tmp_path):
    store = filled(tmp_path)
    for path in records(tmp_path):
        path.write_bytes(path.read_bytes().replace(b"idx2", b"idx1"))
    found = CheckpointStore(tmp_path)
    assert len(found.keys()) == 40
    assert found.latest("press 17") == store.latest("press 17")
    assert b"idx2" in records(tmp_path)[0].read_bytes()


def test_records_that_are_lost_are_written_again_by_who_reads(tmp_path, monkeypatch):
    filled(tmp_path)
    shutil.rmtree(tmp_path / catalogue.FOLDER)
    read = opened(monkeypatch)
    first = CheckpointStore(tmp_path).latest("press 17")
    assert sum(name.endswith(".parquet") for name in read) == 101
    read.clear()
    assert CheckpointStore(tmp_path).latest("press 17") == first
    assert sum(name.endswith(".parquet") for name in read) == 2


def test_a_small_store_is_not_written_to_by_who_reads(tmp_path):
    filled(tmp_path, files=catalogue.MANY - 1)
    shutil.rmtree(tmp_path / catalogue.FOLDER)
    assert CheckpointStore(tmp_path).latest("press 17") is not None
    assert not records(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_one_may_only_read_is_read(tmp_path):
    filled(tmp_path)
    shutil.rmtree(tmp_path / catalogue.FOLDER)
    tmp_path.chmod(0o555)
    try:
        assert CheckpointStore(tmp_path).latest("press 17") is not None
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("there", ["a file", "a folder", "a link", "a pipe"])
def test_what_stands_in_the_place_of_records_stops_nobody(tmp_path, there):
    place = tmp_path / "store" / catalogue.FOLDER / ".day=1970-01-01"
    place.parent.mkdir(parents=True)
    if there == "a file":
        place.write_bytes(b"idx2" * 1000)
    elif there == "a folder":
        place.mkdir()
    elif there == "a link":
        (tmp_path / "other").write_bytes(b"mine")
        place.symlink_to(tmp_path / "other")
    elif hasattr(os, "mkfifo"):
        os.mkfifo(place)
    else:
        pytest.skip("there are no pipes")
    store = filled(tmp_path / "store")
    assert CheckpointStore(store.uri).latest("press 17") == store.history("press 17")[-1]
    store.compact()
    assert len(CheckpointStore(store.uri).history("press 17")) == 25
    assert there != "a link" or (tmp_path / "other").read_bytes() == b"mine"


def test_compacting_leaves_no_records_of_files_that_are_gone(tmp_path):
    store = filled(tmp_path)
    (before,) = records(tmp_path)
    size = before.stat().st_size
    store.compact()
    (path,) = records(tmp_path)
    assert path.stat().st_size < size / 10
    store.write_many([make(key="press 4", window_end=2 * DAY, sequence=s) for s in (1, 2)])
    assert len(records(tmp_path)) == 2
    store.prune(keep_last=1)
    assert {path.name for path in records(tmp_path)} == {
        f".{path.name}" for path in tmp_path.glob("day=*")
    }


def test_readers_beside_who_compacts_miss_nothing(tmp_path, monkeypatch):
    """Files go between the listing, the records and the opening of each."""
    store = filled(tmp_path)
    wanted = {k: store.history(f"press {k}") for k in range(40)}
    mine, number, before = CheckpointStore(tmp_path), [0], LocalFiles.opened
    others = []

    def meanwhile(self, relative):
        if relative.startswith("day=") and not others:
            number[0] += 1
            if number[0] in (1, 3, 8):
                others.append(CheckpointStore(tmp_path))
                late = [make(key="z", window_end=MINUTE, sequence=len(wanted)) for _ in range(2)]
                others[0].write_many(late)
                others[0].compact()
                compacted.append(relative)
                others.clear()
        return before(self, relative)

    compacted = []
    monkeypatch.setattr(LocalFiles, "opened", meanwhile)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in (17, 3, 39):
            number[0] = 0
            assert mine.history(f"press {k}") == wanted[k]
            number[0] = 0
            assert CheckpointStore(tmp_path).latest(f"press {k}") == wanted[k][-1]
    assert len(compacted) >= 6
