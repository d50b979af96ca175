"""ParseRows: messages of Kafka, Pub/Sub or any queue become rows with keys and event times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_pipelines.rows import BAD_ROWS, BadRow, key_text
from streampca.files import BadMessage, Rule, reader_of, times_of


class ParseRows(beam.PTransform):
    """Messages in, rows out, as `LearnComponents` takes them.

    Parameters
    ----------
    format : {"json", "arrow", "avro"}, default="json"
        JSON: an object is a row, and so is an array of numbers; an array of these, or a line for
        each, are several. Arrow: an IPC stream or file. Avro: a container file, or one record.
    key : str, optional
        The field that says which model a row is for; rows are then (key, row) pairs, and the field
        is no feature.
    message_key : bool, default=False
        Take the key of the message (Kafka's) instead, as UTF-8.
    timestamp : str, optional
        The field with the event time of a row; it is no feature. By default a row has the time of
        its message, as the connector sets it.
    timestamp_format, timestamp_unit, timezone : str, optional
        What times mean, as for files: a `strptime` format of text, "s", "ms", "us" or "ns" of
        numbers, and the zone of times that name none. Numbers are seconds where nothing is said,
        and such as can hardly be (milliseconds) are then refused, not guessed.
    schema : dict or str, optional
        Avro's schema, which messages of one record need.
    bad_rows : bool, default=False
        Whether messages that cannot be read are an output of their own, `BadRow`s with the message
        as it came: then the result has `rows` and `bad_rows`. Otherwise the first of them fails
        the pipeline. No row of a bad message is used.

    Examples
    --------
    >>> import apache_beam as beam
    >>> messages = [b'{"press": "a", "oil": 1.5, "at": 7}', b"oil"]
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     parsed = (
    ...         pipeline
    ...         | beam.Create(messages)
    ...         | ParseRows(key="press", timestamp="at", bad_rows=True)
    ...     )
    ...     _ = parsed.rows | "Rows" >> beam.Map(print)
    ...     _ = parsed.bad_rows | "Bad" >> beam.Map(lambda bad: print(bad.element, bad.reason[:7]))
    ('a', {'oil': 1.5})
    b'oil' no JSON
    """

    def __init__(
        self,
        format: str = "json",
        *,
        key: str | None = None,
        message_key: bool = False,
        timestamp: str | None = None,
        timestamp_format: str | None = None,
        timestamp_unit: str | None = None,
        timezone: str | None = None,
        schema: Any = None,
        bad_rows: bool = False,
    ) -> None:
        super().__init__()
        reader_of(format, schema)  # raises at once
        if key is not None and message_key:
            raise ValueError("key and message_key both say where keys are: give one of them")
        given = {
            "timestamp_format": timestamp_format,
            "timestamp_unit": timestamp_unit,
            "timezone": timezone,
        }
        unused = [name for name, value in given.items() if value is not None]
        if timestamp is None and unused:
            raise ValueError(f"{unused[0]} says what the field timestamp means: give its name, too")
        if timestamp_format is not None and timestamp_unit is not None:
            raise ValueError("timestamp_format is of text, timestamp_unit of numbers: give one")
        if timestamp_unit not in (None, "s", "ms", "us", "ns"):
            raise ValueError(f"timestamp_unit={timestamp_unit!r}: use s, ms, us or ns")
        rule = Rule(timestamp_format, timestamp_unit or "s", timestamp_unit is None, timezone)
        times_of(["2000-01-01"] if timestamp_format is None else [], "timestamp", rule)  # the zone
        self._places = Places(key, message_key, timestamp, rule)
        self._parse = Parse(format, schema, self._places, bad_rows)
        self._bad_rows = bad_rows

    def expand(self, messages: Any) -> Any:
        """Build the step."""
        step = beam.ParDo(self._parse)
        # Two outputs in any case: a step with one has another name.
        parsed = messages | "Parse" >> step.with_outputs(BAD_ROWS, main="rows")
        return parsed if self._bad_rows else parsed.rows


class Places(NamedTuple):
    """Where keys and times of rows are."""

    key: str | None
    message_key: bool
    timestamp: str | None
    rule: Rule

    @property
    def keyed(self) -> bool:
        """Whether rows have keys."""
        return self.key is not None or self.message_key


class Placed(NamedTuple):
    """A row, or rows of one key and time."""

    key: Any
    row: Any
    micros: int | None


class Parse(beam.DoFn):
    """One message at a time: all of its rows, or none."""

    def __init__(self, form: str, schema: Any, places: Places, bad_rows: bool) -> None:
        self._form, self._schema = form, schema
        self._places = places
        self._bad_rows = bad_rows
        self._messages = Metrics.counter("streampca", "messages")
        self._bad = Metrics.counter("streampca", "bad_messages")

    def setup(self) -> None:
        """Make what reads bytes, once for each worker."""
        self._read = reader_of(self._form, self._schema)

    def process(self, message: Any) -> Iterator[Any]:
        """Give the rows of a message."""
        self._messages.inc()
        try:
            own_key, data = opened(message, self._places.message_key)
            rows = self._read(data)
            placed = [each for row in rows for each in _placed(row, own_key, self._places)]
        except BadMessage as error:
            if not self._bad_rows:
                raise ValueError(
                    f"the message {str(message)[:80]} cannot be used: {error}"
                ) from error
            self._bad.inc()
            yield TaggedOutput(BAD_ROWS, BadRow(None, message, str(error)))
            return
        for key, row, micros in placed:
            element = (key, row) if self._places.keyed else row
            if micros is None:
                yield element
            else:
                yield TimestampedValue(element, Timestamp(micros=micros))


def opened(message: Any, with_key: bool) -> tuple[Any, bytes]:
    """The key and the bytes of a message: bytes, text, Kafka's pairs and rows, Pub/Sub's objects.

    Examples
    --------
    >>> opened((b"press 4", b"{}"), with_key=True)
    ('press 4', b'{}')
    """
    key: Any = None
    if isinstance(message, tuple) and not hasattr(message, "_fields") and len(message) == 2:
        key, message = message
    elif not isinstance(message, (bytes, bytearray, memoryview, str)):
        key = getattr(message, "key", None)
        inside = getattr(message, "data", None)  # Pub/Sub
        message = getattr(message, "value", None) if inside is None else inside
    if isinstance(message, str):
        message = message.encode()
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise BadMessage(f"it has no bytes, but {type(message).__name__}")
    data = bytes(message)
    if not with_key:
        return None, data
    if isinstance(key, (bytes, bytearray)):
        try:
            key = bytes(key).decode()
        except UnicodeDecodeError as error:
            raise BadMessage(f"its key {bytes(key)[:40]!r} is no UTF-8") from error
    return _checked(key, "its key"), data


def _checked(key: Any, what: str) -> Any:
    try:
        key_text(key)
    except ValueError as error:
        raise BadMessage(f"{what}: {error}") from error
    return key


def _placed(row: Any, own_key: Any, places: Places) -> Iterator[Placed]:
    if isinstance(row, pa.RecordBatch):
        yield from _parts(row, own_key, places)
        return
    if places.key is None and places.timestamp is None:
        yield Placed(own_key, row, None)
        return
    if not isinstance(row, Mapping):
        name = places.key if places.key is not None else places.timestamp
        raise BadMessage(f"a row without names has no field {name!r}")
    rest, key, micros = dict(row), own_key, None
    if places.key is not None:
        key = _known(places.key, [_taken(rest, places.key)])[0]
    if places.timestamp is not None:
        micros = _instants([_taken(rest, places.timestamp)], places)[0]
    yield Placed(key, rest, micros)


def _parts(batch: pa.RecordBatch, own_key: Any, places: Places) -> Iterator[Placed]:
    """Rows of one key and time together: an element has one of each."""
    keys: list[Any] = [own_key]
    micros: list[Any] = [None]
    rest = batch
    for name in (places.key, places.timestamp):
        if name is not None and batch.schema.get_field_index(name) < 0:
            raise BadMessage(f"there is no one column {name!r}: {', '.join(batch.schema.names)}")
    if places.key is not None:
        keys = _known(places.key, batch.column(places.key).to_pylist())
        rest = rest.drop_columns(places.key)
    if places.timestamp is not None:
        micros = _instants(batch.column(places.timestamp), places)
        rest = rest.drop_columns(places.timestamp)
    m = batch.num_rows
    keys, micros = (each * m if len(each) != m else each for each in (keys, micros))
    groups: dict[tuple[Any, Any], list[int]] = {}
    for i, each in enumerate(zip(keys, micros, strict=True)):
        groups.setdefault(each, []).append(i)
    for (key, instant), rows in groups.items():
        yield Placed(key, rest if len(rows) == m else rest.take(pa.array(rows)), instant)


def _taken(row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise BadMessage(f"a row has no field {name!r}: it has {', '.join(map(str, row))}")
    return row.pop(name)


def _known(name: str, keys: list[Any]) -> list[Any]:
    for row, key in enumerate(keys):
        if key is None or key == "":
            raise BadMessage(
                f"row {row}, field {name!r} is {key!r}: it says which model a row is for"
            )
        _checked(key, f"row {row}, field {name!r}")
    return keys


def _instants(column: Any, places: Places) -> list[int]:
    micros, wrong = times_of(column, str(places.timestamp), places.rule)
    if wrong:
        row, reason = next(iter(wrong.items()))
        raise BadMessage(f"row {row}, {reason}")
    return [int(each) for each in micros]
