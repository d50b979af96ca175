"""Files of a store: the same ones when a bundle is retried, on any Beam file system."""

import shutil
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io import localfilesystem
from apache_beam.transforms.window import FixedWindows
from streams import learn, stream, timed

from beam_pipelines import WriteCheckpoints
from streampca import CheckpointStore


class FarFileSystem(localfilesystem.LocalFileSystem):
    """A remote file system that keeps far://x in a local folder."""

    root = ""

    @classmethod
    def scheme(cls):
        return "far"

    def _local(self, path):
        return self.root + "/" + path.removeprefix("far://")

    def join(self, base, *paths):
        return "/".join([base.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def create(self, path, mime_type="", compression_type="auto"):
        return super().create(self._local(path), mime_type, compression_type)

    def exists(self, path):
        return super().exists(self._local(path))

    def mkdirs(self, path):
        return super().mkdirs(self._local(path))

    def delete(self, paths):
        for path in paths:
            Path(self._local(path)).unlink()

    def rename(self, sources, destinations):
        assert not any(self.exists(path) for path in destinations)
        return super().rename(*([self._local(p) for p in ps] for ps in (sources, destinations)))


@pytest.fixture
def checkpoints(tmp_path):
    X, times = stream(100)
    history = learn(timed(X, times), FixedWindows(50), tmp_path / "made").history()
    shutil.rmtree(tmp_path / "made")
    return history


def files(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def write(checkpoints, uri):
    with beam.Pipeline("FnApiRunner") as p:
        _ = p | beam.Create(checkpoints) | WriteCheckpoints(str(uri))


def test_writing_again_writes_the_same_files(tmp_path, checkpoints):
    write(checkpoints, tmp_path)
    before = [(path, path.read_bytes()) for path in files(tmp_path)]
    write(checkpoints[::-1] + checkpoints, tmp_path)
    assert [(path, path.read_bytes()) for path in files(tmp_path)] == before
    assert len(before) == 2


def test_repeated_bundles_count_no_row_twice(tmp_path):
    X, times = stream(100)
    elements = timed(X, times)
    once = learn(elements, FixedWindows(50), tmp_path / "once")
    flags = ["--direct_runner_bundle_repeat=2"]
    again = learn(elements, FixedWindows(50), tmp_path / "again", flags=flags)
    assert [c.n_samples_seen for c in again.history()] == [50, 100]
    names = [[path.name for path in files(tmp_path / which)] for which in ("once", "again")]
    assert names[0] == names[1]
    assert once.latest().window_end == again.latest().window_end


def test_another_file_system_gets_the_layout_of_the_store(tmp_path, checkpoints, monkeypatch):
    monkeypatch.setattr(FarFileSystem, "root", str(tmp_path))
    for _ in range(2):
        write(checkpoints, "far://bucket/store")
    assert len(files(tmp_path)) == 2
    assert CheckpointStore(tmp_path / "bucket" / "store").history() == checkpoints
