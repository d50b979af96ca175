"""What killed writers leave is swept away; what living ones write is not."""

import errno
import os
import time

import pytest
from checkpoints import MINUTE, make
from children import within
from pyarrow import fs

from streampca.checkpoint import CheckpointStore, files, temporary

pytestmark = pytest.mark.skipif(temporary.fcntl is None, reason="this system has no file locks")

HOUR = 3600


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path)


@pytest.fixture
def waiting(tmp_path):
    folder = tmp_path / ".tmp"
    folder.mkdir()
    return folder


def left(folder, age, name="w-k.parquet.00ff.tmp"):
    """A file as a writer leaves it that was killed `age` seconds ago."""
    path = folder / name
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_next_write_sweeps_what_a_killed_writer_left(store, waiting):
    path = left(waiting, 2 * temporary.UNTOUCHED_MINUTE)
    store.write(make(key="another"))
    assert not path.exists()


def test_a_file_that_may_just_have_been_made_is_left(store, waiting):
    path = left(waiting, temporary.UNTOUCHED_MINUTE / 2)
    store.write(make())
    assert path.exists()


def test_a_living_writer_s_file_is_never_swept_however_old(store, waiting):
    with temporary.temporary(waiting, "slow") as (file, path):
        file.write(b"half")
        file.flush()
        os.utime(path, (0, 0))
        within(lambda: store.write(make()))
        store.write(make())
        assert path.exists()
    assert not path.exists()


def test_without_locks_a_day_has_to_pass(store, waiting, monkeypatch):
    def no_locks(*args):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(temporary.fcntl, "flock", no_locks)
    young = left(waiting, 23 * HOUR, "young.tmp")
    old = left(waiting, 25 * HOUR, "old.tmp")
    store.write(make())
    assert (young.exists(), old.exists()) == (True, False)


def test_nothing_else_in_the_folder_is_touched(store, waiting, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    os.utime(outside, (0, 0))
    (waiting / "link.tmp").symlink_to(outside)
    (waiting / "folder.tmp").mkdir()
    os.mkfifo(waiting / "pipe.tmp")
    left(waiting, HOUR, "notes.txt")
    names = sorted(os.listdir(waiting))
    for name in names:
        os.utime(waiting / name, (0, 0), follow_symlinks=False)
    within(lambda: store.write(make()), seconds=20)
    assert sorted(os.listdir(waiting)) == names
    assert outside.read_bytes() == b"precious"


def test_a_file_swept_by_a_host_that_did_not_see_the_lock_is_written_again(store, monkeypatch):
    replace, swept = os.replace, []

    def sweep_first(source, target):
        if len(swept) < 3:
            swept.append(source)
            os.unlink(source)
        return replace(source, target)

    monkeypatch.setattr(os, "replace", sweep_first)
    store.write(make())
    assert store.latest() == make()
    assert len(set(swept)) == 3


def test_a_folder_from_which_everything_is_swept_is_an_error_in_the_end(store, monkeypatch):
    def sweep_first(source, target):
        os.unlink(source)
        raise FileNotFoundError(errno.ENOENT, "No such file", source)

    monkeypatch.setattr(os, "replace", sweep_first)
    with pytest.raises(FileNotFoundError):
        store.write(make())


def test_writing_leaves_no_temporary_file(store, tmp_path):
    for end in range(3):
        store.write(make(window_end=end * MINUTE))
    assert os.listdir(tmp_path / ".tmp") == []
    assert store.keys() == [None]


def test_on_other_file_systems_a_day_has_to_pass(tmp_path, waiting):
    within_folder = fs.SubTreeFileSystem(str(tmp_path.parent), fs.LocalFileSystem())
    store = CheckpointStore(tmp_path.name, filesystem=within_folder)
    young, old = left(waiting, 23 * HOUR, "young.tmp"), left(waiting, 25 * HOUR, "old.tmp")
    notes = left(waiting, 99 * HOUR, "notes.txt")
    store.write(make())
    assert (young.exists(), old.exists(), notes.exists()) == (True, False, True)
    assert store.latest() == make()
    assert files.TEMPORARY not in map(str, store.keys())
