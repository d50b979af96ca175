"""A sealed record batch is read whole and unchanged, or not at all."""

import struct
import zlib

import pyarrow as pa
import pytest

from streampca.wire.sealed import VERSION_KEY, WireError, check_version, seal, unseal

BATCH = pa.record_batch(
    {"a": pa.array([[1.0, 2.0, 3.0]])},
).replace_schema_metadata({VERSION_KEY: b"1"})


def accept(schema: pa.Schema) -> None:
    """Any schema will do."""


def with_right_checksum(stream: bytes) -> bytes:
    """What somebody writes who knows the format and wants to get past the checksum."""
    return stream + struct.pack("<8sIQ", b"streamP1", zlib.crc32(stream), len(stream))


def test_round_trip_keeps_columns_and_metadata():
    batch = unseal(seal(BATCH), accept)
    assert batch.equals(BATCH, check_metadata=True)


def test_sealed_bytes_are_an_arrow_stream_for_every_other_reader():
    assert pa.ipc.open_stream(seal(BATCH)).read_all().to_batches() == [BATCH]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_object_is_read(kind):
    assert unseal(kind(seal(BATCH)), accept) == BATCH


def test_data_torn_at_any_byte_is_refused():
    data = seal(BATCH)
    for size in range(len(data)):
        with pytest.raises(WireError, match="Torn|Foreign"):
            unseal(data[:size], accept)


def test_a_change_of_any_bit_is_refused():
    data = seal(BATCH)
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(WireError):
                unseal(changed, accept)


def test_data_with_something_appended_or_put_before_it_is_refused():
    data = seal(BATCH)
    for changed in (data + b"\0", b"\0" + data, data + data):
        with pytest.raises(WireError, match="Torn"):
            unseal(changed, accept)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", bytes(1000), b"\x80\x04\x95.", b"a" * 100, b"\xff\xff\xff\xff" * 9]
)
def test_foreign_bytes_are_refused(data):
    with pytest.raises(WireError, match="Foreign data: .* streampca did not write"):
        unseal(data, accept)
    with pytest.raises(WireError, match="Foreign|not a readable Arrow stream"):
        unseal(with_right_checksum(data), accept)


def test_every_truncation_with_a_right_checksum_is_an_error_and_never_a_crash():
    stream = seal(BATCH)[:-20]
    whole = [unseal(seal(BATCH), accept)]
    for size in range(0, len(stream), 3):
        try:
            read = unseal(with_right_checksum(stream[:size]), accept)
        except WireError:
            continue
        assert [read] == whole  # only the end-of-stream mark was cut


def test_every_changed_byte_with_a_right_checksum_is_an_error_or_a_valid_batch():
    stream = bytearray(seal(BATCH)[:-20])
    for at in range(len(stream)):
        for change in (0xFF, 0x80, 0x01):
            stream[at] ^= change
            try:
                unseal(with_right_checksum(bytes(stream)), accept).validate(full=True)
            except WireError:
                pass
            finally:
                stream[at] ^= change


def test_a_body_that_decompresses_to_anything_is_refused_unread():
    bomb = pa.record_batch({"a": pa.array([bytes(50_000_000)])})
    bomb = bomb.replace_schema_metadata({VERSION_KEY: b"1"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, bomb.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_batch(bomb)
    data = with_right_checksum(sink.getvalue().to_pybytes())
    assert len(data) < 10_000
    before = pa.total_allocated_bytes()
    with pytest.raises(WireError, match="not compressed"):
        unseal(data, accept)
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_the_schema_is_checked_before_the_body_is_read():
    def refuse(schema: pa.Schema) -> None:
        raise WireError("not what was wanted")

    schema_message = BATCH.schema.serialize().to_pybytes()
    with pytest.raises(WireError, match="not what was wanted"):
        unseal(with_right_checksum(schema_message + b"no batch at all"), refuse)


def test_a_newer_schema_says_to_upgrade():
    newer = BATCH.replace_schema_metadata({VERSION_KEY: b"4"})
    with pytest.raises(WireError, match="schema 4, newer than 3.*upgrade streampca"):
        unseal(seal(newer), accept)


@pytest.mark.parametrize("text", [b"", b"0", b"-1", b"one", b"1" * 5000, b"\xb2", None])
def test_a_version_that_is_not_a_positive_number_is_foreign(text):
    with pytest.raises(WireError, match="does not say which"):
        check_version({} if text is None else {VERSION_KEY: text})
