"""The roles of columns: chosen by the first file, checked in all others."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from streampca.files import cells, formats
from streampca.files.chunk import BEGIN, Layout, Wanted
from streampca.files.dialect import is_time
from streampca.files.source import Source
from streampca.files.times import Rule, rule_of
from streampca.rows import LARGEST

_FIRST = 200
_LIKE_TIMES = re.compile("time|timestamp|date|datetime|epoch|ts", re.IGNORECASE)
"""Names of columns of numbers that are seldom meant to be features."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """The roles of the columns of files."""

    features: list[str]  # columns of numbers, or one column of lists
    names: list[str]  # of the features: as many as the rows are wide
    key: str | None = None
    timestamp: str | None = None
    rule: Rule = dataclasses.field(default_factory=Rule)  # what times mean
    kept: tuple[str, ...] = ()  # passed through as they are
    gaps: bool = False  # whether missing numbers are let through
    largest: float = LARGEST
    known: tuple[str, ...] | None = None  # all that files may have; None: features were named

    @property
    def all(self) -> list[str]:
        """Each column once."""
        others = [name for name in (self.key, self.timestamp) if name is not None]
        return list(dict.fromkeys([*others, *self.features, *self.kept]))


def choose_columns(
    source: Source,
    asked: Mapping[str, Any],
    *,
    kept: Sequence[str] = (),
    gaps: bool | None = None,
    largest: float = LARGEST,
    known: Sequence[str] | None = None,
    rule: Rule | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Columns:
    """The columns to read, by what one file has.

    Parameters
    ----------
    source : Source
    asked : mapping
        Options, checked.
    kept : sequence of str
        Columns to pass through.
    gaps : bool, optional
        Whether missing numbers are let through; by default as the option `missing` says.
    largest : float
        Numbers beyond it cannot be used.
    known : sequence of str, optional
        All that files may have, where an earlier run has settled that.
    rule : Rule, optional
        What times mean, where an earlier run has settled that.
    say : callable
        Takes notes on how a file is read, for people.

    Raises
    ------
    ValueError
        If a column is missing or cannot hold a feature.
    """
    found = formats.layout(source, asked)
    key, timestamp = asked.get("key_column"), asked.get("timestamp_column")
    columns, exclude = asked.get("columns"), asked.get("exclude", [])
    named = [n for n in (key, timestamp) if n is not None]
    formats.require(source, [*named, *(columns or []), *exclude, *kept], found)
    passed = {*named, *exclude, *found.unnamed, *source.partitions}
    chosen = columns or [name for name in found.types if name not in passed]
    chosen = [name for name in dict.fromkeys(chosen) if name not in exclude]
    if not chosen:
        raise ValueError(f"{source.name}: there are no columns left to be features")
    _check_features(source, found, chosen)
    names = _feature_names(source, asked, found, chosen)
    tell(source, found, {*named, *chosen, *kept}, say)
    if timestamp is None and columns is None:
        for name in filter(_LIKE_TIMES.fullmatch, chosen):
            say(
                f"{source.name}: column {name!r} is learned as a feature; if it says when each row "
                "happened, name it with --timestamp-column, else choose with --columns"
            )
    if timestamp is not None and rule is None:
        first = _first_cells(source, asked, found, timestamp)
        form, unit = asked.get("timestamp_format"), asked.get("timestamp_unit")
        rule, text_ = rule_of(first, form, unit, asked.get("timezone"))
        if text_ is not None:
            say(f"{source.name}: column {timestamp!r} is read as {text_}")
    if gaps is None:
        gaps = asked.get("missing") == "impute"
    if columns is None and known is None:
        known = list(found.types)
    return Columns(
        chosen, names, key, timestamp, rule or Rule(), tuple(kept), gaps, largest,
        None if known is None else tuple(known),
    )  # fmt: skip


def check_columns(source: Source, asked: Mapping[str, Any], columns: Columns) -> Layout:
    """What a later file has, which must be what the first had.

    Raises
    ------
    ValueError
        Naming the column that is missing, or that nobody has chosen or left out.
    """
    found = formats.layout(source, asked)
    if source.is_topic:
        return found  # each message is judged by itself
    if source.form != "jsonl":
        formats.require(source, columns.all, found)
    if columns.known is not None and source.form != "jsonl":
        for name in found.types:
            if name not in columns.known and name not in found.unnamed:
                raise ValueError(
                    f"{source.name}: has a column {name!r}, which the first file has not: name the "
                    "columns that are features with --columns, or leave it out with --exclude"
                )
    return found


def tell(source: Source, found: Layout, used: Collection[str], say: Callable[[str], None]) -> None:
    """Say once how a file is read, where that was guessed."""
    if not source.told:
        source.told = True
        for text in found.said:
            say(f"{source.name}: {text}")
        unnamed = [name for name in found.unnamed if name not in used]
        if unnamed and not source.is_topic:
            say(f"{source.name}: left out what has no name: {', '.join(unnamed)}")


def _check_features(source: Source, found: Layout, chosen: Sequence[str]) -> None:
    hint = "choose with --columns or --exclude"
    for name in chosen:
        kind = found.types[name]
        if name in found.texts:
            example = found.texts[name]
            if is_time(example):
                hint = "name it with --timestamp-column, or leave it out with --exclude"
            what = f"{'times' if is_time(example) else 'text'}, such as {cells.short(example)}"
            column = cells.short(name)
            raise ValueError(f"{source.name}: column {column} holds {what}, not numbers; {hint}")
        if kind is None or cells.is_number(kind):
            continue
        if not cells.is_vector(kind):
            if pa.types.is_temporal(kind):
                hint = "name it with --timestamp-column, or leave it out with --exclude"
            what = "objects" if pa.types.is_struct(kind) and not kind.num_fields else str(kind)
            raise ValueError(f"{source.name}: column {name!r} holds {what}, not numbers; {hint}")
        if len(chosen) > 1:
            raise ValueError(
                f"{source.name}: column {name!r} holds lists and must be the only feature; {hint}"
            )


def _feature_names(
    source: Source, asked: Mapping[str, Any], found: Layout, chosen: list[str]
) -> list[str]:
    """As many as rows are wide: those of a column of lists are made up."""
    (first,) = chosen[:1]
    kind = found.types[first]
    if kind is None or not cells.is_vector(kind):
        return chosen
    if pa.types.is_fixed_size_list(kind):
        width: int | None = kind.list_size
    else:
        width = cells.width_of(_first_cells(source, asked, found, first))
    if not width:
        raise ValueError(
            f"{source.name}: column {first!r} has no list of numbers in its first rows"
        )
    return [f"{first}_{i}" for i in range(width)]


def _first_cells(
    source: Source, asked: Mapping[str, Any], found: Layout, name: str
) -> Sequence[Any]:
    """Some cells of a column, where its type does not say enough."""
    if name in found.first:
        return found.first[name]
    if name in source.partitions:
        return [source.partitions[name]]
    kind = found.types[name]
    if kind is None or pa.types.is_temporal(kind):
        return []
    wanted = Wanted([name], [], None)
    for chunk, _ in itertools.islice(formats.chunks(source, asked, wanted, BEGIN, 8192), 1):
        cells_ = chunk.columns[name].drop_null().slice(0, _FIRST)
        return cells_.to_pylist()  # type: ignore[no-any-return]
    return []
