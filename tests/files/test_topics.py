"""Topics as sources: every row of every message once, from any place on; what is bad is named."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.files import batches, options, read
from streampca.files.chunk import Wanted
from streampca.files.kafka import Message, config_of

pytest.importorskip("confluent_kafka")

import brokers
from made_messages import FORMS, NAMES, SCHEMA

_names = (f"topic{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def mock():
    return brokers.Mock()


number = st.floats(-1e6, 1e6, allow_subnormal=False)
row = st.tuples(number, number)
groups = st.lists(st.lists(row, min_size=1, max_size=4), min_size=1, max_size=12)


def messages_of(form, parts):
    """Rows in messages, and the format: offsets have gaps, as those of transactions have."""
    kind, encode = FORMS[form]
    values = [value for part in parts for value in encode(part)]
    return kind, [Message(3 * i, 1000 * i, b"k", value) for i, value in enumerate(values)]


def made_of(kind, known=NAMES):
    schema = None if kind != "avro" else SCHEMA
    reader = batches.reader_of("json" if kind == "jsonl" else kind, schema)
    numbers = dict.fromkeys(NAMES, pa.float64())
    return batches.Batches(kind, reader, Wanted(NAMES, NAMES, known), numbers)


def rows_of(chunk):
    columns = [np.asarray(chunk.columns[name], float) for name in NAMES]
    return np.column_stack(columns)[chunk.start.skip :]


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=40)
@given(parts=groups, size=st.integers(1, 5), data=st.data())
def test_whoever_goes_on_from_any_place_gets_the_rest(form, parts, size, data):
    kind, messages = messages_of(form, parts)
    expected = np.concatenate(parts)
    taken, places = [], []
    for i in range(0, len(messages), size):
        for chunk in made_of(kind).chunks(0, messages[i : i + size], None):
            taken.append(rows_of(chunk))
            places += [chunk.place_after(k) for k in range(1, chunk.n_records + 1)]
    np.testing.assert_array_equal(np.concatenate(taken), expected)
    assert len(places) == len(expected)
    cut = data.draw(st.integers(1, len(expected)))
    place = places[cut - 1]
    left = [message for message in messages if message.offset >= place.offset]
    rest = [rows_of(c) for c in made_of(kind).chunks(0, left, place)] if left else []
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 2)), *rest]), expected[cut:])


def test_a_message_that_was_compacted_away_takes_no_other_row_along():
    _, messages = messages_of("an array", [[(1, 2), (3, 4)], [(5, 6), (7, 8)]])
    (chunk,) = made_of("jsonl").chunks(0, messages, None)
    place = chunk.place_after(1)
    assert (place.offset, place.skip) == (0, 1)
    (rest,) = made_of("jsonl").chunks(0, messages[1:], place)
    np.testing.assert_array_equal(rows_of(rest), [[5, 6], [7, 8]])


@pytest.mark.parametrize("form", FORMS)
def test_a_topic_gives_the_rows_of_all_partitions_in_their_order(mock, form, tmp_path):
    rng = np.random.default_rng(0)
    name, kind = next(_names), FORMS[form][0]
    asked = {"input_format": kind}
    if kind == "avro":
        (tmp_path / "row.avsc").write_text(json.dumps(SCHEMA))
        asked["avro_schema"] = str(tmp_path / "row.avsc")
    sent = {}
    for partition in range(3):
        parts = [rng.normal(size=(rng.integers(1, 5), 2)).tolist() for _ in range(40)]
        address = mock.send(name, [v for p in parts for v in FORMS[form][1](p)], partition)
        sent[partition] = np.concatenate(parts)
    found = {partition: [] for partition in sent}
    for rows in read(address, until_end=True, **asked):
        found[rows.chunk.part].append(rows.values)
    for partition, rows in sent.items():
        np.testing.assert_array_equal(np.concatenate(found[partition]), rows)


def test_arrays_of_numbers_are_one_column_of_lists(mock):
    values = [json.dumps([i, 2 * i, 3 * i]).encode() for i in range(50)]
    address = mock.send(next(_names), values)
    found = list(read(address, until_end=True))
    assert found[0].names == ["values_0", "values_1", "values_2"]
    assert np.concatenate([rows.values for rows in found]).sum() == 6 * sum(range(50))


def test_keys_and_times_of_messages_are_columns(mock):
    values = [b'{"oil": 1, "air": %d}' % i for i in range(6)]
    keys = [b"a", b"b", None, b"\xff", b"a", b""]
    address = mock.send(next(_names), values, keys=keys)
    given = {"key_column": "kafka.key", "timestamp_column": "kafka.timestamp", "bad_rows": "skip"}
    parts = list(read(address, until_end=True, **given))  # as many as the broker gives
    assert [key for rows in parts for key in rows.keys] == ["a", "b", "a"]
    assert parts[0].names == NAMES
    times = np.concatenate([rows.times for rows in parts])
    assert (np.diff(times) >= 0).all()
    assert times[0] > 1.7e15
    reasons = [bad.reason.partition(": ")[2] for rows in parts for bad in rows.bad]
    assert reasons[0] == "the key 'kafka.key' is missing"
    assert reasons[1].startswith("the key 'kafka.key' is b'\\xff'")
    assert reasons[2] == "the key 'kafka.key' is missing"


BAD = {
    "no JSON": b"oil",
    "no UTF-8": b"\xff\xfe{}",
    "not a row": b"7",
    "half": b'{"oil": 1, "air"',
    "twice": b'{"oil": 1, "oil": 2, "air": 3}',
    "a member more": b'{"oil": 1, "air": 2, "wet": 3}',
    "no value": None,
    "text": b'{"oil": "wet", "air": 2}',
    "nothing": b'{"oil": 1}',
    "an array": b"[1, 2]",
    "bad row in a message": b'[{"oil": 1, "air": 2}, {"oil": 1, "air": "wet"}]',
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("form", ["at once", "one by one"])
def test_a_bad_message_is_named_by_partition_and_offset(mock, what, form):
    good = b'{"oil": 1, "air": 2}' if form == "at once" else b'{"oil": 1,\n "air": 2}'
    name = next(_names)
    address = mock.send(name, [good] * 205 + [BAD[what]] + [good] * 4, 1)
    with pytest.raises(ValueError, match=f"^{address}, partition 1, offset 205") as caught:
        list(read(address, until_end=True))
    assert "--bad-rows skip" in str(caught.value)
    found = list(read(address, until_end=True, bad_rows="skip"))
    n = sum(len(rows.values) for rows in found)
    assert n == 209 + (what == "bad row in a message")
    assert sum(len(rows.bad) for rows in found) == 1


def test_what_comes_first_need_not_be_good(mock):
    address = mock.send(next(_names), [b"oil", b'{"oil": 1, "air": 2}', b"[1, 2]"])
    assert next(read(address, until_end=True, bad_rows="skip")).names == NAMES
    address = mock.send(next(_names), [b"oil"])
    with pytest.raises(ValueError, match="none of the first 1 messages .* no JSON: .* say --input"):
        list(read(address, until_end=True, bad_rows="skip"))


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("kafka://", "no address"),
        ("kafka:///topic", "no address"),
        ("kafka://host:9092", "no address"),
        ("kafka://host:9092/a/b", "no address"),
        ("kafka://host:9092/a?x=1", "--kafka-config"),
        ("kafka://me:secret@host:9092/a", "kafka://host:9092/a: names and passwords"),
    ],
)
def test_addresses(address, said):
    with pytest.raises(ValueError, match=said) as caught:
        read(address)
    assert "secret" not in str(caught.value)


def test_options_of_topics_are_refused_for_files(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "config").write_text("")
    values = {"until_end": True, "max_messages": 3, "start_at": "latest"}
    for option in options.TOPICS:
        value = values.get(option.name, str(tmp_path / "config"))
        with pytest.raises(ValueError, match=f"{option.name} is of topics"):
            list(read(str(tmp_path / "a.csv"), **{option.name: value}))
    with pytest.raises(ValueError, match="avro is read from topics only"):
        read(str(tmp_path / "a.csv"), input_format="avro")


def test_formats_that_messages_have_not():
    for form in ("csv", "parquet", "npy"):
        with pytest.raises(ValueError, match="messages of a topic are jsonl, arrow, avro"):
            read("kafka://host:9092/topic", input_format=form)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sasl.username", "line 1: is no property"),
        ("# x\n\n=3", "line 3: is no property"),
        ("enable.auto.commit=true", "never in the broker"),
        ("auto.offset.reset=latest", "never in the broker"),
        ("bootstrap.servers=host:1", "stand in the address"),
    ],
)
def test_properties(tmp_path, text, said):
    (tmp_path / "config").write_text(text)
    with pytest.raises(ValueError, match=said):
        config_of(str(tmp_path / "config"))


def test_properties_that_the_client_does_not_know(mock, tmp_path):
    (tmp_path / "config").write_text("sasl.jaas=x\n")
    address = mock.send(next(_names), [b'{"oil": 1}'])
    with pytest.raises(ValueError, match=r'No such configuration property: "sasl.jaas"'):
        next(read(address, kafka_config=str(tmp_path / "config")))


@pytest.mark.parametrize("value", ["first", "2026-13-01", "-1", ""])
def test_where_to_begin(value):
    with pytest.raises(ValueError, match="start_at .*: give earliest, latest, or a time"):
        read("kafka://host:9092/topic", start_at=value)
