"""A checkpoint's file is read by anyone; a torn, changed or hostile one by nobody."""

import contextlib
import dataclasses
import datetime
import inspect
import io
import os

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from checkpoints import CHECKPOINT, MINUTE

from streampca import CheckpointStore, CheckpointWarning, StreamingPCA
from streampca.checkpoint import Checkpoint, CheckpointError
from streampca.checkpoint.bundle import InMemory
from streampca.checkpoint.columns import to_batch
from streampca.checkpoint.footer import footer_start, pages_of
from streampca.checkpoint.parquet import _LIGHT, _sealed, read_light
from streampca.checkpoint.temporary import temporary
from streampca.wire import WireError

BATCH = CHECKPOINT.to_record_batch()


def test_duckdb_polars_and_pandas_read_the_columns(tmp_path):
    path = tmp_path / "checkpoint.parquet"
    path.write_bytes(CHECKPOINT.to_parquet_bytes())
    expected = CHECKPOINT.components.tolist()

    (row,) = duckdb.sql(
        f"select key, epoch_us(window_end), components, feature_names from '{path}'"
    ).fetchall()
    assert row == ("press 4", MINUTE, expected, list(CHECKPOINT.feature_names))

    frame = pl.read_parquet(path)
    assert frame["components"].to_list() == [expected]
    assert frame["window_end"].dt.epoch("us").to_list() == [MINUTE]

    frame = pd.read_parquet(path)
    np.testing.assert_array_equal(np.stack(frame["components"][0]), expected)
    assert frame["window_end"][0] == pd.Timestamp(MINUTE, unit="us", tz="UTC")


def test_others_read_a_store_of_many_files_and_pass_over_what_is_no_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path / "store")
    written = [
        dataclasses.replace(CHECKPOINT, key=f"press {key}", sequence=i, window_end=(i + 1) * MINUTE)
        for i in range(70)
        for key in range(2)
    ]
    for i in range(0, len(written), 2):
        store.write_many(written[i : i + 2])
    # what else may lie there: a token of who removed files, what the command line keeps, what a
    # writer that was killed has left
    store.write_many(written[:2])
    folder = tmp_path / "store"
    (folder / ".fit.json").write_text("{}")
    with temporary(folder / ".tmp", "b-00.parquet") as (file, place):
        file.write(b"PAR1")
        file.flush()
        left = place.with_name(place.name.replace("b-00", "b-01"))
        os.link(place, left)
    hidden = {each.name for each in folder.iterdir() if each.name.startswith(".")}
    assert hidden == {".fit.json", ".generation", ".index", ".tmp"}
    files = f"{tmp_path}/store/**/*.parquet"
    asked = f"select count(*) from read_parquet('{files}', hive_partitioning = true)"
    of_a_key = f"{asked} where key = 'press 1' and day = '1970-01-01'"
    assert (duckdb.sql(asked).fetchall(), duckdb.sql(of_a_key).fetchall()) == ([(140,)], [(70,)])
    frame = pl.scan_parquet(files, hive_partitioning=True)
    assert frame.filter(pl.col("key") == "press 1").collect().height == 70
    if "hidden_file_prefix" in inspect.signature(pl.scan_parquet).parameters:  # older ones lack it
        frame = pl.scan_parquet(folder, hive_partitioning=True, hidden_file_prefix=".")
        assert frame.filter(pl.col("day") == datetime.date(1970, 1, 1)).collect().height == 140
    assert len(pd.read_parquet(folder)) == 140
    assert ds.dataset(folder, partitioning="hive").to_table().num_rows == 140


def test_parquet_torn_anywhere_is_refused():
    data = CHECKPOINT.to_parquet_bytes()
    for size in range(len(data)):
        with pytest.raises(CheckpointError, match="This Parquet file is not a readable checkpoint"):
            Checkpoint.from_parquet_bytes(data[:size])


def test_a_flipped_bit_anywhere_is_found():
    data = bytearray(CHECKPOINT.to_parquet_bytes())
    for at in range(len(data)):
        data[at] ^= 1 << at % 8
        with pytest.raises(CheckpointError):
            Checkpoint.from_parquet_bytes(bytes(data))
        data[at] ^= 1 << at % 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        bytes(500),
        b"PAR1\xff\xff\xff\xffPAR1",
        b"PAR1" + bytes(50) + b"\x00\x00\x00\x00PAR1",
        b"\x80\x04N.",
    ],
)
def test_foreign_bytes_are_refused(data):
    with pytest.raises(CheckpointError, match="This Parquet file is not a readable checkpoint"):
        Checkpoint.from_parquet_bytes(data)


def parquet(batch, seal=True, **options):
    """A file of this batch; with a right seal, as an attacker would write it."""
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False} | options
    sink = io.BytesIO()
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    pq.write_table(table, sink, **options)
    return _sealed(sink.getvalue()) if seal else sink.getvalue()


def test_the_helper_writes_what_is_read():
    assert Checkpoint.from_parquet_bytes(parquet(BATCH)) == CHECKPOINT


