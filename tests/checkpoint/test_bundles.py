"""Many checkpoints in one file: what is written is read back, once, whatever came before."""

import dataclasses
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from checkpoints import MINUTE, checkpoints, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs

from streampca import CheckpointStore, CheckpointWarning
from streampca.checkpoint import CheckpointError, all_in
from streampca.checkpoint.bundle_index import Name, key_order
from streampca.checkpoint.paths import day_folder, day_number, is_day

DAY = 24 * 60 * MINUTE


def repr_of(key):
    """Python refuses to write numbers of thousands of digits."""
    return "text" if isinstance(key, str) else f"{key.bit_length()} bits"


def some(keys=("a", "b"), windows=6, n=5, **changes):
    return [
        make(n=n, key=key, window_start=0, window_end=(w + 1) * MINUTE, seed=w, **changes)
        for key in keys
        for w in range(windows)
    ]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.parquet"))


def assert_holds(store, written):
    """Of each name the checkpoint written last, and nothing else."""
    last = {}
    for checkpoint in written:
        last[type(checkpoint.key), checkpoint.key, checkpoint.window_end, checkpoint.sequence] = (
            checkpoint
        )
    assert set(store.keys()) == {checkpoint.key for checkpoint in last.values()}
    for key in store.keys():  # noqa: SIM118
        mine = [c for (kind, k, *_), c in last.items() if k == key and kind is type(key)]
        mine.sort(key=lambda c: Name(c.window_end, c.sequence).order)
        assert store.history(key) == mine
        assert store.latest(key) == mine[-1]
        assert store.written(key) == [(c.window_end, c.sequence) for c in mine]
        for c in mine:
            assert store.read(key, c.window_end, c.sequence) == c
        assert store.latest(key, moments=False) == mine[-1].without_moments()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.booleans(), st.lists(checkpoints(), max_size=5)), max_size=4))
def test_whatever_is_written_is_read_back(tmp_path_factory, batches):
    store = CheckpointStore(tmp_path_factory.mktemp("store"))
    together, alone = [], []
    for many, batch in batches:
        if many:
            store.write_many(batch)
            together += batch
        else:
            for checkpoint in batch:
                store.write(checkpoint)
            alone += batch
    assert_holds(store, [*together, *alone])


@pytest.mark.parametrize("year", [-290_000, -10_000, -1000, -999, -1, 0, 1, 999, 9999, 290_000])
def test_days_of_all_years_are_read_back(tmp_path, year):
    end = int(np.datetime64(year - 1970, "Y").astype("datetime64[us]").astype("int64"))
    written = [make(key="a", window_start=end - MINUTE, window_end=end + at) for at in (0, DAY)]
    store = CheckpointStore(tmp_path)
    store.write_many(written)
    assert_holds(store, written)
    store.compact()
    assert_holds(store, written)


