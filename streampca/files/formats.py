"""Every format as chunks of columns, in constant memory and from any place on.

This room knows which reader is whose; what the columns mean is for read.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from streampca.files import csvfile, dialect, jsonlines, tables
from streampca.files.chunk import Chunk, Layout, Place, Wanted
from streampca.files.encodings import as_utf8
from streampca.files.source import Source
from streampca.files.streams import Stream
from streampca.files.topic import Topic
from streampca.text import nearest

_TEXT = ("csv", "jsonl")


def layout(source: Source, asked: Mapping[str, Any]) -> Layout:
    """What a file has, by its first rows; read once.

    Raises
    ------
    ValueError
        If the file has no columns that can be read; it names the file.
    """
    if source.layout is not None:
        return source.layout  # type: ignore[no-any-return]
    with tables.naming(source.name):
        if isinstance(source, Topic):
            found = source.first_layout(asked)
        elif source.form not in _TEXT:
            found = tables.layout(source)
        else:
            found = _text_layout(source, asked)
    for name, value in source.partitions.items():
        found.types.setdefault(name, pa.int64() if isinstance(value, int) else pa.string())
    source.layout = found
    return found


def _text_layout(source: Source, asked: Mapping[str, Any]) -> Layout:
    with contextlib.ExitStack() as stack:
        stream, said = _text(source, asked, stack)
        if source.form == "jsonl":
            found = jsonlines.layout(stream, source.name)
        else:
            found = dialect.layout(stream, asked, source.name)
        if source.is_pipe:
            source.text = stream
    return found if said is None else found._replace(said=(f"read as {said}", *found.said))


def _text(
    source: Source, asked: Mapping[str, Any], stack: contextlib.ExitStack
) -> tuple[Stream, str | None]:
    """The text in UTF-8, from its beginning; a pipe's is opened once."""
    if source.text is not None:
        return source.text, None
    stream = source.open()
    if not source.is_pipe:
        stack.enter_context(stream)
    return as_utf8(stream, asked.get("encoding"), source.name)


def parts(source: Source) -> list[int | None]:
    """Parts that can be read in parallel: row groups of a Parquet file, else the file."""
    with tables.naming(source.name):
        return tables.parts(source)


def chunks(
    source: Source,
    asked: Mapping[str, Any],
    wanted: Wanted,
    start: Place,
    n_rows: int,
    part: int | None = None,
) -> Iterator[tuple[Chunk, int]]:
    """Chunks from a place on, and how many bytes of the file lie behind each.

    Parameters
    ----------
    source : Source
    asked : mapping
        Options of reading.
    wanted : Wanted
        The columns; those of numbers may be of the path alone.
    start : Place
        Where to begin; `skip` of the first chunk's records is left to the caller.
    n_rows : int
        How many rows to give at a time, where that is not for bytes to say.
    part : int, optional
        A row group of Parquet.

    Raises
    ------
    ValueError
        If a column is missing or the file is damaged; it names the file.
    """
    found = layout(source, asked)
    names = [name for name in wanted.names if name not in source.partitions]
    stored = wanted._replace(names=names)
    if source.form != "jsonl" and not source.is_topic:  # whose objects may lack members
        require(source, names, found)
    with tables.naming(source.name):
        for chunk, done in _chunks(source, asked, found, stored, start, n_rows, part):
            for name in set(wanted.names) - set(names):
                chunk.columns[name] = [source.partitions[name]] * len(chunk.record)
            yield chunk, done
        source.has_grown()


def _chunks(
    source: Source,
    asked: Mapping[str, Any],
    found: Layout,
    stored: Wanted,
    start: Place,
    n_rows: int,
    part: int | None,
) -> Iterator[tuple[Chunk, int]]:
    if isinstance(source, Topic):
        for chunk in source.read(asked, *stored):
            yield chunk, 0
        return
    if source.form not in _TEXT:
        yield from tables.read(source, stored.names, start, n_rows, part)
        return
    stored = stored._replace(numbers=[name for name in stored.numbers if name in stored.names])
    with contextlib.ExitStack() as stack:
        stream, _ = _text(source, asked, stack)
        if source.form == "csv":
            made = csvfile.read(
                stream, found.dialect, stored.names, stored.numbers, start,
                na=asked.get("na", ()), growing=source.has_grown,
            )  # fmt: skip
        else:
            types = stored.types(found)
            made = jsonlines.read(stream, stored, types, start, growing=source.has_grown)
        for chunk in made:
            yield chunk, stream.tell()


def require(source: Source, columns: Sequence[str], found: Layout) -> None:
    """Raise unless a file has these columns."""
    for column in columns:
        if column not in found.types:
            names = list(found.types)
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            hint = nearest(column, names)
            more = f"; did you mean {hint!r}?" if hint else ""
            raise ValueError(f"{source.name}: there is no column {column!r}; it has {shown}{more}")
