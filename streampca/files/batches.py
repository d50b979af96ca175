"""Messages of a topic as chunks of columns, each record with its partition and offset.

Knows what messages hold; nothing of brokers, or of what columns mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streampca.files import jsonlines
from streampca.files.chunk import BEGIN, Broken, Chunk, Layout, Place, Wanted
from streampca.files.kafka import Message
from streampca.files.lines import Block
from streampca.files.messages import BadMessage, reader_of

FORMATS = ("jsonl", "arrow", "avro")

KEY, TIME = "kafka.key", "kafka.timestamp"
"""Columns that every message has: its key, and its time."""

VALUES = "values"
"""The column of messages that are arrays of numbers."""

_OWN = {KEY: pa.string(), TIME: pa.timestamp("ms", "UTC")}


def reader(form: str, schema: str | None) -> Any:
    """What reads the bytes of one message; `schema` is a file.

    Raises
    ------
    ValueError
        If the schema is none.
    """
    given = None
    if schema is not None:
        with open(schema, encoding="utf-8") as file:
            text = file.read()
        try:
            given = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{schema}: is no Avro schema in JSON ({error})") from error
    return reader_of("json" if form == "jsonl" else form, given)


def layout(messages: Sequence[Message], read: Any, name: str) -> Layout:
    """The columns by some messages.

    Raises
    ------
    ValueError
        If none of them can be read.
    """
    rows: list[Any] = []
    reason = "they have no value"
    for message in messages:
        try:
            rows += _rows(message, read)
        except BadMessage as error:
            reason = str(error)
    if not rows:
        raise ValueError(
            f"{name}: none of the first {len(messages)} messages has a row that can be read: "
            f"{reason}; say --input-format {', '.join(FORMATS)}"
        )
    if isinstance(rows[0], pa.RecordBatch):
        batch = rows[0]
        types = dict(zip(batch.schema.names, batch.schema.types, strict=True))
        first = {each: batch.column(each).slice(0, 200).to_pylist() for each in types}
        found = Layout(types, {}, first)
    else:
        vectors = VALUES in rows[0]
        found = jsonlines.layout_of([row for row in rows if (VALUES in row) == vectors])
    own = {each: kind for each, kind in _OWN.items() if each not in found.types}
    return found._replace(types=found.types | own, unnamed=tuple(own))


def _rows(message: Message, read: Any) -> list[Any]:
    """The rows of a message: mappings, or record batches."""
    if message.value is None:
        raise BadMessage("it has no value: a tombstone")
    return [{VALUES: row} if isinstance(row, list) else row for row in read(message.value)]


class Batches:
    """Makes chunks of messages.

    Parameters
    ----------
    form : str
    read : callable
        As `reader` returns it.
    wanted : Wanted
        The columns; a name that is not known makes a message bad.
    types : mapping
        Arrow types of the columns that should hold numbers, or lists of them.
    """

    def __init__(self, form: str, read: Any, wanted: Wanted, types: Mapping[str, Any]) -> None:
        self._form, self._read = form, read
        self._own = [name for name in wanted.names if name in _OWN and name not in types]
        names = [name for name in wanted.names if name not in self._own]
        self._wanted, self._types = wanted._replace(names=names), types

    def chunks(
        self, partition: int, messages: Sequence[Message], start: Place | None
    ) -> Iterator[Chunk]:
        """Chunks of messages of one partition, in their order.

        Records before `start` in the message at its offset are left to the caller: `skip` of the
        first chunk says how many they are.
        """
        if self._form == "arrow":
            made = [self._of_arrow(partition, message) for message in messages]
        else:
            made = [self._by_lines(partition, messages) or self._one_by_one(partition, messages)]
        for chunk in made:
            if not chunk.n_records:
                continue
            if start is not None and start.offset == chunk.start.offset:
                chunk = chunk._replace(start=chunk.start._replace(skip=start.skip))
            start = None
            yield chunk

    def _chunk(
        self,
        partition: int,
        messages: Sequence[Message],
        first: Sequence[int],
        columns: dict[str, Any],
        index: Any,
        broken: list[Broken],
        n_records: int,
    ) -> Chunk:
        places = _Places(partition, messages, first, n_records)
        index = np.asarray(index, int)
        for name in self._own:
            columns[name] = _own_column(name, [messages[i] for i in places.message(index)])
        start = BEGIN._replace(offset=messages[0].offset)
        return Chunk(
            start, n_records, columns, index, broken,
            called=places.label, place=places.after, part=partition,
        )  # fmt: skip

    def _by_lines(self, partition: int, messages: Sequence[Message]) -> Chunk | None:
        """Messages that are objects on a line each, all at once; None if they are not."""
        values = [message.value for message in messages]
        if self._form != "jsonl" or any(not v or b"\n" in v or b"\r" in v for v in values):
            return None
        block = Block(b"\n".join(v for v in values if v is not None) + b"\n", 0, 0)
        found = jsonlines.by_arrow(block, self._wanted, self._types, BEGIN)
        if found is None:
            return None
        m = len(messages)
        return self._chunk(partition, messages, range(m), found.columns, range(m), [], m)

    def _one_by_one(self, partition: int, messages: Sequence[Message]) -> Chunk:
        rows: list[dict[str, Any]] = []
        first: list[int] = []
        index: list[int] = []
        broken: list[Broken] = []
        n = 0
        for message in messages:
            first.append(n)
            try:
                found = _rows(message, self._read)
                for row in found:
                    jsonlines.require_known(
                        row, self._wanted.known, "the first messages", BadMessage
                    )
            except BadMessage as error:
                broken.append(Broken(n, str(error), _content(message)))
                n += 1
                continue
            rows += found
            index += range(n, n + len(found))
            n += len(found)
        columns = {name: [row.get(name) for row in rows] for name in self._wanted.names}
        return self._chunk(partition, messages, first, columns, index, broken, n)

    def _of_arrow(self, partition: int, message: Message) -> Chunk:
        columns: dict[str, Any] = {name: [] for name in self._wanted.names}
        broken: list[Broken] = []
        n = m = 0
        try:
            batches = _rows(message, self._read)
            if batches:
                table = pa.Table.from_batches(batches)
                self._require(table.column_names)
                n = m = table.num_rows
                columns = {name: _joined(table.column(name)) for name in self._wanted.names}
        except (BadMessage, pa.ArrowException) as error:
            broken, n, m = [Broken(0, str(error), _content(message))], 1, 0
        return self._chunk(partition, [message], [0], columns, range(m), broken, n)

    def _require(self, names: Sequence[str]) -> None:
        for name in names:
            jsonlines.require_known(
                {name: ""}, self._wanted.known, "the first messages", BadMessage
            )
            if names.count(name) > 1:
                raise BadMessage(f"it has two columns {name!r}")
        for name in self._wanted.names:
            if name not in names:
                raise BadMessage(f"it has no column {name!r}: it has {', '.join(names)}")


class _Places:
    """The message of each record of a chunk."""

    def __init__(
        self, partition: int, messages: Sequence[Message], first: Sequence[int], n_records: int
    ) -> None:
        self._partition = partition
        self._offsets = [message.offset for message in messages]
        self._first = np.asarray(first, int)
        self._n_records = n_records

    def message(self, record: Any) -> Any:
        """The message of a record; empty messages have no records."""
        return np.searchsorted(self._first, record, "right") - 1

    def after(self, record: int) -> Place:
        """The place to go on from after so many learned records."""
        if record == self._n_records:
            return Place(self._offsets[-1] + 1, 0, 0, 0)
        i = int(self.message(record))
        return Place(self._offsets[i], 0, 0, record - int(self._first[i]))

    def label(self, record: int) -> str:
        """The name of a record in messages."""
        i = int(self.message(record))
        begin = int(self._first[i])
        end = int(self._first[i + 1]) if i + 1 < len(self._first) else self._n_records
        text = f"partition {self._partition}, offset {self._offsets[i]}"
        return f"{text}, row {record - begin}" if end - begin > 1 else text


def _joined(column: Any) -> Any:
    found = column.combine_chunks()
    return found.combine_chunks() if hasattr(found, "chunks") else found


def _own_column(name: str, messages: Sequence[Message]) -> Any:
    if name == TIME:
        return pa.array([message.time for message in messages], _OWN[TIME])
    return [_key(message.key) for message in messages]


def _key(key: bytes | None) -> Any:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return key  # which is no key


def _content(message: Message) -> dict[str, Any]:
    """The part of an unreadable message that is kept."""
    value = message.value
    return {"message": None if value is None else value.decode("utf-8", "backslashreplace")}
