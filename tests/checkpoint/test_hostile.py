"""Files that were made to do harm are named and skipped, in little memory, without a hang."""

import os
import struct
import warnings
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from checkpoints import MINUTE, make
from children import within

from streampca import Checkpoint
from streampca.checkpoint import CheckpointError, CheckpointStore, CheckpointWarning, relative_path
from streampca.checkpoint.columns import to_batch
from streampca.checkpoint.files import MAX_FILE_BYTES
from streampca.checkpoint.footer import footer_start
from streampca.checkpoint.parquet import to_parquet
from streampca.wire.sealed import SCHEMA_VERSION, VERSION_KEY, WireError, seal

MEMORY = 100 * 2**20
"""What reading may take, in each of these cases, beyond what the process has."""

GOOD = make(window_end=MINUTE, key="k")
NEWER = make(window_end=2 * MINUTE, key="k", seed=1)
DATA = NEWER.to_parquet_bytes()
BEGIN = footer_start(memoryview(DATA))


def newer_schema():
    batch = NEWER.to_record_batch()
    metadata = batch.schema.metadata | {VERSION_KEY: str(SCHEMA_VERSION + 1).encode()}
    return to_parquet(batch.replace_schema_metadata(metadata))


def resealed(pages, footer):
    """What somebody writes who knows the format: the right checksum on changed pages or footer."""
    size = len(footer) - 8
    footer = footer[:-8] + struct.pack("<I", size) + b"PAR1"
    return pages + struct.pack("<8sI", b"streamP1", zlib.crc32(footer, zlib.crc32(pages))) + footer


