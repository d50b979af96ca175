"""A file that is cut short at any byte is refused, or at least said to be."""

import bz2
import gzip
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.files import read

X = np.random.default_rng(0).normal(size=(60, 3))
TABLE = pa.table({name: X[:, i] for i, name in enumerate("abc")})
CSV = ("a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())).encode()


def arrow(new, compression=None):
    file = io.BytesIO()
    with new(file, TABLE.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(TABLE, max_chunksize=10)
    return file.getvalue()


def parquet():
    file = io.BytesIO()
    pq.write_table(TABLE, file, row_group_size=20)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


def packed(data, kind):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


STREAM = arrow(pa.ipc.new_stream)
FILES = {
    "stream.arrow": STREAM,
    "stream of zstd.arrow": arrow(pa.ipc.new_stream, "zstd"),
    "file.arrow": arrow(pa.ipc.new_file),
    "a.parquet": parquet(),
    "a.npy": npy(),
    "a.csv.gz": gzip.compress(CSV),
    "a.csv.bz2": bz2.compress(CSV),
    "a.csv.zst": packed(CSV, "zstd"),
    "a.csv.lz4": packed(CSV, "lz4"),
    "stream.arrow.gz": gzip.compress(STREAM),
}


def rows_of(path, data):
    """Rows, and what was said of them."""
    path.write_bytes(data)
    said = []
    return np.concatenate([rows.values for rows in read(path, say=said.append)]), said


@pytest.mark.parametrize("name", FILES)
def test_a_complete_file_is_read_without_a_word(tmp_path, name):
    found, said = rows_of(tmp_path / name, FILES[name])
    np.testing.assert_array_equal(found, X)
    assert not said


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_file_cut_at_any_byte_is_not_taken_for_a_complete_one(tmp_path_factory, name, data):
    at = data.draw(st.integers(0, len(FILES[name]) - 1))
    try:
        found, said = rows_of(tmp_path_factory.mktemp("cut") / name, FILES[name][:at])
    except ValueError:
        return
    assert len(found) == len(X) or "cut short" in said[0]
    np.testing.assert_array_equal(found, X[: len(found)])


def test_a_stream_cut_between_two_batches_is_said_to_be(tmp_path):
    ends = [at for at in range(len(STREAM)) if _has_rows(STREAM[:at])]
    assert len(ends) >= 5
    for at in ends:
        found, said = rows_of(tmp_path / "a.arrow", STREAM[:at])
        assert 0 < len(found) <= len(X)
        assert "cut short" in said[0]


def _has_rows(data):
    """Whether Arrow itself reads what is there without an error."""
    try:
        return pa.ipc.open_stream(data).read_all().num_rows > 0
    except (pa.ArrowException, OSError):
        return False
