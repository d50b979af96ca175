"""Files of a store: the same ones when a bundle is retried, on any Beam file system."""

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import ClassVar

import apache_beam as beam
import engines
import pytest
from apache_beam.io import localfilesystem
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from streams import counters, learn, stream, timed

from beam_pipelines import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.stores import checkpoints as beam_checkpoints
from beam_pipelines.stores import filesystems as beam_files
from streampca import CheckpointStore
from streampca.checkpoint import relative_path


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

    def metadata(self, path):
        return super().metadata(self._local(path))

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


def write(checkpoints, uri, **options):
    with engines.pipeline() as p:
        # one element, so that it is one bundle everywhere
        there = p | beam.Create([checkpoints]) | beam.FlatMap(_each)
        _ = there | WriteCheckpoints(str(uri), **options)


def _each(checkpoints):
    return checkpoints


def test_writing_each_again_writes_the_same_files(tmp_path, checkpoints, engine):
    write(checkpoints, tmp_path, together=False)
    before = [(path, path.read_bytes()) for path in files(tmp_path)]
    write(checkpoints[::-1] + checkpoints, tmp_path, together=False)
    assert [(path, path.read_bytes()) for path in files(tmp_path)] == before
    assert len(before) == 2


def test_a_bundle_of_one_has_a_file_of_its_own(tmp_path, checkpoints, engine):
    write(checkpoints[:1], tmp_path)
    assert [path.name for path in files(tmp_path)] == [
        Path(relative_path(checkpoints[0])).name,
    ]


DAY = 86_400_000_000


def on_days(checkpoints, n_keys=3, n_days=4):
    """Checkpoints of several keys and days; the values of each are its own."""
    return [
        dataclasses.replace(c, key=key, window_start=None, window_end=day * DAY + 1 + i, weight=w)
        for w, (key, day, (i, c)) in enumerate(
            itertools.product(range(n_keys), range(n_days), enumerate(checkpoints)), start=1
        )
    ]


@pytest.mark.needs("this process")
def test_a_bundle_has_one_file_for_each_day(far, checkpoints, engine):
    uri, folder = far
    given = on_days(checkpoints)
    write(given, uri)
    found = list(CheckpointStore(folder).everything())
    assert sorted(found, key=lambda c: c.weight) == given
    names = [path.relative_to(folder).parts[0] for path in files(folder)]
    assert sorted(names) == [f"day=1970-01-0{n}" for n in range(1, 5)]
    assert CheckpointStore(folder).verify().replaced == 0


@pytest.mark.needs("this process")
def test_many_checkpoints_are_written_before_a_bundle_ends(
    tmp_path, checkpoints, monkeypatch, engine
):
    monkeypatch.setattr(beam_checkpoints, "_MOST_WAITING", 5)
    given = on_days(checkpoints, 1, 4)  # 8
    write(given, tmp_path)
    assert sorted(CheckpointStore(tmp_path).everything(), key=lambda c: c.weight) == given
    monkeypatch.setattr(beam_checkpoints, "_MOST_WAITING", 2**14)
    monkeypatch.setattr(beam_checkpoints, "_MOST_BYTES", 1)
    write(given, tmp_path / "singly")
    assert len(files(tmp_path / "singly")) == len(given)


@pytest.mark.needs("this process")
@pytest.mark.parametrize("before", ["together", "each", "one of them"])
@pytest.mark.parametrize("after", ["together", "each", "one of them"])
def test_however_it_was_written_what_is_written_later_counts(
    far, checkpoints, before, after, engine
):
    uri, folder = far
    given = on_days(checkpoints, 2, 2)
    old = [dataclasses.replace(c, n_samples_seen=1) for c in given]

    def put(some, how):
        write(some[:1] if how == "one of them" else some, uri, together=how != "each")

    put(old, before)
    put(given, after)
    expected = {(c.key, c.window_end, c.sequence): c for c in old}
    expected = {} if before == "one of them" else expected
    newer = given[:1] if after == "one of them" else given
    expected |= {(c.key, c.window_end, c.sequence): c for c in newer}
    found = list(CheckpointStore(folder).everything())
    assert {(c.key, c.window_end, c.sequence): c for c in found} == expected
    assert len(found) == len(expected)


