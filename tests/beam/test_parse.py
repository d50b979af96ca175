"""Messages of queues as rows: every row once with key and time, or its message with a reason."""

import io
import json
from typing import NamedTuple

import apache_beam as beam
import engines
import fastavro
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import assert_equals_batch, stream

from beam_pipelines import LearnComponents, ParseRows, WriteCheckpoints
from beam_pipelines.sources.parse import opened
from streampca import CheckpointStore
from streampca.files import BadMessage, reader_of

NAMES = ["oil", "air", "water"]
SCHEMA = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "press", "type": "string"},
        {"name": "at", "type": "double"},
        *({"name": name, "type": "double"} for name in NAMES),
    ],
}


def records(m=120):
    X, times = stream(m, 3)
    return X, [
        {"press": f"p{i % 2}", "at": float(t), **dict(zip(NAMES, map(float, x), strict=True))}
        for i, (x, t) in enumerate(zip(X, times, strict=True))
    ]


def as_json(rows):
    return json.dumps(rows[0] if len(rows) == 1 else rows).encode()


def as_lines(rows):
    return "\n".join(map(json.dumps, rows)).encode()


def as_stream(rows):
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return sink.getvalue().to_pybytes()


def as_file(rows):
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def as_container(rows):
    sink = io.BytesIO()
    fastavro.writer(sink, fastavro.parse_schema(dict(SCHEMA)), rows)
    return sink.getvalue()


def as_record(rows):
    (row,) = rows
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(dict(SCHEMA)), row)
    return sink.getvalue()


WRITERS = {
    "object or array": ("json", as_json, 7),
    "lines": ("json", as_lines, 7),
    "Arrow stream": ("arrow", as_stream, 11),
    "Arrow file": ("arrow", as_file, 11),
    "Avro container": ("avro", as_container, 7),
    "Avro record": ("avro", as_record, 1),
}


def in_messages(rows, write, most):
    sizes = np.random.default_rng(0).integers(1, most + 1, len(rows))
    bounds = [b for b in np.cumsum(sizes) if b < len(rows)]
    return [write(rows[a:b]) for a, b in zip([0, *bounds], [*bounds, len(rows)], strict=True)]


@pytest.mark.parametrize("form", WRITERS)
def test_every_row_is_learned_once_in_its_window_and_of_its_key(form, tmp_path):
    X, rows = records()
    name, write, most = WRITERS[form]
    messages = in_messages(rows, write, most)
    bad = [b"\x00wet", b""]
    parse = ParseRows(
        name, key="press", timestamp="at", schema=SCHEMA if name == "avro" else None, bad_rows=True
    )
    with engines.pipeline() as p:
        parsed = p | beam.Create([*messages, *bad]) | parse
        learned = (
            parsed.rows | beam.WindowInto(FixedWindows(60)) | LearnComponents(2, features=NAMES)
        )
        _ = learned | WriteCheckpoints(str(tmp_path))
        assert_that(
            parsed.bad_rows | beam.Map(lambda each: each.element),
            lambda found: sorted(found) == sorted(bad) or pytest.fail(str(found)),
        )
    store = CheckpointStore(tmp_path)
    assert store.keys() == ["p0", "p1"]
    for i in range(2):
        first, last = store.history(f"p{i}")
        assert_equals_batch(first, X[i:60:2])
        assert_equals_batch(last, X[i::2])
        assert last.feature_names == tuple(NAMES)


# --- what a message may come in ------------------------------------------------------------------


