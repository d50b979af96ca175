"""A store finds the newest, that of a time, and all of a key: by name, without opening others."""

import dataclasses
import datetime
import os
import random

import numpy as np
import pytest
from checkpoints import KEYS, MINUTE, make
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from streampca import StreamingPCA
from streampca.checkpoint import Checkpoint, CheckpointStore, relative_path
from streampca.checkpoint.paths import file_name, folder_key, key_folder, parse_file_name


def minutes(*ends, **changes):
    return [make(window_end=end * MINUTE, seed=end, **changes) for end in ends]


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "store")


def test_a_store_that_does_not_exist_yet_is_empty(store):
    assert store.latest() is None
    assert store.at(0) is None
    assert store.history() == []
    assert store.keys() == []


def test_what_was_written_is_read_back(store):
    checkpoint = make(key="press 4", window_start=0, window_end=MINUTE)
    path = store.write(checkpoint)
    assert os.path.isfile(path)
    assert path.endswith(relative_path(checkpoint))
    assert store.latest("press 4") == checkpoint


def test_latest_goes_by_window_end_then_sequence_whatever_the_order_of_writing(store):
    checkpoints = [
        make(window_end=end, sequence=sequence, seed=seed)
        for seed, (end, sequence) in enumerate(
            [(None, 0), (None, 7), (-MINUTE, 9), (-1, 0), (0, 0), (5, 3), (5, 20), (MINUTE, 0)]
        )
    ]
    for checkpoint in random.Random(0).sample(checkpoints, len(checkpoints)):
        store.write(checkpoint)
    assert store.history() == checkpoints
    assert store.latest() == checkpoints[-1]


def test_written_names_all_that_read_finds_and_opens_none(store, monkeypatch):
    checkpoints = [*minutes(3, 1), make(window_end=None, sequence=2)]
    for checkpoint in checkpoints:
        store.write(checkpoint)
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "__post_init__", None)
        assert store.written() == [(None, 2), (MINUTE, 0), (3 * MINUTE, 0)]
        assert store.written("another") == []
    assert [store.read(None, *each) for each in store.written()] == checkpoints[::-1]


def test_at_is_the_newest_whose_window_had_ended(store):
    one, three = minutes(1, 3)
    outside = make(window_end=None)
    for checkpoint in (one, three, outside):
        store.write(checkpoint)
    assert store.at(MINUTE - 1) is None
    assert store.at(MINUTE) == one
    assert store.at(3 * MINUTE - 1) == one
    assert store.at(3 * MINUTE) == three
    assert store.at(10**18) == three


