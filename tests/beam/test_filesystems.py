"""Checkpoints on file systems that are not local: a bucket of S3, folders like those of HDFS."""

import io
import warnings

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.io.aws import s3io
from apache_beam.io.aws.clients.s3.fake_client import FakeS3Client
from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows
from streams import assert_equals_batch, stream, timed

from beam_pipelines import LearnComponents, ReadCheckpoints, WriteCheckpoints
from beam_pipelines.inference import StreamingPCAModelHandler
from beam_pipelines.stores.filesystems import open_store
from streampca import CheckpointWarning

FILES = {}
FOLDERS = set()


class Folders(FileSystem):
    """Files in memory, with the habits of HDFS.

    One level is listed at a time, with the folders in it; what is not there cannot be listed; a
    file appears when it is opened for writing, and a rename does not replace.
    """

    @classmethod
    def scheme(cls):
        return "folders"

    def has_dirs(self):
        return True

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path):
        if path in FOLDERS:
            raise BeamIOError("it is there", {path: "exists"})
        while path.count("/") > 2:
            FOLDERS.add(path)
            path = path.rpartition("/")[0]

    def exists(self, path):
        return path in FILES or path in FOLDERS

    def _list(self, folder):
        folder = folder.rstrip("/")
        if folder not in FOLDERS:
            raise BeamIOError("List operation failed", {folder: "no such folder"})
        for path in sorted({*FILES, *FOLDERS}):
            if path.rpartition("/")[0] == folder:
                yield FileMetadata(path, len(FILES.get(path, b"")))

    def create(self, path, mime_type="", compression_type="auto"):
        assert path.rpartition("/")[0] in FOLDERS

        class Writer(io.BytesIO):
            def close(self):
                FILES[path] = self.getvalue()
                super().close()

        FILES[path] = b""
        return Writer()

    def open(self, path, mime_type="", compression_type="auto"):
        if path not in FILES:
            raise BeamIOError("Open operation failed", {path: "no such file"})
        return io.BytesIO(FILES[path])

    def rename(self, sources, destinations):
        for source, destination in zip(sources, destinations, strict=True):
            assert destination not in FILES
            FILES[destination] = FILES.pop(source)

    def delete(self, paths):
        for path in paths:
            del FILES[path]

    def metadata(self, path):
        return FileMetadata(path, len(FILES[path]))

    copy = size = last_updated = checksum = None


@pytest.fixture(params=["s3", "folders"])
def uri(request, monkeypatch):
    """A store that does not exist yet."""
    if request.param == "folders":
        FILES.clear()
        FOLDERS.clear()
        return "folders://server/plant/store"
    client, real = FakeS3Client(), s3io.S3IO
    client.known_buckets.add("bucket")
    monkeypatch.setattr(s3io, "S3IO", lambda options=None: real(client=client))
    return "s3://bucket/plant/store"


X, TIMES = stream(150)


def learn(uri, rows, times, flags=(), together=True, **options):
    options = {"n_components": 3} | options
    with engines.pipeline(*flags) as p:
        pairs = [("press 4", x) for x in rows]
        _ = (
            p
            | beam.Create(timed(pairs, times))
            | beam.WindowInto(FixedWindows(50))
            | LearnComponents(**options)
            | WriteCheckpoints(uri, together=together)
        )


FOUND = []


def keep(keyed):
    FOUND.append(keyed[1])


def read(pattern):
    """What ReadCheckpoints gives, by sequence."""
    FOUND.clear()
    with engines.pipeline() as p:
        _ = p | ReadCheckpoints(pattern) | beam.Map(keep)
    return sorted(FOUND, key=lambda checkpoint: checkpoint.sequence)


def content(uri):
    """Path and bytes of every file."""
    if uri.startswith("folders"):
        return dict(FILES)
    client = s3io.S3IO().client
    return {f"s3://{bucket}/{key}": file.contents for (bucket, key), file in client.files.items()}


@pytest.mark.needs("this process")
def test_a_store_that_is_not_there_yet_is_an_empty_one(uri, engine):
    assert read(uri) == []
    assert open_store(uri).keys() == []
    assert open_store(uri).latest("press 4") is None
    learn(uri, X[:50], TIMES[:50], resume_from=uri)
    assert_equals_batch(open_store(uri).latest("press 4"), X[:50])