def test_a_file_without_a_seal_is_refused():
    with pytest.raises(CheckpointError, match="streampca did not write"):
        Checkpoint.from_parquet_bytes(parquet(BATCH, seal=False))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (parquet(pa.table({"a": [1, 2, 3]})), "does not say which streampca schema"),
        (
            parquet(BATCH.replace_schema_metadata({b"streampca.schema": b"4"})),
            "schema 4, newer than 3.*upgrade streampca",
        ),
        (parquet(pa.Table.from_batches([BATCH, BATCH])), "it has 2 rows instead of one"),
        (parquet(pa.Table.from_batches([BATCH, BATCH]), row_group_size=1), "not that of"),
        (parquet(BATCH.slice(0, 0)), "not that of|rows instead of one"),
        (parquet(BATCH.drop_columns(["encoder"])), "0 columns named 'encoder'"),
        (parquet(BATCH.drop_columns(["moments"])), "0 columns named 'moments'"),
        (parquet(BATCH, use_dictionary=True), "claims more|has fields"),
        (parquet(BATCH, write_statistics=True), "has fields"),
        (parquet(BATCH, compression="zstd"), "claims more"),
    ],
)
def test_a_file_that_a_store_would_not_have_written_is_refused(data, message):
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.from_parquet_bytes(data)


def test_a_file_that_grows_when_it_is_read_is_refused_in_little_memory():
    moments = {"zeros": np.zeros(4_000_000)}
    data = parquet(to_batch(vars(CHECKPOINT) | {"moments": moments}), compression="zstd")
    assert len(data) < 100_000
    before = pa.total_allocated_bytes()
    with pytest.raises(CheckpointError, match="claims more than the file can hold"):
        Checkpoint.from_parquet_bytes(data)
    assert pa.total_allocated_bytes() - before < 1_000_000


# --- without the moments ------------------------------------------------------------------------


class Counted(InMemory):
    """Content of a file that notes which bytes are read of it."""

    def read_at(self, offset, size):
        seen.append((offset, size))
        return super().read_at(offset, size)


seen = []


def large(n=200, **options):
    """A checkpoint whose moments are most of its file."""
    pca = StreamingPCA(3, **options).partial_fit(np.random.default_rng(0).normal(size=(2 * n, n)))
    return pca.checkpoint(key="k", window_end=MINUTE)


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "float32"}, {"scale": True}, {"missing": "impute"}]
)
def test_what_is_only_for_going_on_is_not_read(options):
    checkpoint = large(**options)
    data = checkpoint.to_parquet_bytes()
    seen.clear()
    fields = read_light(Counted(data))
    assert Checkpoint(**fields) == Checkpoint.from_parquet_bytes(data, moments=False)
    assert sum(size for _, size in seen) < len(data) - 200 * 200 * 4


def test_a_changed_byte_of_what_is_read_is_refused():
    data = bytearray(large().to_parquet_bytes())
    begin, end = pages_of(bytes(data[footer_start(memoryview(data)) :]), "moments")
    places = {*range(0, begin, 97), *range(end, len(data), 13), *range(len(data) - 400, len(data))}
    seal = data.rindex(b"streamP1") + 8  # the checksum of all is not that of what is read
    for at in sorted(places - {*range(seal, seal + 4)}):
        data[at] ^= 1 << at % 8
        try:
            fields = read_light(InMemory(bytes(data)))
        except WireError:
            fields = None
        assert fields is None, at  # refused, or left to the reader of all of the file
        with pytest.raises(CheckpointError):
            Checkpoint.from_parquet_bytes(bytes(data), moments=False)
        data[at] ^= 1 << at % 8


def test_a_file_of_an_older_version_is_read_at_once():
    checkpoint = large()
    data = checkpoint.to_parquet_bytes()
    at = data.rindex(_LIGHT)
    old = _sealed(data[:at] + data[at + 24 :])
    assert read_light(InMemory(old)) is None
    assert Checkpoint.from_parquet_bytes(old) == checkpoint


def test_a_large_file_torn_anywhere_is_refused():
    data = large().to_parquet_bytes()
    for size in (*range(300), *range(300, len(data), 4999), *range(len(data) - 300, len(data))):
        with contextlib.suppress(WireError):
            assert read_light(InMemory(data[:size])) is None, size


def test_a_history_reads_no_moments_and_says_the_same(tmp_path):
    store = CheckpointStore(tmp_path)
    store.write(large())
    (light,) = store.history("k", moments=False)
    (path,) = tmp_path.rglob("*.parquet")
    assert light == Checkpoint.from_parquet_bytes(path.read_bytes(), moments=False)
    assert not light.moments
    changed = bytearray(path.read_bytes())
    changed[200] ^= 1  # of the first columns
    path.write_bytes(changed)
    with pytest.warns(CheckpointWarning, match="checksum of the file does not match"):
        assert store.history("k", moments=False) == []