class Record(NamedTuple):
    """What ReadFromKafka(with_metadata=True) gives."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes


CARRIERS = {
    "bytes": (b"{}", None),
    "bytearray": (bytearray(b"{}"), None),
    "text": ("{}", None),
    "pair": ((b"p", b"{}"), "p"),
    "pair without a key": ((None, b"{}"), None),
    "record": (Record("t", 0, 7, b"p", b"{}"), "p"),
    "Pub/Sub": (PubsubMessage(b"{}", {}), None),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("with_key", [False, True])
def test_bytes_are_taken_out_of_what_connectors_give(carrier, with_key):
    message, key = CARRIERS[carrier]
    assert opened(message, with_key) == (key if with_key else None, b"{}")


@pytest.mark.parametrize("message", [None, 3, (b"k", None), {"a": 1}, (b"a", b"b", b"c")])
def test_what_has_no_bytes_is_named(message):
    with pytest.raises(BadMessage, match="no bytes"):
        opened(message, False)


def test_the_key_of_a_message_is_the_key_of_its_rows():
    messages = [(b"a", b'{"oil": 1}'), ("b", b"[[1, 2], [3, 4]]"), (b"\xff", b"{}")]
    with engines.pipeline() as p:
        parsed = p | beam.Create(messages) | ParseRows(message_key=True, bad_rows=True)
        assert_that(
            parsed.rows,
            lambda found: (
                sorted(map(str, found)) == ["('a', {'oil': 1})", "('b', [1, 2])", "('b', [3, 4])"]
                or pytest.fail(str(found))
            ),
        )
        assert_that(
            parsed.bad_rows,
            lambda bad: (
                ["no UTF-8" in each.reason for each in bad] == [True] or pytest.fail(str(bad))
            ),
            label="bad",
        )


# --- bad messages: all of one or nothing ----------------------------------------------------------


BAD = {
    "no JSON": (b"oil", "no JSON"),
    "torn": (b'{"press": "a", "at": 1, "oil": 2', "no JSON"),
    "not UTF-8": (b'{"press": "\xff"}', "no UTF-8"),
    "a number": (b"3", "a row is an object"),
    "text": (b'"row"', "a row is an object"),
    "nothing": (b"null", "a row is an object"),
    "no field": (b'{"press": "a", "oil": 2}', "no field 'at': it has oil"),
    "no key": (b'{"at": 1, "oil": 2}', "no field 'press': it has at, oil"),
    "null key": (b'{"press": null, "at": 1}', "'press' is None"),
    "empty key": (b'{"press": "", "at": 1}', "'press' is ''"),
    "key of another kind": (b'{"press": 1.5, "at": 1}', "key 1.5 is a float"),
    "no time": (b'{"press": "a", "at": "noon"}', "'noon', no time"),
    "milliseconds": (b'{"press": "a", "at": 1767225600000}', "column 'at' is 1767225600000"),
    "null time": (b'{"press": "a", "at": null}', "'at'"),
    "twice": (b'{"press": "a", "at": 1, "oil": 1, "oil": 2}', "'oil' twice"),
    "a vector": (b"[1, 2, 3]", "without names has no field 'press'"),
    "one of several": (
        b'[{"press": "a", "at": 1, "oil": 1}, {"press": "a", "oil": 2}]',
        "no field 'at'",
    ),
    "a bad line": (b'{"press": "a", "at": 1}\n{"press"\n', "line 2 is no JSON"),
    "nested": (b"[" * 100_000, "no JSON"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_message_is_given_out_as_it_came_and_none_of_its_rows_is_used(what):
    message, reason = BAD[what]
    good = b'{"press": "a", "at": 5, "oil": 1.5}'
    with engines.pipeline() as p:
        parsed = (
            p | beam.Create([message, good]) | ParseRows(key="press", timestamp="at", bad_rows=True)
        )
        assert_that(
            parsed.rows, lambda rows: rows == [("a", {"oil": 1.5})] or pytest.fail(str(rows))
        )

        def check(bad):
            (one,) = bad
            assert one.element == message
            assert reason in one.reason

        assert_that(parsed.bad_rows, check, label="bad")


def test_without_an_output_for_them_the_first_fails_the_pipeline():
    with pytest.raises(Exception, match="no field 'at'"), engines.pipeline() as p:
        _ = p | beam.Create([b'{"oil": 1}']) | ParseRows(timestamp="at")


@pytest.mark.parametrize("form", ["Arrow stream", "Arrow file", "Avro container", "Avro record"])
@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), what=st.integers(0, 2))
def test_torn_and_changed_bytes_are_read_or_refused(form, at, what):
    name, write, _ = WRITERS[form]
    data = write(records(3)[1][:1])
    place = int(at * len(data))
    changed = {
        0: data[:place],
        1: data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :],
        2: data[:place] + data[place + 1 :],
    }[what]
    read = reader_of(name, SCHEMA if name == "avro" else None)
    try:
        found = read(changed)
    except BadMessage:
        return
    assert isinstance(found, list)


def test_a_record_of_another_schema_is_refused_not_misread():
    data = as_record(records(1)[1])
    shorter = SCHEMA | {"fields": SCHEMA["fields"][:-1]}
    with pytest.raises(BadMessage, match="follows another schema"):
        reader_of("avro", shorter)(data)
    with pytest.raises(BadMessage, match="give schema="):
        reader_of("avro")(data)
    assert reader_of("avro", json.dumps(SCHEMA))(data) == records(1)[1]


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "options", "seconds"),
    [
        (12.5, {}, 12.5),
        ("1970-01-01T00:01:00Z", {}, 60),
        ("1970-01-01T01:00:00", {"timezone": "Europe/Berlin"}, 0),
        (60_000, {"timestamp_unit": "ms"}, 60),
        ("01.01.1970 00:02", {"timestamp_format": "%d.%m.%Y %H:%M"}, 120),
    ],
)
def test_times_mean_what_is_said(value, options, seconds):
    message = json.dumps({"t": value, "oil": 1}).encode()

    def stamp(row, timestamp=beam.DoFn.TimestampParam):
        return row, float(timestamp)

    with engines.pipeline() as p:
        rows = p | beam.Create([message]) | ParseRows(timestamp="t", **options) | beam.Map(stamp)
        assert_that(rows, lambda found: found == [({"oil": 1}, seconds)] or pytest.fail(str(found)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xml"}, "format='xml'"),
        ({"schema": SCHEMA}, "schema is for Avro"),
        ({"key": "a", "message_key": True}, "give one of them"),
        ({"timezone": "UTC"}, "timezone says what the field timestamp means"),
        ({"timestamp": "t", "timestamp_unit": "h"}, "use s, ms, us or ns"),
        ({"timestamp": "t", "timestamp_unit": "s", "timestamp_format": "%Y"}, "give one"),
    ],
)
def test_options_that_do_not_fit_are_named_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        ParseRows(**options)