@given(end=st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_time_has_a_folder_that_is_one(end):
    folder = day_folder(end)
    assert is_day(folder)
    assert day_number(folder) == (end - 1) // DAY


def test_one_file_for_each_day_and_type_of_numbers(tmp_path):
    store = CheckpointStore(tmp_path)
    written = some(windows=4) + some(keys=["c"], windows=4, dtype="float32")
    written += [make(key="a", window_end=DAY), make(key="a", window_end=DAY + 1), make(key="b")]
    paths = store.write_many(written)
    assert len(paths) == 4
    folders = {os.path.basename(os.path.dirname(path)) for path in paths}
    assert folders == {"day=1970-01-01", "day=1970-01-02", "day=none"}
    assert_holds(store, written)


def test_other_readers_prune_by_day_and_key(tmp_path):
    store = CheckpointStore(tmp_path)
    written = some(keys=["b", "a"], windows=3, feature_names=tuple("vwxyz"))
    store.write_many([*written, make(key="a", window_end=2 * DAY)])
    day = [
        f for f in ds.dataset(tmp_path, partitioning="hive").get_fragments() if "01-01" in f.path
    ]
    found = ds.dataset(tmp_path, partitioning="hive").to_table(
        filter=(ds.field("day") == "1970-01-01") & (ds.field("key") == "a")
    )
    assert len(day) == 1
    assert found["window_end"].cast("int64").to_pylist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert found["feature_names"][0].as_py() == list("vwxyz")
    assert found["decoder"].null_count == 3  # it is the components
    statistics = day[0].metadata.row_group(0).column(0).statistics
    assert (statistics.min, statistics.max) == ("a", "b")


def test_writing_again_replaces_the_file(tmp_path):
    store, written = CheckpointStore(tmp_path), some()
    before = store.write_many(written)
    for _ in range(3):
        again = store.write_many(random.Random(0).sample(written, len(written)))
        assert again != before  # a name is never used twice
        assert [str(tmp_path / file) for file in files(tmp_path)] == again
        before = again
    assert_holds(store, written)


def test_the_newer_counts_whatever_the_clocks_of_writers_say(tmp_path, monkeypatch):
    store, first = CheckpointStore(tmp_path), some()
    written = list(first)
    store.write_many(first)
    for n, clock in enumerate((10**18, 10**9, 10**10, 1)):
        monkeypatch.setattr("time.time_ns", lambda clock=clock: clock)
        newer = [dataclasses.replace(c, weight=float(n)) for c in first[n : n + 3]]
        store.write_many(newer)
        written += newer
        assert_holds(store, written)
        assert_holds(CheckpointStore(tmp_path), written)


def test_a_file_of_many_replaces_files_of_one(tmp_path):
    store, first = CheckpointStore(tmp_path), some()
    for checkpoint in first:
        store.write(checkpoint)
    newer = [dataclasses.replace(c, weight=3.0) for c in first[3:9]]
    store.write_many(newer)
    assert_holds(store, first + newer)
    assert len(files(tmp_path)) == len(first) - len(newer) + 1


def test_retries_in_other_bundles_and_late_panes_replace_and_never_double(tmp_path):
    store = CheckpointStore(tmp_path)
    first = some()
    store.write_many(first)
    again = [dataclasses.replace(c, weight=50.0) for c in first[2:5]]
    late = [dataclasses.replace(first[0], sequence=9, late=True)]
    store.write_many(again + late)
    assert_holds(store, [*first, *again, *late])
    single = dataclasses.replace(first[3], weight=25.0)
    store.write(single)
    assert_holds(store, [*first, *again, *late, single])
    assert_holds(CheckpointStore(tmp_path), [*first, *again, *late, single])


def test_an_open_store_sees_what_is_written_and_replaced_meanwhile(tmp_path):
    one, other = CheckpointStore(tmp_path), CheckpointStore(tmp_path)
    big = some(n=40, windows=20)
    one.write_many(big)
    assert other.latest("a") == big[19]
    lighter = [dataclasses.replace(c.without_moments(), weight=7.0) for c in big]
    one.write_many(lighter)  # the same file with other groups of rows
    assert other.history("a") == lighter[:20]
    os.unlink(tmp_path / files(tmp_path)[0])
    assert other.latest("a") is None


def test_groups_of_rows_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("streampca.checkpoint.bundle._GROUP_ROWS", 3)
    monkeypatch.setattr("streampca.checkpoint.bundle.MOST_ROWS", 10)
    store, written = CheckpointStore(tmp_path), some(keys=["a", 1, None, "1", -5])
    assert len(store.write_many(written)) == 3
    assert_holds(store, written)


def test_what_is_for_going_on_is_not_read_where_it_is_not_asked_for(tmp_path):
    store, written = CheckpointStore(tmp_path), some()
    store.write_many(written)
    assert store.history("a", moments=False) == [c.without_moments() for c in written[:6]]
    assert list(all_in((tmp_path / files(tmp_path)[0]).read_bytes())) == written


def test_files_of_many_lie_on_any_file_system(tmp_path):
    there = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    store = CheckpointStore("store", filesystem=fs.PyFileSystem(fs.FSSpecHandler(_fsspec(there))))
    written = some()
    store.write_many(written)
    assert_holds(store, written)


def _fsspec(there):
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(there)


@pytest.mark.parametrize("part", ["a tenth", "index", "footer"])
def test_no_torn_or_changed_byte_goes_unnoticed(tmp_path, part):
    store, written = CheckpointStore(tmp_path), some(windows=3)
    (path,) = store.write_many(written)
    data = Path(path).read_bytes()
    at = {"a tenth": 0, "index": data.index(b"streamB1") - 3000, "footer": data.index(b"streamB1")}[
        part
    ]
    places = random.Random(1).sample(range(at, len(data)), 60)
    for place in places:
        changed = bytearray(data)
        changed[place] ^= random.Random(place).randrange(1, 256)
        Path(path).write_bytes(changed)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", CheckpointWarning)
            found = [c for key in ("a", "b") for c in CheckpointStore(tmp_path).history(key)]
        assert all(c in written for c in found)
        assert told or found == written  # what only other readers read may have changed
        assert CheckpointStore(tmp_path).verify().problems.keys() == {path}
        with pytest.raises(CheckpointError):
            list(all_in(bytes(changed)))
    for size in random.Random(2).sample(range(len(data)), 20):
        Path(path).write_bytes(data[:size])
        with pytest.warns(CheckpointWarning):
            assert CheckpointStore(tmp_path).history("a") == []


def test_a_file_under_another_name_is_passed_over(tmp_path):
    store = CheckpointStore(tmp_path)
    (path,) = store.write_many(some())
    os.rename(
        path,
        os.path.join(
            os.path.dirname(path), "b-" + "0" * 16 + "-" + "0" * 32 + "-" + "0" * 16 + ".parquet"
        ),
    )
    with pytest.warns(CheckpointWarning, match="other checkpoints than its name says"):
        assert store.keys() == []


@pytest.mark.parametrize("key", [10**1000, -(10**1000), 10**5000, 2**3301], ids=repr_of)
def test_a_key_that_could_not_be_read_is_refused(key):
    with pytest.raises(ValueError, match="can be read back: convert it to text"):
        make(key=key)


@pytest.mark.parametrize("key", [2**3300 - 1, -(2**3300) + 1, 10**990, "9" * 5000], ids=repr_of)
def test_a_long_key_is_read_back(tmp_path, key):
    store = CheckpointStore(tmp_path)
    store.write_many([make(key=key)])
    store.write(make(key=key, sequence=1))
    assert [c.key for c in store.history(key)] == [key, key]
    assert store.keys() == [key]


def test_an_empty_list_writes_nothing(tmp_path):
    assert CheckpointStore(tmp_path).write_many([]) == []
    assert files(tmp_path) == []


@given(st.lists(st.none() | st.integers() | st.text(), unique_by=lambda key: (type(key), key)))
def test_keys_have_one_order(keys):
    ordered = sorted(keys, key=key_order)
    assert len({key_order(key) for key in keys}) == len(keys)
    texts = ["" if key is None else str(key) for key in ordered]
    assert texts == sorted(texts, key=str.encode)


def test_models_of_any_kind_keep_their_matrices(tmp_path):
    first_order = make(decoder=np.ones((5, 2)), encoder=np.full((2, 5), 2.0))
    half = make(sequence=1, encoder=np.full((2, 5), 2.0))
    store = CheckpointStore(tmp_path)
    store.write_many([first_order, half, make(sequence=2)])
    assert store.history() == [first_order, half, make(sequence=2)]
