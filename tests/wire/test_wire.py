"""Arrays come back bit for bit; whatever else arrives is refused with a sentence."""

import json
import math
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streampca.wire.arrays import WireError, decode, encode
from streampca.wire.sealed import seal, unseal

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
LAYOUTS = st.sampled_from(
    [np.ascontiguousarray, np.asfortranarray, np.transpose, lambda a: a[::-1]]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)

DATA = encode("example", {"mean": np.arange(3.0), "rows": np.array(7)}, {"names": ["a", "é"]})


@given(
    st.dictionaries(st.text(), st.tuples(ARRAYS, LAYOUTS), max_size=4),
    st.dictionaries(st.text(), JSON, max_size=3),
    st.booleans(),
)
def test_round_trip_keeps_values_types_shapes_and_order(given_arrays, meta, packed):
    arrays = {
        name: change(array) if array.ndim else array
        for name, (array, change) in given_arrays.items()
    }
    data = encode("any kind", arrays, meta, packed=packed)
    wire = decode(data, kind="any kind")
    assert wire.meta == meta
    some = list(arrays)[::2]
    alone = decode(data, only=[*some, "there is none"])
    assert list(alone.arrays) == some
    assert all(alone.arrays[n].tobytes() == wire.arrays[n].tobytes() for n in some)
    assert list(wire.arrays) == list(arrays)
    for name, array in arrays.items():
        read = wire.arrays[name]
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype.newbyteorder("=")
        assert read.shape == array.shape
        assert read.flags.f_contiguous or not array.flags.f_contiguous
        assert np.signbit(read).tolist() == np.signbit(array).tolist() or read.dtype.kind == "b"


def test_nan_infinity_and_negative_zero_keep_their_bits():
    array = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324])
    assert decode(encode("k", {"a": array}, {})).arrays["a"].tobytes() == array.tobytes()


def test_arrays_that_were_read_can_be_written_to_and_share_nothing():
    data = encode("k", {"a": np.zeros(4), "b": np.zeros(4)}, {})
    arrays = decode(data).arrays
    arrays["a"] += 1
    assert not arrays["b"].any()
    assert not decode(data).arrays["a"].any()


def test_headers_that_are_read_again_share_nothing():
    """Schemas of headers are kept, what is in them is each reader's own."""
    for _ in range(2):
        wire = decode(DATA)
        assert wire.meta == {"names": ["a", "é"]}
        wire.meta["names"].append("b")


@pytest.mark.parametrize("packed", [True, False])
def test_a_header_of_any_length_is_read(packed):
    """Those of wide models, too, whose schemas are not kept."""
    meta = {"names": [f"sensor {i}" for i in range(5000)]}
    arrays = {f"array {i}": np.arange(i) for i in range(3)}
    wire = decode(encode("k", arrays, meta, packed=packed))
    assert wire.meta == meta
    assert [len(array) for array in wire.arrays.values()] == [0, 1, 2]


def test_packed_numbers_stand_by_type():
    arrays = {"a": np.arange(2.0), "n": np.array(3), "b": np.ones((2, 2)), "yes": np.array([True])}
    batch = unseal(encode("k", arrays, {}, packed=True), lambda schema: None)
    assert batch.to_pydict() == {
        "float64": [[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]],
        "int64": [[3]],
        "bool": [[1]],
    }


@pytest.mark.parametrize("sizes", [(2, 5), (3, 4), (0, 5), (2**40, 4), (2**61, 2**61)])
def test_packed_shapes_that_are_not_the_data_s_are_refused(sizes):
    data = encode("k", {"a": np.zeros(2), "b": np.zeros(4)}, {}, packed=True)

    def change(header):
        for entry, size in zip(header["arrays"], sizes, strict=True):
            entry[2] = [size]

    with pytest.raises(WireError, match="Corrupt data"):
        decode(forge(change, data=data))


def test_the_same_arrays_give_the_same_bytes():
    arrays = {"a": np.arange(6.0).reshape(2, 3)}
    assert encode("k", arrays, {"x": 1}) == encode("k", arrays, {"x": 1})


def test_arrow_readers_see_plain_named_columns():
    table = pa.ipc.open_stream(DATA).read_all()
    assert table.to_pylist() == [{"mean": [0.0, 1.0, 2.0], "rows": [7]}]


def test_a_kind_that_was_not_asked_for_is_refused():
    with pytest.raises(WireError, match="Expected 'other', but the data holds 'example'"):
        decode(DATA, kind="other")


def test_data_torn_at_any_byte_is_refused():
    for size in range(len(DATA)):
        with pytest.raises(WireError):
            decode(DATA[:size])


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(WireError, match="Foreign|Torn"):
        decode(data)


