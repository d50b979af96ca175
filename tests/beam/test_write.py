"""Files of a store: the same ones when a bundle is retried, on any Beam file system."""

import dataclasses
import shutil
from pathlib import Path
from typing import ClassVar

import apache_beam as beam
import engines
import pytest
from apache_beam.io import localfilesystem
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows
from streams import counters, learn, stream, timed

from beam_pipelines import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.stores import checkpoints as beam_files
from streampca import CheckpointStore


class FarFileSystem(localfilesystem.LocalFileSystem):
    """A remote file system that keeps far://x in a local folder."""

    root = ""
    deleted: ClassVar[list] = []

    @classmethod
    def scheme(cls):
        return "far"

    def _local(self, path):
        return path.replace("far:/", self.root, 1)  # Beam's own methods pass local paths on

    def join(self, base, *paths):
        return "/".join([base.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def create(self, path, mime_type="", compression_type="auto"):
        return super().create(self._local(path), mime_type, compression_type)

    def open(self, path, mime_type="", compression_type="auto"):
        return super().open(self._local(path), mime_type, compression_type)

    def match(self, patterns, limits=None):
        results = super().match([self._local(pattern) for pattern in patterns], limits)
        for result in results:
            for each in result.metadata_list:
                each.path = "far://" + each.path.removeprefix(self.root + "/")
        return results

    def exists(self, path):
        return super().exists(self._local(path))

    def mkdirs(self, path):
        return super().mkdirs(self._local(path))

    def delete(self, paths):
        FarFileSystem.deleted += paths
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
    with engines.pipeline() as p:
        _ = p | beam.Create(checkpoints) | WriteCheckpoints(str(uri))


def test_writing_again_writes_the_same_files(tmp_path, checkpoints, engine):
    write(checkpoints, tmp_path)
    before = [(path, path.read_bytes()) for path in files(tmp_path)]
    write(checkpoints[::-1] + checkpoints, tmp_path)
    assert [(path, path.read_bytes()) for path in files(tmp_path)] == before
    assert len(before) == 2


def test_repeated_bundles_count_no_row_twice(tmp_path, engine):
    X, times = stream(100)
    elements = timed(X, times)
    once = learn(elements, FixedWindows(50), tmp_path / "once")
    flags = ["--direct_runner_bundle_repeat=2"]
    again = learn(elements, FixedWindows(50), tmp_path / "again", flags=flags)
    assert [c.n_samples_seen for c in again.history()] == [50, 100]
    names = [[path.name for path in files(tmp_path / which)] for which in ("once", "again")]
    assert names[0] == names[1]
    assert once.latest().window_end == again.latest().window_end


@pytest.fixture(params=["far", "an object store"])
def far(tmp_path, monkeypatch, request):
    """A remote folder, and where it lies."""
    monkeypatch.setattr(FarFileSystem, "root", str(tmp_path))
    monkeypatch.setattr(FarFileSystem, "deleted", [])
    if request.param != "far":
        (tmp_path / "bucket/store/none").mkdir(parents=True)  # object stores need no folders
        monkeypatch.setattr("beam_pipelines.stores.checkpoints._OBJECT_STORES", ("far",))
    return "far://bucket/store", tmp_path / "bucket" / "store"


def test_another_file_system_gets_the_layout_of_the_store(far, checkpoints, engine):
    uri, folder = far
    for _ in range(2):
        write(checkpoints, uri)
    assert len(files(folder)) == 2
    assert CheckpointStore(folder).history() == checkpoints
    assert FarFileSystem.deleted == []  # writing again left no gap


def test_other_content_replaces_what_was_there(far, checkpoints, engine):
    uri, folder = far
    write([dataclasses.replace(checkpoints[0], n_samples_seen=1)], uri)
    write(checkpoints, uri)
    assert CheckpointStore(folder).history() == checkpoints
    assert len(files(folder)) == 2


def test_a_writer_that_fails_leaves_nothing(far, checkpoints, monkeypatch, engine):
    uri, folder = far
    if "far" in beam_files._OBJECT_STORES:
        pytest.skip("an object store has no renames")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(FarFileSystem, "rename", fail)
    with pytest.raises(Exception, match="disk full"):
        write(checkpoints[:1], uri)
    assert files(folder) == []


def read(pattern, check, **options):
    with engines.pipeline() as p:
        found = p | ReadCheckpoints(str(pattern), **options)
        if not options.get("unreadable"):
            assert_that(found, check)
        else:
            assert_that(found.checkpoints, check, "good")
            files = found.unreadable | beam.Map(
                lambda f: (Path(f.path).name, type(f) is Unreadable)
            )
            expected = [("w0.parquet", True), ("w1.parquet", True), ("w2.parquet", True)]
            assert_that(files, equal_to(expected), "bad")
    return counters(p.result)


@pytest.mark.parametrize("moments", [True, False])
def test_what_was_written_is_read_back(far, checkpoints, moments, engine):
    uri, _ = far
    write(checkpoints, uri)
    wanted = checkpoints if moments else [c.without_moments() for c in checkpoints]

    def check(found):
        assert sorted(found, key=lambda keyed: keyed[1].sequence) == [(None, c) for c in wanted]

    counted = read(uri, check, moments=moments)
    assert counted == {"checkpoints_read": 2}
    assert read(uri + "/none/w*.parquet", check, moments=moments) == counted


def test_torn_and_foreign_files_are_named_counted_and_skipped(
    tmp_path, checkpoints, caplog, engine
):
    store = CheckpointStore(tmp_path)
    paths = [Path(store.write(c)) for c in checkpoints]
    folder = paths[0].parent
    (folder / "w0.parquet").write_bytes(paths[0].read_bytes()[:-40])
    (folder / "w1.parquet").write_bytes(b"")
    (folder / "w2.parquet").write_text("hello")
    (folder / f".{paths[0].name}.0123.tmp").write_bytes(b"half")  # of a writer that was killed
    (folder / ".hidden.parquet").write_bytes(b"half")

    def check(found):
        assert sorted(found, key=lambda keyed: keyed[1].sequence) == [
            (None, c) for c in checkpoints
        ]

    counted = read(tmp_path, check, unreadable=True)
    assert counted == {"checkpoints_read": 2, "unreadable_files": 3}
    with caplog.at_level("WARNING", "beam_pipelines.stores.checkpoints"):
        assert read(tmp_path, check) == counted
    assert "w1.parquet" in caplog.text


def test_a_checkpoint_that_was_read_lies_in_its_window(tmp_path, checkpoints, engine):
    for checkpoint in checkpoints:
        CheckpointStore(tmp_path).write(checkpoint)

    def check(found):
        assert sorted(found) == [(50, 50), (100, 100)]

    def ends(keyed, window=beam.DoFn.WindowParam):
        return int(window.end), keyed[1].window_end // 1_000_000

    with engines.pipeline() as p:
        found = p | ReadCheckpoints(tmp_path) | beam.WindowInto(FixedWindows(50)) | beam.Map(ends)
        assert_that(found, lambda found: check(sorted(found, key=lambda pair: pair[0])))


def test_an_empty_store_has_no_checkpoints(tmp_path, engine):
    assert read(tmp_path, lambda found: found == [] or 1 / 0) == {}


def test_each_checkpoint_of_a_store_comes_once(far, checkpoints, engine):
    uri, folder = far
    store = CheckpointStore(folder)
    store.write_many([dataclasses.replace(c, weight=1.0) for c in checkpoints])
    store.write_many(checkpoints[:1])
    store.write(checkpoints[1])

    def check(found):
        assert sorted(found, key=lambda keyed: keyed[1].sequence) == [
            (None, c) for c in checkpoints
        ]

    assert read(uri, check) == {"checkpoints_read": 2}
