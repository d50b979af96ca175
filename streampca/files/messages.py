"""Messages of queues as rows: JSON, Arrow IPC and Avro become mappings or record batches.

A message is read completely or not at all: of one that cannot be read no row is used. Knows bytes;
nothing of pipelines, keys or times.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from streampca.text import twice_in

FORMATS = ("json", "arrow", "avro")
_FILE, _CONTAINER = b"ARROW1", b"Obj\x01"


class BadMessage(ValueError):
    """A message that cannot be read; it says why."""


def reader_of(form: str, schema: Any = None) -> Callable[[bytes], list[Any]]:
    """What reads the bytes of one message.

    Parameters
    ----------
    form : {"json", "arrow", "avro"}
        JSON: an object or an array of numbers for a row, an array of these or a line for each for
        several. Arrow: an IPC stream or file. Avro: a container file, or one record that follows
        `schema`.
    schema : dict, list or str, optional
        Avro's schema, as JSON or as what JSON stands for.

    Examples
    --------
    >>> reader_of("json")(b'[{"oil": 1.5}, {"oil": 2}]')
    [{'oil': 1.5}, {'oil': 2}]
    """
    if form not in FORMATS:
        raise ValueError(f"format={form!r} is not accepted: use one of {', '.join(FORMATS)}")
    if schema is not None and form != "avro":
        raise ValueError(f"schema is for Avro: leave it out with format={form!r}")
    if form == "avro":
        return _avro_reader(schema)
    return {"json": _from_json, "arrow": _from_arrow}[form]


# --- JSON -----------------------------------------------------------------------------------------


def _from_json(data: bytes) -> list[Any]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadMessage(f"no JSON: it is no UTF-8 ({error.reason}, byte {error.start})") from error
    try:
        found = [_parsed(text)]
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or error.msg != "Extra data":
            raise BadMessage(f"no JSON: {error}") from error
        found = [_line(number, line) for number, line in enumerate(lines, 1)]
    if len(found) == 1 and isinstance(found[0], list) and not _is_vector(found[0]):
        found = found[0]
    for number, row in enumerate(found):
        if not isinstance(row, dict) and not (isinstance(row, list) and _is_vector(row)):
            raise BadMessage(
                f"row {number} of the message is {str(row)[:60]!r}: a row is an object, or an "
                "array of numbers"
            )
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise BadMessage("no JSON that can be read: it is nested too deeply") from error


def _line(number: int, line: str) -> Any:
    try:
        return _parsed(line)
    except json.JSONDecodeError as error:
        raise BadMessage(f"line {number} is no JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := twice_in([name for name, _ in pairs])) is not None:
        raise BadMessage(f"an object has the member {twice!r} twice")
    return dict(pairs)


def _is_vector(value: list[Any]) -> bool:
    return bool(value) and not any(isinstance(entry, (dict, list)) for entry in value)


# --- Arrow ----------------------------------------------------------------------------------------


def _from_arrow(data: bytes) -> list[Any]:
    try:
        batches = list(_batches(data))
        for batch in batches:
            batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadMessage(f"no Arrow IPC: {error}") from error
    return [batch for batch in batches if batch.num_rows]


def _batches(data: bytes) -> Iterator[pa.RecordBatch]:
    if data.startswith(_FILE):
        file = pa.ipc.open_file(pa.BufferReader(data))
        yield from (file.get_batch(i) for i in range(file.num_record_batches))
    else:
        yield from pa.ipc.open_stream(pa.BufferReader(data))


# --- Avro -----------------------------------------------------------------------------------------


def _avro_reader(schema: Any) -> Callable[[bytes], list[Any]]:
    import fastavro  # which comes with Beam, and with the extra kafka

    if isinstance(schema, str):
        schema = json.loads(schema)
    parsed = None if schema is None else fastavro.parse_schema(schema)

    def read(data: bytes) -> list[Any]:
        if data.startswith(_CONTAINER):
            return _mappings(list(fastavro.reader(io.BytesIO(data), parsed)))
        if parsed is None:
            raise BadMessage("no Avro container file: give schema= for messages of one record")
        stream = io.BytesIO(data)
        record = fastavro.schemaless_reader(stream, parsed, None)
        if stream.tell() != len(data):
            raise BadMessage(
                f"a record of this schema ends after {stream.tell()} of {len(data)} bytes: the "
                "message follows another schema, or has a header in front"
            )
        return _mappings([record])

    def guarded(data: bytes) -> list[Any]:
        try:
            return read(data)
        except BadMessage:
            raise
        except Exception as error:
            raise BadMessage(f"no Avro of this schema: {error!r}") from error

    return guarded


def _mappings(records: list[Any]) -> list[Any]:
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise BadMessage(f"record {number} is {str(record)[:60]!r}: a row is an Avro record")
    return records