def test_an_arrow_stream_of_somebody_else_is_refused():
    batch = pa.record_batch({"a": [1, 2, 3]})
    with pytest.raises(WireError, match="Foreign"):
        decode(batch.serialize().to_pybytes())
    with pytest.raises(WireError, match="does not say which streampca schema"):
        decode(seal(batch))


@pytest.mark.parametrize(
    "array",
    [
        np.array([1 + 2j]),
        np.array(["text"]),
        np.array([object()]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, [("a", "f8")]),
        np.zeros(2, np.longdouble),
    ],
)
def test_only_real_numbers_and_booleans_are_written(array):
    with pytest.raises(TypeError, match="Array 'weights' has dtype"):
        encode("k", {"weights": array}, {})


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"bytes", object()])
def test_meta_that_is_not_json_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="`meta` of 'k' cannot be written as JSON"):
        encode("k", {}, {"value": value})


def forge(change, columns=None, data=DATA):
    """DATA with a header of the caller's and a right checksum: what an attacker writes."""
    batch = unseal(data, lambda schema: None)
    header = json.loads(batch.schema.metadata[b"streampca.header"])
    changed = change(header)
    header = header if changed is None else changed
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    schema = (batch.schema if columns is None else pa.schema(columns)).with_metadata(
        {**batch.schema.metadata, b"streampca.header": text}
    )
    arrays = batch.columns if columns is None else [pa.nulls(1, t) for _, t in columns]
    return seal(pa.RecordBatch.from_arrays(arrays, schema=schema))


def shape(value):
    """A change of the header that gives the first array another shape."""

    def change(header):
        header["arrays"][0][2] = value

    return change


@pytest.mark.parametrize(
    "value",
    [
        [4], [2], [2**40], [2**40, 2**40], [2**61, 8], [0, 2**61], [-3], [-1, -3], [3.0], ["3"],
        [True, 3], [None], [1] * 40 + [3], [10**400], 3, "3", None, {"0": 3},
    ],
)  # fmt: skip
def test_a_declared_shape_that_is_not_the_data_s_is_refused_in_little_memory(value):
    data = forge(shape(value))
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="Corrupt data: array"):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_empty_array_with_a_huge_other_side_is_refused():
    data = encode("k", {"a": np.zeros((0, 3))}, {})
    assert decode(data).arrays["a"].shape == (0, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: b"",
        lambda header: b"[" * 100_000,
        lambda header: b"1" * 100_000,
        lambda header: b"\xff\xfe",
        lambda header: b"[]",
        lambda header: {"kind": "k"},
        lambda header: {**header, "kind": 3},
        lambda header: {**header, "arrays": {}},
        lambda header: {**header, "meta": []},
        lambda header: {**header, "arrays": header["arrays"][:1]},
        lambda header: {**header, "arrays": header["arrays"][::-1]},
        lambda header: {**header, "arrays": header["arrays"][:1] * 2},
        lambda header: {**header, "arrays": [["mean", "object", [3], "C"]]},
        lambda header: {**header, "arrays": [["mean", "float64", [3], "K"]]},
        lambda header: {**header, "arrays": [["mean", "float64", [3]]]},
        lambda header: {**header, "arrays": [3]},
    ],
)
def test_a_forged_header_is_refused(change):
    with pytest.raises(WireError, match="Foreign|Corrupt"):
        decode(forge(change))


def test_columns_of_another_type_are_refused():
    strings = pa.large_list(pa.string())
    with pytest.raises(WireError, match="columns are not those that the header names"):
        decode(forge(lambda header: None, [("mean", strings), ("rows", strings)]))


def test_a_missing_value_is_refused():
    batch = unseal(DATA, lambda schema: None)
    holes = pa.array([[0.0, None, 2.0]], pa.large_list(pa.float64()))
    with pytest.raises(WireError, match="array 'mean' has missing numbers"):
        decode(seal(pa.RecordBatch.from_arrays([holes, batch["rows"]], schema=batch.schema)))


def test_booleans_other_than_0_and_1_are_refused():
    batch = unseal(encode("k", {"mask": np.array([True, False])}, {}), lambda schema: None)
    two = pa.array([[2, 0]], pa.large_list(pa.uint8()))
    with pytest.raises(WireError, match="booleans other than 0 and 1"):
        decode(seal(pa.RecordBatch.from_arrays([two], schema=batch.schema)))


def test_more_rows_than_one_are_refused():
    batch = unseal(DATA, lambda schema: None)
    twice = pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()[0]
    with pytest.raises(WireError, match="2 rows where one was written"):
        decode(seal(twice))
