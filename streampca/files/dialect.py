"""How a CSV file is written, by its first rows: sign between cells, decimal sign, names.

What is given is not guessed; what is guessed is said.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from streampca.files.chunk import Layout
from streampca.files.encodings import SAMPLE
from streampca.files.gaps import ANY, NULLS, like_number
from streampca.files.lines import count_lines, end_of_line, records
from streampca.files.streams import Stream
from streampca.text import twice_in

_ROWS = 200

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_SPREADSHEET = re.compile(rb'"?sep=([,;|\t])"?\r?[\r\n]', re.IGNORECASE)
"""The line by which a spreadsheet says what stands between cells."""
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{2,4}|\d\d?:\d\d")


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str
    decimal: str
    eol: bytes
    names: tuple[str, ...]  # one for each cell of a row
    trailing: bool  # whether each row ends with the sign between cells: the last name is ""
    offset: int  # bytes before the first row
    lines: int  # lines before it


# --- layout -----------------------------------------------------------------------------------


def layout(stream: Stream, asked: Mapping[str, Any], name: str) -> Layout:
    """What a CSV file has; the stream, in UTF-8, stays where it is.

    Raises
    ------
    ValueError
        If it has no names of columns, or two alike.
    """
    skip = asked.get("skip_rows", 0)
    sample, complete = _sample(stream, skip)
    eol = end_of_line(sample)
    lines, at = _skipped(sample, eol, skip)
    body = sample[at:]
    if not body.strip():
        raise ValueError(f"{name}: the file is empty" + (" after --skip-rows" if skip else ""))
    told = _SPREADSHEET.match(body)
    if told:
        lines, at, body = lines + 1, at + told.end(), body[told.end() :]
    delimiter = (
        asked.get("delimiter")
        or (told and told[1].decode())
        or _delimiter(body, eol, asked.get("decimal"))
    )
    spans = list(records(body, eol, delimiter))
    if not complete and len(spans) > 2:
        spans.pop()  # cut short
    rows = [_cells(body[start:end], delimiter) for start, end in spans[: _ROWS + 1]]
    header = rows[0]
    decimal = asked.get("decimal") or _decimal(_of_numbers(rows, asked), delimiter, name)
    _check_header(header, rows, decimal, name, lines, body, spans, eol)
    names, trailing, unnamed, said = _names(header, rows, name)
    if delimiter not in (",", "\t" if ".tsv" in name.lower() else ",") and "delimiter" not in asked:
        said.insert(0, f"{delimiter!r}-separated")
    if decimal == "," and "decimal" not in asked:
        said.insert(1, "decimal comma")
    n_before = 1
    nulls = NULLS | set(asked.get("na", ()))
    if _is_units(rows, decimal, nulls, len(names)):
        n_before, rows = 2, [rows[0], *rows[2:]]
        said.append("the row under the names as their units")
    end = spans[n_before - 1][1] + 1
    dialect = Dialect(
        delimiter, decimal, eol, tuple(names), trailing, at + min(end, len(body)),
        lines + count_lines(body[:end], eol),
    )  # fmt: skip
    shown = ["read as " + ", ".join(said)] if said else []
    return _described(dialect, rows[1:], unnamed, shown, nulls)


def _sample(stream: Stream, skip: int) -> tuple[bytes, bool]:
    """First bytes; of a pipe those of the first row, or of the first with a number in it."""
    if not stream.is_live:
        sample = stream.head(SAMPLE)
        return sample, len(sample) < SAMPLE
    size = 0
    while True:
        sample = stream.ahead(size)
        ended = len(sample) == size
        size = len(sample)
        found = list(records(sample, end_of_line(sample), None))
        whole = found if sample.endswith((b"\n", b"\r")) else found[:-1]
        rows = whole[skip + 1 :]
        if ended or size > SAMPLE or any(re.search(rb"\d", sample[a:b]) for a, b in rows):
            # not more than was waited for: how fast a pipe is must not change the result
            return (sample if ended or not rows else sample[: rows[0][1] + 1]), True


def _skipped(sample: bytes, eol: bytes, skip: int) -> tuple[int, int]:
    """Lines and bytes before the names: skipped ones and blank ones."""
    at, lines = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0, 0
    while lines < skip or (at < len(sample) and not sample[at:].split(eol, 1)[0].strip()):
        end = sample.find(eol, at)
        if end < 0:
            return lines, len(sample)
        at, lines = end + 1, lines + 1
    return lines, at


def _cells(record: bytes, delimiter: str) -> list[str]:
    text = record.decode("utf-8", "replace").rstrip("\r")
    try:
        # a line that is nothing but ends of lines has one cell, too
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []) or [""]
    except csv.Error:
        return text.split(delimiter)


def _delimiter(body: bytes, eol: bytes, decimal: str | None) -> str:
    """The sign that most rows have equally often; of several, the one with the most cells."""
    best, chosen = (0.0, 0), ","
    for sign in ",;\t|":
        if sign == decimal:
            continue
        spans = list(records(body, eol, sign))[:20]
        counts = [len(_cells(body[start:end], sign)) for start, end in spans]
        n = counts[0] if counts else 1
        fits = sum(count - n in (0, 1) for count in counts) / max(len(counts), 1)
        if n > 1 and (round(fits, 1), n) > best:
            best, chosen = (round(fits, 1), n), sign
    if best[1] or decimal != ",":
        return chosen
    return "," if _has_quoted_commas(body, eol) else ";"


def _has_quoted_commas(body: bytes, eol: bytes) -> bool:
    """Whether commas stand between cells, for those within numbers are in quotes."""
    spans = list(records(body, eol, ","))[:20]
    rows = [_cells(body[start:end], ",") for start, end in spans]
    even = len({len(row) for row in rows[:-1] or rows}) == 1 and len(rows[0]) > 1
    return even and any(_COMMA.fullmatch(cell.strip()) for row in rows[1:] for cell in row)


def _of_numbers(rows: Sequence[Sequence[str]], asked: Mapping[str, Any]) -> list[str]:
    """Cells of the columns that may be features: keys and the like say nothing of numbers."""
    names = [cell.strip() for cell in rows[0]]
    others = {*asked.get("exclude", ()), asked.get("key_column"), asked.get("timestamp_column")}
    chosen = set(asked.get("columns", names)) - others
    places = [j for j, each in enumerate(names) if each in chosen] or range(len(names))
    return [row[j].strip() for row in rows[1:] for j in places if j < len(row)]


def _decimal(cells: Sequence[str], delimiter: str, name: str) -> str:
    """The decimal sign; commas that may stand between thousands are one only beside semicolons."""
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    if not commas or any("." in cell and _NUMBER.fullmatch(cell) for cell in cells):
        return "."
    if delimiter != ";" and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise ValueError(
            f"{name}: the comma in {commas[0]!r} may be a decimal sign or stand between thousands: "
            "give --decimal , if it is a decimal sign, or else take the commas out"
        )
    return ","


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is one.

    Examples
    --------
    >>> is_number(" -1.5e3"), is_number("1,5", ","), is_number("1_000"), is_number("wet")
    (True, True, False, False)
    """
    text = cell.strip()
    if decimal == ",":
        if "." in text:
            return False
        text = text.replace(",", ".")
    return _NUMBER.fullmatch(text) is not None


