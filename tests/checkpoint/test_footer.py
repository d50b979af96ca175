"""A Parquet footer is read within its length, whatever it claims."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streampca.checkpoint.footer import check_footer, footer_start
from streampca.checkpoint.thrift import read_struct
from streampca.wire.sealed import WireError


def footer_of(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    data = sink.getvalue()
    return data[footer_start(memoryview(data)) : -8], len(data)


def test_numbers_are_those_that_pyarrow_reads():
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    fields = read_struct(footer_of(table, compression="zstd")[0])
    assert fields[3] == 3
    (group,) = fields[4]
    first, second = (chunk[3] for chunk in group[1])
    assert (first[3], second[3]) == ([b"a"], [b"b"])
    assert (first[4], first[5]) == (6, 3)  # ZSTD, three values


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_within_their_length(footer):
    with pytest.raises(WireError):
        check_footer(footer, 1000)


@pytest.mark.parametrize(
    "footer",
    [
        b"\x19\xfc\xff\xff\xff\xff\x07",  # a list of two thousand million structs
        b"\x18\xff\xff\xff\xff\x07",  # a text of as many bytes
        b"\x1c" * 100_000,  # structs in structs
        b"\x19\x19" * 100_000,  # lists in lists
        b"\x16" + b"\xff" * 100,  # a number without an end
        b"\x1d\x00",  # a type that does not exist
    ],
)
def test_a_hostile_footer_is_refused(footer):
    with pytest.raises(WireError):
        check_footer(footer, 1000)