def test_each_path_comes_once_in_the_window_of_the_newest(tmp_path, checkpoints, engine):
    def placed(path, window=beam.DoFn.WindowParam, time=beam.DoFn.TimestampParam):
        return Path(path).parent.name, int(window.end), time.micros

    def timed(checkpoint):
        return TimestampedValue(checkpoint, Timestamp(micros=checkpoint.window_end - 1))

    given = [
        dataclasses.replace(c, window_end=c.window_end + day)
        for c in checkpoints
        for day in (0, DAY)
    ]
    newest = given[-1].window_end
    assert newest == DAY + 100_000_000
    with engines.pipeline() as p:
        there = p | beam.Create([given]) | beam.FlatMap(_each) | beam.Map(timed)
        windows = there | beam.WindowInto(FixedWindows(50))
        found = windows | WriteCheckpoints(str(tmp_path)) | beam.Map(placed)
        days = ["day=1970-01-01", "day=1970-01-02"]
        assert_that(
            found | "Global" >> beam.WindowInto(GlobalWindows()),
            equal_to([(day, newest // 1_000_000, newest - 1) for day in days]),
        )


def test_repeated_bundles_count_no_row_twice(tmp_path, engine):
    X, times = stream(100)
    elements = timed(X, times)
    once = learn(elements, FixedWindows(50), tmp_path / "once")
    flags = ["--direct_runner_bundle_repeat=2"]
    again = learn(elements, FixedWindows(50), tmp_path / "again", flags=flags)
    assert [c.n_samples_seen for c in again.history()] == [50, 100]
    assert once.history() == again.history()
    assert again.verify().replaced == 0
    assert len(files(tmp_path / "again")) - len(files(tmp_path / "once")) in (0, 1)  # .generation


@pytest.fixture(params=["far", "an object store"])
def far(tmp_path, monkeypatch, request):
    """A remote folder, and where it lies."""
    monkeypatch.setattr(FarFileSystem, "root", str(tmp_path))
    monkeypatch.setattr(FarFileSystem, "deleted", [])
    if request.param != "far":
        (tmp_path / "bucket/store/none").mkdir(parents=True)  # object stores need no folders
        monkeypatch.setattr("beam_pipelines.stores.filesystems._OBJECT_STORES", ("far",))
    return "far://bucket/store", tmp_path / "bucket" / "store"


@pytest.mark.needs("this process")
def test_another_file_system_gets_the_layout_of_the_store(far, checkpoints, engine):
    uri, folder = far
    for _ in range(2):
        write(checkpoints, uri, together=False)
    assert len(files(folder)) == 2
    assert CheckpointStore(folder).history() == checkpoints
    # writing again left no gap
    assert all("/.tmp/" in path for path in FarFileSystem.deleted)
    assert (FarFileSystem.deleted == []) == ("far" in beam_files._OBJECT_STORES)


@pytest.mark.needs("this process")
def test_other_content_replaces_what_was_there(far, checkpoints, engine):
    uri, folder = far
    write([dataclasses.replace(checkpoints[0], n_samples_seen=1)], uri)
    write(checkpoints, uri, together=False)
    assert CheckpointStore(folder).history() == checkpoints
    assert len(files(folder)) == 2


@pytest.mark.needs("this process")
def test_a_writer_that_fails_leaves_nothing(far, checkpoints, monkeypatch, engine):
    uri, folder = far
    if "far" in beam_files._OBJECT_STORES:
        pytest.skip("an object store has no renames")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(FarFileSystem, "rename", fail)
    for some in (checkpoints[:1], checkpoints):
        with pytest.raises(Exception, match="disk full"):
            write(some, uri)
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


@pytest.mark.needs("this process")
@pytest.mark.parametrize("moments", [True, False])
def test_what_was_written_is_read_back(far, checkpoints, moments, engine):
    uri, _ = far
    write(checkpoints, uri, together=False)
    wanted = checkpoints if moments else [c.without_moments() for c in checkpoints]

    def check(found):
        assert sorted(found, key=lambda keyed: keyed[1].sequence) == [(None, c) for c in wanted]

    counted = read(uri, check, moments=moments)
    assert counted == {"checkpoints_read": 2}
    assert read(uri + "/none/w*.parquet", check, moments=moments) == counted


@pytest.mark.needs("this process")
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


@pytest.mark.needs("this process")
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