def _check_header(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    decimal: str,
    name: str,
    lines: int,
    body: bytes,
    spans: Sequence[tuple[int, int]],
    eol: bytes,
) -> None:
    counts = Counter(len(row) for row in rows[1:])
    if counts:
        n, often = counts.most_common(1)[0]
        first = next(i for i, row in enumerate(rows) if len(row) == n)
        names_there = not any(is_number(cell, decimal) for cell in rows[first])
        if first > 0 and often > 1 and n > len(header) + 1 and names_there:
            line = lines + body.count(eol, 0, spans[first][0])
            raise ValueError(
                f"{name}: line {lines + 1} has {len(header)} cells, and from line {line + 1} on "
                f"there are {n}: pass over what stands before the names with --skip-rows {line}"
            )
    if all(is_number(cell, decimal) for cell in header if cell.strip()):
        raise ValueError(
            f"{name}: the first line holds numbers, not the names of columns; put a line of "
            "names before it"
        )


def _names(
    header: list[str], rows: Sequence[Sequence[str]], name: str
) -> tuple[list[str], bool, tuple[str, ...], list[str]]:
    """Names, whether rows end with a delimiter, names made up here, and a notice for the user."""
    names = [cell.strip() for cell in header]
    n, data = len(names), rows[1:]
    said: list[str] = []
    trailing = False
    if n > 1 and names[-1] == "" and all(not row[n - 1 :] or not row[n - 1] for row in data):
        trailing, names = True, names[:-1]
    elif data and all(len(row) == n + 1 and not row[n] for row in data):
        trailing = True
    unnamed = tuple(f"column_{i + 1}" for i, cell in enumerate(names) if not cell)
    names = [cell or f"column_{i + 1}" for i, cell in enumerate(names)]
    if trailing:
        said.append("rows that end with the sign between cells")
    if (twice := twice_in(names)) is not None:
        raise ValueError(f"{name}: two columns are named {twice!r}; rename one")
    return [*names, ""] if trailing else names, trailing, unnamed, said


def _is_units(
    rows: Sequence[Sequence[str]], decimal: str, nulls: frozenset[str] | set[str], n: int
) -> bool:
    """Whether the row under the names has words where all others have numbers."""
    if len(rows) < 3 or len(rows[1]) != n:
        return False
    first, rest = rows[1], [row for row in rows[2:] if len(row) == n]
    words = 0
    for j, cell in enumerate(first):
        below = [row[j].strip() for row in rest if row[j].strip() not in nulls]
        if ANY in nulls:
            below = [each for each in below if like_number(each) or is_time(each)]
        if is_number(cell, decimal):
            return False
        if below and all(is_number(each, decimal) for each in below):
            words += cell.strip() not in nulls
        elif below and cell.strip() not in nulls and not _is_time_unit(cell, below):
            return False
    return words > 0


def _is_time_unit(cell: str, below: Sequence[str]) -> bool:
    return not is_time(cell) and all(is_time(each) for each in below)


def is_time(text: str) -> bool:
    """Whether a cell has the form of a time."""
    return _TIME.search(text) is not None


def _described(
    dialect: Dialect,
    rows: Sequence[Sequence[str]],
    unnamed: tuple[str, ...],
    said: list[str],
    nulls: frozenset[str] | set[str],
) -> Layout:
    names = dialect.names[:-1] if dialect.trailing else dialect.names
    first = {name: [row[j] for row in rows if j < len(row)] for j, name in enumerate(names)}
    texts: dict[str, str] = {}
    for name, cells in first.items():
        known = [cell.strip() for cell in cells if cell.strip() not in nulls]
        if len(known) > 1 and not any(is_number(cell, dialect.decimal) for cell in known):
            texts[name] = known[0]
    return Layout(dict.fromkeys(names), texts, first, tuple(said), dialect, unnamed)