@pytest.mark.needs("this process")
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("repeat", [1, 2])
def test_written_once_or_again_and_again_it_is_read_back(uri, repeat, together, engine):
    for _ in range(repeat):
        flags = [f"--direct_runner_bundle_repeat={repeat}"]
        learn(uri, X, TIMES, flags=flags, together=together)
    paths = [path for path in sorted(content(uri)) if not path.endswith("/.generation")]
    if together:  # nothing temporary, nothing twice
        assert all(path.startswith(uri + "/day=1970-01-01/b-") for path in paths)
        assert len(paths) == 1 if engines.current() == "direct" else 1 <= len(paths) <= 3
    else:
        assert all(path.startswith(uri + "/s-press_204-") for path in paths)
        assert len(paths) == 3
    history = read(uri)
    assert open_store(uri).verify().replaced == 0
    for i, checkpoint in enumerate(history, start=1):
        assert (checkpoint.key, checkpoint.sequence) == ("press 4", i - 1)
        assert_equals_batch(checkpoint, X[: 50 * i])
    if not together:
        assert read(f"{uri}/*/w*s0000000001*.parquet") == history[1:2]
    store = open_store(uri)
    assert store.keys() == ["press 4"]
    assert store.history("press 4") == history
    assert store.at(100_000_000, "press 4") == history[1]
    assert store.read("press 4", 100_000_000, 7) is None
    assert store.compact().files == 1  # it is one as any other
    assert store.history("press 4") == history


@pytest.mark.needs("this process")
def test_a_job_goes_on_from_there(uri, engine):
    learn(uri, X[:70], TIMES[:70])
    learn(uri, X[70:], TIMES[70:], resume_from=uri)
    assert_equals_batch(open_store(uri).latest("press 4"), X)


@pytest.mark.needs("this process")
@pytest.mark.parametrize("uri", ["folders"], indirect=True)  # S3's appear when they are closed
@pytest.mark.parametrize("together", [True, False])
def test_a_writer_that_fails_on_the_way_leaves_the_old_file(uri, together, monkeypatch, engine):
    learn(uri, X, TIMES, together=together)
    before = content(uri)

    def torn(self, path, *_):
        FILES[path] = b"half"
        raise OSError("disk full")

    monkeypatch.setattr(Folders, "create", torn)
    with pytest.raises(Exception, match="disk full"):
        learn(uri, X[:140], TIMES[:140], together=together)
    assert content(uri) == before


@pytest.mark.needs("this process")
def test_a_torn_file_is_passed_over(uri, engine):
    learn(uri, X, TIMES, together=False)
    (path,) = (path for path in content(uri) if "s0000000002" in path)
    with FileSystems.create(path) as file:
        file.write(b"PAR1 torn")
    assert len(read(uri)) == 2
    with pytest.warns(CheckpointWarning, match=path):
        assert open_store(uri).latest("press 4").sequence == 1


@pytest.mark.needs("this process")
def test_rows_are_projected_by_it(uri, engine):
    learn(uri, X, TIMES)
    model = open_store(uri).latest("press 4", moments=False)
    assert model.moments == {}

    def check(results):
        assert len(results) == 150
        for result in results:
            expected = model.transform(result.example[None])[0]
            np.testing.assert_allclose(result.inference.coordinates, expected)

    with engines.pipeline() as p:
        rows = p | beam.Create(list(X))
        assert_that(rows | RunInference(StreamingPCAModelHandler(uri, key="press 4")), check)


def test_what_neither_beam_nor_arrow_knows_is_named():
    with warnings.catch_warnings(), pytest.raises(ValueError, match="nowhere://x"):
        open_store("nowhere://x")


@pytest.mark.needs("this process")
def test_a_uri_of_a_local_folder_is_a_local_folder(tmp_path, engine):
    learn(tmp_path.as_uri(), X, TIMES)
    assert_equals_batch(open_store(tmp_path.as_uri()).latest("press 4"), X)
    assert_equals_batch(open_store(str(tmp_path)).latest("press 4"), X)
    assert len(read(tmp_path.as_uri())) == 3