def sparse(path, size, head=b"", tail=b""):
    """A file that claims a size and takes no room."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
        file.seek(size - len(tail))
        file.write(tail)


def bytes_of(data):
    return lambda path: path.write_bytes(data)


def folder(path):
    path.mkdir()
    (path / "w.parquet").write_bytes(DATA)


PAGES, FOOTER = DATA[: BEGIN - 12], DATA[BEGIN:]
END = struct.pack("<I", 1000) + b"PAR1"
VARINT_MAX = b"\xff\xff\xff\xff\x0f"

HOSTILE = {
    "zero length": (bytes_of(b""), "it is empty"),
    "foreign": (bytes_of(os.urandom(5000)), "no Parquet file"),
    "newer schema": (bytes_of(newer_schema()), "newer than .*upgrade streampca"),
    "claims a footer of gigabytes": (
        bytes_of(DATA[:-8] + b"\xff\xff\xff\xffPAR1"),
        "torn",
    ),
    "sparse, as large as may be read": (
        lambda path: sparse(path, MAX_FILE_BYTES, b"PAR1"),
        "torn",
    ),
    "sparse, with a footer of gigabytes": (
        lambda path: sparse(path, MAX_FILE_BYTES, b"PAR1", b"\xff\xff\xff\xffPAR1"),
        "torn|did not write",
    ),
    "sparse, with both ends right": (
        lambda path: sparse(path, MAX_FILE_BYTES, b"PAR1", b"streamP1" + bytes(1004) + END),
        "does not say which streampca schema",
    ),
    "sparse, with a checkpoint's own footer": (
        lambda path: sparse(path, MAX_FILE_BYTES, PAGES, DATA[BEGIN - 12 :]),
        "its columns claim",
    ),
    "sparse, beyond all": (lambda path: sparse(path, 2**43, b"PAR1", END), "more than"),
    "footer of lists of gigabytes": (
        bytes_of(resealed(PAGES, b"\x19\xfc" + VARINT_MAX + END)),
        "longer list|no number|not that",
    ),
    "footer of texts of gigabytes": (
        bytes_of(resealed(PAGES, b"\x18" + VARINT_MAX + END)),
        "longer text|not that",
    ),
    "footer nested without end": (bytes_of(resealed(PAGES, b"\x1c" * 900 + END)), "nested"),
    "a symbolic link": (lambda path: path.symlink_to("/dev/zero"), "symbolic link"),
    "a symbolic link to itself": (lambda path: path.symlink_to(path), "symbolic link"),
    "a folder": (folder, "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
}


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "store")
    store.write(GOOD)
    return store


@pytest.mark.parametrize(("place", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_named_and_skipped_in_bounded_memory(tmp_path, store, place, reason):
    path = tmp_path / "store" / relative_path(NEWER)
    place(path)

    def look():
        for ask in (
            lambda: store.latest("k"),
            lambda: store.at(5 * MINUTE, "k"),
            lambda: store.resume_point("k"),
            lambda: store.history("k")[-1],
        ):
            with pytest.warns(CheckpointWarning, match=reason) as caught:
                assert ask() == GOOD
            assert str(path) in str(caught[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert store.keys() == ["k"]

    within(look, memory=MEMORY, seconds=30)
    if path.is_dir():
        return  # a write cannot replace a folder, and says so
    store.write(NEWER)
    assert store.latest("k") == NEWER


def test_a_folder_in_the_place_of_a_file_makes_writing_it_an_error(tmp_path, store):
    folder(tmp_path / "store" / relative_path(NEWER))
    with pytest.raises(OSError, match=r"directory"):
        store.write(NEWER)
    store.write(make(window_end=3 * MINUTE, key="k"))
    assert os.listdir(tmp_path / "store" / ".tmp") == []


def test_a_file_cut_anywhere_is_named_and_skipped(tmp_path, store):
    path = tmp_path / "store" / relative_path(NEWER)

    def look():
        for size in (*range(80), *range(80, len(DATA) - 80, 89), *range(len(DATA) - 80, len(DATA))):
            path.write_bytes(DATA[:size])
            with pytest.warns(CheckpointWarning, match=path.name):
                assert store.latest("k") == GOOD

    within(look, memory=MEMORY)


def test_a_bit_flipped_anywhere_is_named_and_skipped(tmp_path, store):
    path = tmp_path / "store" / relative_path(NEWER)

    def look():
        for at in range(0, len(DATA), 41):
            changed = bytearray(DATA)
            changed[at] ^= 1 << at % 8
            path.write_bytes(changed)
            with pytest.warns(CheckpointWarning, match=path.name):
                assert store.latest("k") == GOOD

    within(look, memory=MEMORY)


def test_pages_changed_under_a_right_checksum_are_an_error_or_a_whole_checkpoint():
    """Every second byte of the pages, levels and lengths included, set to something else."""

    def look():
        for at in range(4, len(PAGES), 2):
            value = (0xFF, 0x7F, 0x00)[at // 2 % 3]
            data = resealed(PAGES[:at] + bytes([value]) + PAGES[at + 1 :], FOOTER)
            try:
                found = Checkpoint.from_parquet_bytes(data)
            except CheckpointError:
                continue
            assert Checkpoint.from_parquet_bytes(found.to_parquet_bytes()) == found

    within(look, memory=2 * MEMORY, seconds=120)


def test_a_page_that_claims_gigabytes_is_refused():
    """Four bytes at a time, as the largest number that Thrift writes in five."""

    def look():
        for at in range(4, len(PAGES) - 5, 3):
            data = resealed(PAGES[:at] + VARINT_MAX + PAGES[at + 5 :], FOOTER)
            try:
                Checkpoint.from_parquet_bytes(data)
            except CheckpointError:
                continue

    within(look, memory=2 * MEMORY, seconds=120)


def test_arrow_bytes_that_claim_gigabytes_are_refused():
    stream = seal(NEWER.to_record_batch())[:-20]

    def look():
        for at in range(0, len(stream) - 8, 4):
            for claim in (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"):
                changed = stream[:at] + claim + stream[at + 4 :]
                trailer = struct.pack("<8sIQ", b"streamP1", zlib.crc32(changed), len(changed))
                try:
                    Checkpoint.from_bytes(changed + trailer)
                except WireError:
                    continue

    within(look, memory=2 * MEMORY, seconds=120)


def test_a_megabyte_of_settings_and_a_million_names_are_bounded_by_the_file():
    def look():
        batch = to_batch(vars(GOOD))
        at = batch.schema.get_field_index("settings")
        for text in ("[" * 200_000, '{"a": ' * 100_000, "1" * 1_000_000, '"' + "\\u0000" * 100_000):
            column = pa.array([text], pa.string())
            hostile = batch.set_column(at, batch.schema.field(at), column)
            with pytest.raises(CheckpointError):
                Checkpoint.from_bytes(seal(hostile))

    within(look, memory=MEMORY)


def test_reading_takes_a_small_multiple_of_the_file(tmp_path):
    large = make(n=1000, window_end=MINUTE)  # 8 MB of moments
    store = CheckpointStore(tmp_path)
    size = Path(store.write(large)).stat().st_size

    def look():
        assert store.latest() == large

    within(look, memory=8 * size)
