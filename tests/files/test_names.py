"""Names, patterns and URIs: each file once, in order, wherever it lies."""

import io
import threading

import numpy as np
import pytest
from made import X, arrow_of, parquet, put, text_of

from streampca.files import names, read


def rows_of(paths, **asked):
    return np.vstack([rows.values for rows in read(paths, **asked)])


def test_a_file_counts_once_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put("a.csv", text_of())(tmp_path)
    given = ["a.csv", "./a.csv", str(tmp_path / "a.csv"), "*.csv"]
    np.testing.assert_array_equal(rows_of(given), X)


def test_uris_of_fsspec_are_read_and_matched():
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for i in range(2):
        with memory.open(f"/plant/day={i}/a.csv", "wb") as file:
            file.write(text_of(X[i::2]).encode())
    np.testing.assert_array_equal(rows_of("memory://plant/day=1/a.csv"), X[1::2])
    for pattern in ("memory://plant/*/a.csv", "memory://plant/**/*.csv"):
        np.testing.assert_array_equal(rows_of(pattern), np.vstack([X[::2], X[1::2]]))
    keys = [rows.keys[0] for rows in read("memory://plant/*/*.csv", key_column="day")]
    assert keys == [0, 1]
    with pytest.raises(ValueError, match="there is no such file"):
        read("memory://plant/*.parquet")


def test_a_uri_of_a_local_file_is_a_local_file(tmp_path):
    parquet("a b.parquet", arrow_of())(tmp_path)
    np.testing.assert_array_equal(rows_of((tmp_path / "a b.parquet").as_uri()), X)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing.csv", "there is no such file"),
        ("nothing*.csv", "there is no such file"),
        (".", "is a folder"),
        ("nowhere://x/a.csv", "nowhere://x/a.csv: cannot be opened"),
        ("/dev/zero", "is a device"),
    ],
)
def test_what_cannot_be_found_is_named(path, message):
    with pytest.raises(ValueError, match=message):
        list(read(path))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (b"a;b\n1;2\n", "b'a;b"),
        (5, "5"),
        (None, "NoneType"),
        (io.BytesIO(b"a"), "BytesIO"),
        (io.StringIO("a"), "StringIO"),
        (["a.csv", b"b.csv"], "b'b.csv'"),
        ([X], "ndarray"),
    ],
)
def test_what_is_no_name_is_said_to_be_none(tmp_path, monkeypatch, given, what):
    monkeypatch.chdir(tmp_path)
    put("a.csv", text_of())(tmp_path)
    with pytest.raises(TypeError, match=f"names, patterns or URIs, as str or Path, not {what}"):
        read(given)


def test_who_stops_early_leaves_no_thread_and_no_open_file(tmp_path):
    put("a.csv", text_of(np.tile(X, (5000, 1))))(tmp_path)
    for _ in read(tmp_path / "a.csv"):
        break
    assert not [each for each in threading.enumerate() if each.name == "streampca-files"]


def test_partitions_are_text_or_whole_numbers():
    path = "plant/press=007/line=north%20hall/n=-3/none=__HIVE_DEFAULT_PARTITION__/a=b=c/x=1.csv"
    assert names.partitions_of(path) == {
        "press": "007", "line": "north hall", "n": -3, "none": None, "a": "b=c",
    }  # fmt: skip
