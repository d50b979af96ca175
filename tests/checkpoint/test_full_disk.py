"""A full disk is a clear error; what was written stays, and writing goes on once there is room."""

import errno
import os
import shutil
import subprocess
import sys

import children
import pytest
from checkpoints import MINUTE, make

from streampca.checkpoint import CheckpointStore

FULL = """
import errno, os, sys, warnings
from checkpoints import make
from streampca.checkpoint import CheckpointStore

warnings.simplefilter("error")
store, written = CheckpointStore(sys.argv[1]), 0
try:
    while True:
        store.write(make(n=60, sequence=written, seed=written))
        written += 1
except OSError as error:
    assert error.errno == errno.ENOSPC, error
    said = str(error)
assert os.listdir(os.path.join(sys.argv[1], ".tmp")) == []
history = CheckpointStore(sys.argv[1]).history()
assert history == [make(n=60, sequence=i, seed=i) for i in range(written)]
with_room = store.history()[0]
folder = os.path.join(sys.argv[1], "none")
for name in sorted(os.listdir(folder))[:2]:
    os.unlink(os.path.join(folder, name))
store.write(make(n=60, sequence=written, seed=written))
assert store.latest() == make(n=60, sequence=written, seed=written)
print(written, said)
"""
MOUNT = 'mount -t tmpfs -o size=1m store "$1" && shift && exec "$@"'


def may_mount(folder):
    """Whether this user may mount a file system that only its own process sees."""
    command = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        MOUNT,
        "sh",
        str(folder),
        "true",
    ]
    return (
        shutil.which("unshare")
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def test_a_disk_that_is_really_full(tmp_path):
    if not may_mount(tmp_path):
        pytest.skip("no file system may be mounted here: see the simulated ones below")
    prefix = ("unshare", "--mount", "--map-root-user", "sh", "-c", MOUNT, "sh", str(tmp_path))
    written, said = children.run(FULL, tmp_path, prefix=prefix).split(maxsplit=1)
    assert int(written) > 5
    assert "No space left on device" in said


def test_a_limit_on_the_size_of_files_is_an_error_too(tmp_path):
    store = CheckpointStore(tmp_path)
    store.write(make())

    def write():
        with pytest.raises(OSError, match="File too large"):
            store.write(make(n=200, window_end=MINUTE))
        assert os.listdir(tmp_path / ".tmp") == []
        assert store.history() == [make()]

    children.within(write, file_size=50_000)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "fsync of the folder"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_an_error_at_any_step_leaves_earlier_checkpoints_as_they_were(
    tmp_path, monkeypatch, call, number
):
    store = CheckpointStore(tmp_path)
    store.write(make())
    again = make(seed=1)  # the same file, other content

    with monkeypatch.context() as patch:
        _fail_at(patch, call, number)
        with pytest.raises(OSError, match=os.strerror(number)):
            store.write(again)
    assert os.listdir(tmp_path / ".tmp") == []
    (found,) = store.history()
    # The folder is synced after the rename: then the new one may be there, whole.
    assert found == again if call == "fsync of the folder" else found == make()
    store.write(again)
    assert store.history() == [again]


def _fail_at(patch, call, number):
    from streampca.checkpoint import temporary

    def fail(*args, **options):
        raise OSError(number, os.strerror(number))

    def folders_fail(descriptor, fsync=os.fsync):
        return fail() if os.path.isdir(f"/proc/self/fd/{descriptor}") else fsync(descriptor)

    class Full:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return fail if name == "write" else getattr(self._file, name)

        def __enter__(self):
            self._file.__enter__()
            return self

        def __exit__(self, *raised):
            return self._file.__exit__(*raised)

    if call == "open":
        patch.setattr(temporary, "open", fail, raising=False)
    elif call == "write":
        patch.setattr(temporary, "open", lambda *args: Full(open(*args)), raising=False)  # noqa: SIM115
    elif call == "fsync of the folder":
        if not sys.platform.startswith("linux"):
            pytest.skip("which descriptors are folders is asked of /proc")
        patch.setattr(os, "fsync", folders_fail)
    else:
        patch.setattr(os, call, fail)
