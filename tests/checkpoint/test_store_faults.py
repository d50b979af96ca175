"""Torn, changed and foreign files are named and skipped; what was written is there."""

import errno
import os
import shutil
import threading
import warnings
from pathlib import Path

import pytest
from checkpoints import MINUTE, make
from pyarrow import fs

from streampca.checkpoint import CheckpointStore, CheckpointWarning, relative_path

GOOD = make(window_end=MINUTE, key="k")
NEWER = make(window_end=2 * MINUTE, key="k", seed=1)
DATA = NEWER.to_parquet_bytes()


@pytest.fixture
def store(tmp_path):
    """A store whose newest file is about to be damaged."""
    store = CheckpointStore(tmp_path / "store")
    store.write(GOOD)
    store.write(NEWER)
    return store


@pytest.fixture
def newest(tmp_path, store):
    return tmp_path / "store" / relative_path(NEWER)


def skips(store, path, reason):
    """The store names the file and the reason, and answers with what is left."""
    for ask in (
        lambda: store.latest("k"),
        lambda: store.at(5 * MINUTE, "k"),
        lambda: store.history("k")[-1],
    ):
        with pytest.warns(CheckpointWarning, match=reason) as caught:
            assert ask() == GOOD
        assert [str(path) in str(warning.message) for warning in caught] == [True]


def flipped(at):
    data = bytearray(DATA)
    data[at] ^= 4
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (DATA[:-1], "torn"),
        (DATA[: len(DATA) // 2], "torn"),
        (DATA[:10], "no Parquet file"),
        (flipped(100), "it was changed"),
        (flipped(-30), "it was changed|did not write"),
        (b"foreign\n" * 100, "no Parquet file"),
        (b"\x80\x04\x95 a pickle .", "no Parquet file"),
        (b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1", "torn"),
        (GOOD.to_parquet_bytes(), "which its name does not say"),
    ],
)
def test_a_damaged_file_is_named_and_skipped(store, newest, data, reason):
    newest.write_bytes(data)
    skips(store, newest, reason)
    assert store.keys() == ["k"]


def test_a_file_too_large_to_be_a_checkpoint_is_not_read(store, newest):
    with newest.open("r+b") as file:
        file.truncate(2**40)  # sparse: it takes no room
    skips(store, newest, "bytes are more than")


def test_a_symbolic_link_is_not_followed(store, newest, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    newest.rename(elsewhere)
    newest.symlink_to(elsewhere)
    skips(store, newest, "it is a symbolic link")


def test_a_folder_or_pipe_in_the_place_of_a_file_is_skipped(store, newest):
    newest.unlink()
    newest.mkdir()
    skips(store, newest, "not a regular file")
    newest.rmdir()
    os.mkfifo(newest)
    skips(store, newest, "not a regular file")


def test_a_key_s_folder_that_is_a_link_or_a_file_is_skipped(store, newest, tmp_path):
    folder = newest.parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(CheckpointWarning, match="it is a symbolic link"):
        assert store.latest("k") is None
    folder.unlink()
    folder.touch()
    with pytest.warns(CheckpointWarning, match="it is not a folder"):
        assert store.latest("k") is None


def test_a_file_with_somebody_else_s_name_is_named(store, newest):
    stranger = newest.with_name("part-00000.parquet")
    shutil.copy(newest, stranger)
    with pytest.warns(CheckpointWarning, match="'.*part-00000.parquet': its name is not that of"):
        assert store.latest("k") == NEWER


def test_a_copy_in_another_key_s_folder_is_named(store, newest):
    store.write(make(key="other"))
    copy = newest.parent.with_name(Path(relative_path(make(key="other"))).parent.name) / newest.name
    shutil.copy(newest, copy)
    with pytest.warns(CheckpointWarning, match="its name is not that of a checkpoint of this key"):
        assert store.latest("other") == make(key="other")


def test_a_folder_whose_name_was_changed_is_named(store, newest):
    newest.parent.rename(newest.parent.with_name(newest.parent.name.replace("s-k-", "s-x-")))
    with pytest.warns(CheckpointWarning, match="the hash in its name do not agree"):
        assert store.keys() == []


def test_a_parquet_file_beside_the_folders_is_named(store, newest, tmp_path):
    shutil.copy(newest, tmp_path / "store")
    (tmp_path / "store" / "README").touch()
    with pytest.warns(CheckpointWarning, match="does not lie in the folder of a key"):
        assert store.keys() == ["k"]


def test_what_a_killed_writer_left_is_passed_over_in_silence(store, newest):
    newest.with_name(f".{newest.name}.00ff.tmp").write_bytes(DATA[:100])
    assert store.history("k") == [GOOD, NEWER]
    assert store.keys() == ["k"]


def test_a_file_deleted_while_looking_is_not_there(store, newest, monkeypatch):
    entries = store._files.entries
    monkeypatch.setattr(
        store._files,
        "entries",
        lambda folder="": (entries(folder), newest.unlink(missing_ok=True))[0],
    )
    assert store.latest("k") == GOOD


def test_a_disk_that_cannot_be_read_is_not_taken_for_a_damaged_file(store, monkeypatch):
    def fail(*args, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        store.latest("k")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_store_as_it_was(store, newest, monkeypatch, step):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="No space left"):
            store.write(make(window_end=3 * MINUTE, key="k"))
    assert len(list(newest.parent.iterdir())) == 2
    assert store.history("k") == [GOOD, NEWER]


def test_a_damaged_file_on_another_file_system_is_named_and_skipped(store, newest, tmp_path):
    newest.write_bytes(DATA[:-1])
    within = CheckpointStore(
        "store", filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    )
    with pytest.warns(CheckpointWarning, match=f"store/{relative_path(NEWER)}'.*torn"):
        assert within.latest("k") == GOOD


def test_writers_and_readers_at_the_same_time_see_whole_checkpoints(store):
    written = [make(window_end=end * MINUTE, key="k", seed=end) for end in range(3, 23)]
    known = {checkpoint.window_end: checkpoint for checkpoint in (GOOD, NEWER, *written)}
    failures = []

    def write(mine):
        for checkpoint in mine:
            store.write(checkpoint)

    def read():
        last = 0
        while any(writer.is_alive() for writer in writers):
            found = store.latest("k")
            if found != known[found.window_end] or found.window_end < last:
                failures.append(found)
            last = found.window_end

    # Two writers write the same checkpoints, as a retry beside a slow first try does.
    writers = [threading.Thread(target=write, args=(written,)) for _ in range(2)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for thread in (*writers, *readers):
            thread.start()
        for thread in (*writers, *readers):
            thread.join()
        assert failures == []
        assert store.history("k") == [GOOD, NEWER, *written]