def test_at_takes_a_datetime_with_a_time_zone(store):
    (checkpoint,) = minutes(1)
    store.write(checkpoint)
    end = datetime.datetime(1970, 1, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert store.at(end) == checkpoint
    assert store.at(end - datetime.timedelta(microseconds=1)) is None
    with pytest.raises(ValueError, match="has no time zone: give one"):
        store.at(end.replace(tzinfo=None))
    with pytest.raises(ValueError, match="time must be microseconds as an int"):
        store.at(1.5)


def test_a_late_checkpoint_of_the_same_window_is_the_newer_one(store):
    early = make(window_end=MINUTE)
    late = make(window_end=MINUTE, sequence=1, late=True, seed=1)
    store.write(late)
    store.write(early)
    assert store.latest() == late
    assert store.history() == [early, late]


def test_writing_again_writes_the_same_file(store, tmp_path):
    checkpoint = make(window_end=MINUTE)
    assert store.write(checkpoint) == store.write(checkpoint)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    assert store.history() == [checkpoint]


def test_keys_are_apart_whatever_their_spelling(store):
    keys = [
        *(None, -3, 0, 1, 10**30),
        *("", "-3", "/etc/passwd", "../up", ".", "..", "0", "1", "A", "CON", "None", "a", "a/b"),
        *("none", "x" * 5000, "x" * 5001, "\0", "ключ", "_61", "a\\b", "s-a", "\n"),
    ]
    for seed, key in enumerate(keys):
        store.write(make(key=key, seed=seed))
    for seed, key in enumerate(keys):
        assert store.history(key) == [make(key=key, seed=seed)]
    numbers = [key for key in keys if isinstance(key, int)]
    texts = sorted(key for key in keys if isinstance(key, str))
    assert store.keys() == [None, *numbers, *texts]


def test_a_key_stays_inside_the_store(store, tmp_path):
    for key in ("../../up", "/absolute", "a/../../b"):
        path = os.path.realpath(store.write(make(key=key)))
        assert os.path.dirname(os.path.dirname(path)) == os.path.realpath(tmp_path / "store")


@given(KEYS)
def test_a_folder_s_name_gives_its_key_back_or_says_that_it_was_cut(key):
    folder = key_folder(key)
    assert len(folder.encode()) <= 150
    found, is_whole = folder_key(folder)
    assert found == (key if is_whole else None)
    assert type(found) is type(key) or not is_whole


@given(KEYS, st.none() | st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_file_s_name_gives_time_and_sequence_back(key, end, sequence):
    parsed = parse_file_name(key_folder(key), file_name(key, end, sequence))
    assert parsed[:2] == (end, sequence)


@pytest.mark.parametrize(
    "name", ["s-a", "figures", "s-a-0123", "x-a-0123456789abcdef", "i-x-" + "0" * 16]
)
def test_a_folder_that_is_no_key_s_is_left_alone(store, tmp_path, name):
    (tmp_path / "store" / name).mkdir(parents=True)
    store.write(make())
    assert store.keys() == [None]


def test_latest_of_one_key_looks_at_no_other(store, monkeypatch):
    for key in range(50):
        store.write(make(key=key))
    looked_at = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked_at.append(str(path)) or scandir(path))
    assert store.latest(7) == make(key=7)
    assert [os.path.basename(path) for path in looked_at] == [key_folder(7), "store"]


def test_keys_opens_no_file_of_a_key_that_its_folder_spells_out(store, monkeypatch):
    store.write(make(key="short"))
    monkeypatch.setattr(os, "open", None)
    assert store.keys() == ["short"]


def test_moments_may_be_left_out(store):
    checkpoint = make(window_end=MINUTE)
    store.write(checkpoint)
    for found in (
        store.latest(moments=False),
        store.at(MINUTE, moments=False),
        *store.history(moments=False),
    ):
        assert found == checkpoint.without_moments()


def test_what_another_system_wrote_at_the_relative_path_is_found(store, tmp_path):
    checkpoint = make(key="press 4", window_end=MINUTE)
    path = tmp_path / "store" / relative_path(checkpoint)
    path.parent.mkdir(parents=True)
    path.write_bytes(checkpoint.to_parquet_bytes())
    assert store.latest("press 4") == checkpoint


def stores(tmp_path):
    """The same folder as a path, as a URI, and through pyarrow's file systems."""
    folder = tmp_path / "store"
    within = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    return [
        CheckpointStore(str(folder)),
        CheckpointStore(folder),
        CheckpointStore(folder.as_uri()),
        CheckpointStore(str(folder), filesystem=fs.LocalFileSystem()),
        CheckpointStore("store", filesystem=within),
        CheckpointStore("store/", filesystem=within),
    ]


def test_every_way_to_name_a_store_reaches_the_same_files(tmp_path):
    written = minutes(*range(6), key="k")
    for store, checkpoint in zip(stores(tmp_path), written, strict=True):
        store.write(checkpoint)
        store.write(checkpoint)
    for store in stores(tmp_path):
        assert store.history("k") == written
        assert store.latest("k") == written[-1]
        assert store.keys() == ["k"]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 6


def test_a_store_on_another_file_system_may_not_exist_yet(tmp_path):
    within = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    store = CheckpointStore("nothing/here", filesystem=within)
    assert (store.latest(), store.history(), store.keys()) == (None, [], [])


def test_a_store_without_a_name_is_not_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="give its folder"):
        CheckpointStore("")
    assert CheckpointStore(".").keys() == []


def test_a_uri_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(ValueError, match="Cannot open a store at 'gopher://x/y'"):
        CheckpointStore("gopher://x/y")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError, match="it is a file, not a folder"):
        CheckpointStore(file)


def test_the_resume_point_is_what_was_written_last_of_one_line(store):
    assert store.resume_point() is None
    on_time = minutes(1, 2)
    for i, checkpoint in enumerate(on_time):
        store.write(dataclasses.replace(checkpoint, sequence=i))
    assert store.resume_point().sequence == 1
    late = dataclasses.replace(on_time[0], sequence=2, late=True, n_samples_seen=110)
    store.write(late)
    assert store.latest().sequence == 1
    assert store.resume_point() == late
    assert store.resume_point(moments=False) == late.without_moments()
    assert store.read(None, MINUTE, 2) == late
    assert store.read(None, MINUTE, 3) is None
    anew = make(window_end=9 * MINUTE, n_samples_seen=200)
    store.write(anew)
    assert store.resume_point() == anew


@pytest.mark.parametrize("verb", ["write", "write_many"])
def test_what_is_no_checkpoint_is_refused_with_what_to_give(tmp_path, verb):
    store = CheckpointStore(tmp_path)
    pca = StreamingPCA(1).partial_fit(np.eye(3))
    for wrong, message in (
        (pca, "not an object of type StreamingPCA: give its .checkpoint()"),
        (pca.checkpoint().to_bytes(), "not an object of type bytes$"),
    ):
        with pytest.raises(TypeError, match=message):
            getattr(store, verb)([wrong] if verb == "write_many" else wrong)
    assert list(tmp_path.iterdir()) == []
