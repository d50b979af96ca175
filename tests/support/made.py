"""Files as people have them, each with the rows that it holds or the refusal that it deserves.

A case is made from a table of drawn rows by writers and changes that are combined, so that the
right values are known without any reader.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

NAMES = ("oil", "air", "heat")
ROWS = 40
START = datetime(2026, 1, 1, tzinfo=UTC)


def table(seed=0, n_rows=ROWS):
    """Rows (n_rows, 3) with three digits, off-centre."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n_rows, 3)) * [5.0, 2.0, 1.0] + [10.0, -3.0, 100.0]).round(3)


X = table()
KEYS = ["a", "b"] * (ROWS // 2)


@dataclass
class Case:
    """A file or several, options, and what comes of them."""

    write: Callable[[Path], object]  # into a folder; the names, if not all files in it
    rows: object = None  # (m, 3), or a dictionary by key
    refused: str | None = None  # a regular expression
    n_bad: int = 0
    options: dict = field(default_factory=dict)
    names: tuple = NAMES
    times: tuple | None = None  # first and last, seconds since START


CASES: dict[str, Case] = {}


def case(name, write, rows=None, refused=None, **more):
    """Add one; by default all rows are right."""
    assert name not in CASES, name
    CASES[name] = Case(write, X if rows is None and refused is None else rows, refused, **more)


def refused(name, write, pattern, **more):
    """Add one that nobody may read."""
    case(name, write, refused=pattern, **more)


# --- writers ----------------------------------------------------------------------------------


def text_of(X=X, names=NAMES, delimiter=",", decimal=".", eol="\n", quote=False, **columns):
    """CSV as text; more columns in front."""
    file = io.StringIO()
    how = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=eol, quoting=how)
    writer.writerow([*columns, *names])
    for row, extra in zip(X.tolist(), _across(columns, len(X)), strict=True):
        writer.writerow([*extra, *(repr(each).replace(".", decimal) for each in row)])
    return file.getvalue()


def _across(columns, n_rows):
    return list(zip(*columns.values(), strict=True)) if columns else [()] * n_rows


def put(name, data, encoding="utf-8"):
    """A writer of one file."""

    def write(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)

    return write


def lines_of(X=X, names=NAMES, **columns):
    """JSON lines as text."""
    rows = [
        dict(zip([*columns, *names], [*extra, *row], strict=True))
        for row, extra in zip(X.tolist(), _across(columns, len(X)), strict=True)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def arrow_of(X=X, names=NAMES, kind=None, **columns):
    """An Arrow table."""
    made = {name: pa.array(column) for name, column in columns.items()}
    made |= {name: pa.array(X[:, i], kind) for i, name in enumerate(names)}
    return pa.table(made)


def parquet(name, found, **how):
    """A writer of Parquet, in several row groups."""

    def write(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(found, path, **{"row_group_size": 16, **how})

    return write


def both(*writers):
    """A writer of several files."""

    def write(folder):
        for writer in writers:
            writer(folder)

    return write


def edited(text, line, new):
    """Text with another line, counted from 0 at the names."""
    lines = text.splitlines(keepends=True)
    lines[line] = new + "\n"
    return "".join(lines)


PLAIN = text_of()

# --- CSV: signs, ends of lines, encodings -----------------------------------------------------

for sign, called in ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")):
    case(f"csv {called}", put("a.csv", text_of(delimiter=sign)))
    case(
        f"csv {called}, quoted, CRLF", put("a.csv", text_of(delimiter=sign, eol="\r\n", quote=True))
    )
    case(
        f"csv {called} at the end of rows",
        put("a.csv", text_of(delimiter=sign).replace("\n", sign + "\n")),
    )
for sign in (";", "\t", "|"):
    case(f"csv decimal comma with {sign!r}", put("a.csv", text_of(delimiter=sign, decimal=",")))
case("csv decimal comma, quoted", put("a.csv", text_of(decimal=",", quote=True)))
case(
    "csv with a sign that is told", put("a.csv", text_of(delimiter="^")), options={"delimiter": "^"}
)
case("csv with blanks", put("a.csv", text_of().replace(",", " , ")))
case(
    "csv sign at the end of data alone",
    put("a.csv", PLAIN.split("\n", 1)[0] + "\n" + PLAIN.split("\n", 1)[1].replace("\n", ",\n")),
)
case("csv CR", put("a.csv", text_of(eol="\r")))
case("csv without the last end of line", put("a.csv", PLAIN.rstrip("\n")))
case("csv with blank lines", put("a.csv", "\n" + PLAIN.replace("\n", "\n\n")))
case("csv BOM", put("a.csv", codecs.BOM_UTF8 + PLAIN.encode()))
NAMED = {"names": ("öl °C", "air", "heat")}
for encoding in ("utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "utf-8"):
    case(f"csv {encoding}", put("a.csv", text_of(names=NAMED["names"]), encoding), **NAMED)
case(
    "csv latin-1 told",
    put("a.csv", text_of(names=NAMED["names"]), "latin-1"),
    options={"encoding": "latin-1"},
    **NAMED,
)
case("csv big", put("a.csv", text_of(np.tile(X, (2000, 1)))), np.tile(X, (2000, 1)))

# --- CSV: quotes ------------------------------------------------------------------------------

NOTES = [f'no {i},\n"so"' for i in range(ROWS)]
case("csv newlines in cells", put("a.csv", text_of(note=NOTES)), options={"exclude": ["note"]})
LONG = [("x\n" * 40 + '"",') for _ in range(20_000)]
case(
    "csv newlines in cells across blocks",
    put("a.csv", text_of(np.tile(X, (500, 1)), note=LONG)),
    np.tile(X, (500, 1)),
    options={"exclude": ["note"]},
)
ODD = ("oil, hot", "air\nwet", 'the "heat"')
case("csv signs and newlines in names", put("a.csv", text_of(names=ODD)), names=ODD)
case(
    "csv a quote within a cell",
    put("a.csv", text_of(note=['5" pipe'] * ROWS).replace('"5"" pipe"', '5" pipe')),
    options={"exclude": ["note"]},
)

# --- CSV: above and below the names -----------------------------------------------------------

case("csv units", put("a.csv", edited(PLAIN, 0, "oil,air,heat\n[bar],[l/s],[K]")))
case(
    "csv units beside times",
    put(
        "a.csv",
        edited(
            text_of(time=[f"2026-01-01T00:00:{i:02d}" for i in range(ROWS)]),
            0,
            "time,oil,air,heat\nUTC,bar,,K",
        ),
    ),
    options={"timestamp_column": "time"},
    times=(0, ROWS - 1),
)
PREAMBLE = "made by logger 3\nplant 7; hall 2\n\n"
case("csv preamble told", put("a.csv", PREAMBLE + PLAIN), options={"skip_rows": 3})
refused("csv preamble", put("a.csv", PREAMBLE + PLAIN), "a.csv.*--skip-rows 3")
refused("csv names alone", put("a.csv", "oil,air,heat\n"), "a.csv.*there is no row")
refused("csv empty", put("a.csv", ""), "a.csv.*empty")
refused("csv blank", put("a.csv", "\n\n"), "a.csv.*empty")
refused("csv numbers as names", put("a.csv", PLAIN.split("\n", 1)[1]), "first line holds numbers")
refused(
    "csv names twice",
    put("a.csv", text_of(names=("oil", "air", "oil"))),
    "a.csv.*two columns are named 'oil'",
)
case("csv index without a name", put("a.csv", text_of(**{"": list(range(ROWS))})))

# --- CSV: rows that cannot be used ------------------------------------------------------------

WITHOUT = np.delete(X, 16, axis=0)
for called, cells, why in (
    ("too few cells", "1,2", "2 cells where the header has 3"),
    ("too many cells", "1,2,3,4", "4 cells where the header has 3"),
    ("one cell", "1", "1 cell where the header has 3"),
    ("text", "1,wet,3", "'air' is 'wet'"),
    ("a gap", "1,,3", "'air' is missing"),
    ("NA", "1,NA,3", "'air' is missing"),
    ("infinity", "1,-inf,3", "'air' is '?-inf"),
    ("too large", "1,1e200,3", "'air' is .*1e.?200.*too large"),
    ("a number of Python's", "1,1_000,3", "'air' is '1_000'"),
    ("hexadecimal", "1,0x1F,3", "'air' is '0x1F'"),
):
    changed = edited(PLAIN, 17, cells)
    refused(f"csv {called}", put("a.csv", changed), rf"a.csv, row 16 \(line 18\): .*{why}")
    case(
        f"csv {called} skipped",
        put("a.csv", changed),
        WITHOUT,
        n_bad=1,
        options={"bad_rows": "skip"},
    )
refused(
    "csv bad after newlines in cells",
    put("a.csv", text_of(note=NOTES) + "x,wet,1,2\n"),
    rf"a.csv, row {ROWS} \(line {2 * ROWS + 2}\): feature 'oil' is 'wet'",
    options={"exclude": ["note"]},
)
refused(
    "csv latin-1 deep inside",
    put(
        "a.csv",
        text_of(np.tile(X, (400, 1)), note=["x"] * (400 * ROWS)).encode()
        + "ü,1,2,3\n".encode("latin-1"),
    ),
    r"row 16000 \(line 16002\): .*0xfc is not UTF-8",
    options={"exclude": ["note"]},
)
refused("csv random bytes", put("a.csv", np.random.default_rng(0).bytes(100_000)), "a.csv")
refused("csv of zeros", put("a.csv", b"\0" * 1000), "a.csv")
refused(
    "csv text column",
    put("a.csv", text_of(hall=["north"] * ROWS)),
    "column 'hall' holds text.*'north'",
)
refused(
    "csv time column",
    put("a.csv", text_of(when=["2026-01-01T00:00"] * ROWS)),
    "column 'when' holds times.*--timestamp-column",
)
case(
    "csv more texts for gaps",
    put("a.csv", edited(PLAIN, 17, "1,Inp OutRange,3")),
    WITHOUT,
    n_bad=1,
    options={"na": ["Inp OutRange"], "bad_rows": "skip"},
)

# --- keys -------------------------------------------------------------------------------------


def keyed(keys):
    """What each key should have learned."""
    order = dict.fromkeys(key for key in keys if key not in (None, ""))
    return {key: X[[i for i, each in enumerate(keys) if each == key]] for key in order}


BY_KEY = {"key_column": "press"}
TEXTS = ["NA", "null", "1", "1.0"] * (ROWS // 4)
case("csv keys", put("a.csv", text_of(press=TEXTS)), keyed(TEXTS), options=BY_KEY)
case("json keys as text", put("a.jsonl", lines_of(press=TEXTS)), keyed(TEXTS), options=BY_KEY)
case(
    "parquet keys as text",
    parquet("a.parquet", arrow_of(press=TEXTS)),
    keyed(TEXTS),
    options=BY_KEY,
)
case(
    "parquet keys in a dictionary",
    parquet("a.parquet", arrow_of(press=pa.array(TEXTS).dictionary_encode())),
    keyed(TEXTS),
    options=BY_KEY,
)
FLOATS = [1.0, 2.0] * (ROWS // 2)
case(
    "parquet keys as floats",
    parquet("a.parquet", arrow_of(press=FLOATS)),
    keyed([1, 2] * (ROWS // 2)),
    options=BY_KEY,
)
case(
    "json keys as numbers",
    put("a.jsonl", lines_of(press=FLOATS)),
    keyed([1, 2] * (ROWS // 2)),
    options=BY_KEY,
)
case(
    "parquet keys as decimals",
    parquet("a.parquet", arrow_of(press=[Decimal("1.0"), Decimal("2.0")] * (ROWS // 2))),
    keyed([1, 2] * (ROWS // 2)),
    options=BY_KEY,
)
for name, write in (
    ("csv", put("a.csv", text_of(press=["a", "b", "", "a"] * (ROWS // 4)))),
    ("json", put("a.jsonl", lines_of(press=["a", "b", None, "a"] * (ROWS // 4)))),
    ("parquet", parquet("a.parquet", arrow_of(press=["a", "b", "", "a"] * (ROWS // 4)))),
):
    refused(
        f"{name} without a key", write, "(row|line) .*the key 'press' is missing", options=BY_KEY
    )
    case(
        f"{name} without a key skipped",
        write,
        keyed(["a", "b", None, "a"] * (ROWS // 4)),
        n_bad=ROWS // 4,
        options={**BY_KEY, "bad_rows": "skip"},
    )
refused(
    "parquet keys between whole numbers",
    parquet("a.parquet", arrow_of(press=[1.5] * ROWS)),
    "row 0: the key 'press' is 1.5",
    options=BY_KEY,
)
case(
    "hive partitions",
    both(
        parquet("plant/press=3/part.parquet", arrow_of(X[:16])),
        parquet("plant/press=4/part.parquet", arrow_of(X[16:])),
    ),
    {3: X[:16], 4: X[16:]},
    options=BY_KEY,
)
case(
    "hive partitions as text",
    both(
        put("plant/press=hall%201/part.csv", text_of(X[:16])),
        put("plant/press=b/part.csv", text_of(X[16:])),
    ),
    {"hall 1": X[:16], "b": X[16:]},
    options=BY_KEY,
)

# --- times ------------------------------------------------------------------------------------

SECONDS = [int((START + timedelta(seconds=i)).timestamp()) for i in range(ROWS)]
AT = {"timestamp_column": "when"}
SPAN = (0, ROWS - 1)


def timed(name, cells, times=SPAN, **options):
    """The same cells of time as CSV, JSON and Parquet."""
    where = {"options": {**AT, **options}, "times": times}
    case(f"csv {name}", put("a.csv", text_of(when=cells)), **where)
    case(f"json {name}", put("a.jsonl", lines_of(when=cells)), **where)
    case(f"parquet {name}", parquet("a.parquet", arrow_of(when=cells)), **where)


timed("times as seconds", SECONDS)
timed("times as milliseconds", [s * 1000 for s in SECONDS])
timed("times as milliseconds in text", [str(s * 1000) for s in SECONDS])
timed("times as microseconds", [s * 10**6 for s in SECONDS])
timed("times as nanoseconds", [s * 10**9 for s in SECONDS])
timed("times in ISO 8601", [f"2026-01-01T00:00:{i:02d}" for i in range(ROWS)])
timed("times with a zone", [f"2026-01-01T01:00:{i:02d}+01:00" for i in range(ROWS)])
timed(
    "times of two zones",
    [f"2026-01-01T{1 + i % 2:02d}:00:{i:02d}+{1 + i % 2:02d}:00" for i in range(ROWS)],
)
DAYS = [(START + timedelta(days=i)).strftime("%Y%m%d") for i in range(ROWS)]
timed("dates as numbers", [int(day) for day in DAYS], (0, 86400 * (ROWS - 1)))
timed("dates as digits", DAYS, (0, 86400 * (ROWS - 1)))
timed(
    "times of a format",
    [(START + timedelta(seconds=i)).strftime("%d.%m.%Y %H:%M:%S") for i in range(ROWS)],
    timestamp_format="%d.%m.%Y %H:%M:%S",
)
timed(
    "times of a zone that is told",
    [f"2026-01-01T01:00:{i:02d}" for i in range(ROWS)],
    timezone="Europe/Berlin",
)
DISORDER = [int(s) for s in np.random.default_rng(1).permutation(SECONDS)]
timed("times out of order", DISORDER)
timed("times that come twice", [SECONDS[i // 2 * 2] for i in range(ROWS)], (0, ROWS - 2))
case(
    "csv dates across blocks",
    put("a.csv", text_of(np.tile(X, (2000, 1)), when=[DAYS[i % ROWS] for i in range(2000 * ROWS)])),
    np.tile(X, (2000, 1)),
    options=AT,
    times=(0, 86400 * (ROWS - 1)),
)
case(
    "parquet zoned timestamps",
    parquet(
        "a.parquet",
        arrow_of(
            when=pa.array(
                [START + timedelta(seconds=i) for i in range(ROWS)],
                pa.timestamp("ns", "Europe/Berlin"),
            )
        ),
    ),
    options=AT,
    times=SPAN,
)
case(
    "parquet dates",
    parquet(
        "a.parquet",
        arrow_of(when=pa.array([(START + timedelta(days=i)).date() for i in range(ROWS)])),
    ),
    options=AT,
    times=(0, 86400 * (ROWS - 1)),
)
MIXED = text_of(when=[s * 1000 if i != 7 else s for i, s in enumerate(SECONDS)])
refused(
    "csv times of two units",
    put("a.csv", MIXED),
    r"row 7 \(line 9\).*the first rows are ms",
    options=AT,
)
for clock, what in (("2026-10-25T02:30", "comes twice"), ("2026-03-29T02:30", "is skipped")):
    refused(
        f"csv a time that {what}",
        put("a.csv", text_of(when=["2026-01-01T00:00"] * (ROWS - 1) + [clock])),
        rf"row {ROWS - 1} \(line {ROWS + 1}\).*{what}",
        options={**AT, "timezone": "Europe/Berlin"},
    )
refused(
    "csv no time",
    put("a.csv", text_of(when=[*SECONDS[:-1], "noon"])),
    r"row 39 \(line 41\).*'noon', no time",
    options=AT,
)

# --- JSON lines -------------------------------------------------------------------------------

case("json", put("a.jsonl", lines_of()))
case("json CRLF and blank lines", put("a.ndjson", lines_of().replace("\n", "\r\n\r\n")))
case("json BOM", put("a.jsonl", codecs.BOM_UTF8 + lines_of().encode()))
case("json utf-16", put("a.jsonl", lines_of(), "utf-16"))
JSON = lines_of()
case(
    "json in another order",
    put(
        "a.jsonl",
        edited(JSON, 5, json.dumps(dict(zip(NAMES[::-1], X[5, ::-1].tolist(), strict=True)))),
    ),
)
DEEP = "[" * 100_000 + "]" * 100_000
NESTED = '{"a":' * 50_000 + "1" + "}" * 50_000
for called, line, why in (
    ("a later member", '{"oil": 1, "air": 2, "heat": 3, "new": 4}', "has 'new'"),
    ("a member twice", '{"oil": 1, "air": 2, "heat": 3, "air": 4}', "has 'air' twice"),
    ("a member missing", '{"oil": 1, "heat": 3}', "'air' is missing"),
    ("an object inside", '{"oil": 1, "air": {"x": 1}, "heat": 3}', "'air' is an object"),
    ("a list inside", '{"oil": 1, "air": [1], "heat": 3}', "'air' is a list"),
    ("NaN", '{"oil": 1, "air": NaN, "heat": 3}', "'air' is (nan|missing)"),
    ("text", '{"oil": 1, "air": "2", "heat": 3}', "'air' is '2'"),
    ("half a line", '{"oil": 1, "air":', "not JSON"),
    ("a list", "[1, 2, 3]", "not a JSON object"),
    ("a deep object", '{"oil": 1, "air": ' + DEEP + ', "heat": 3}', "nested too deeply|list"),
    ("deep objects", '{"oil": 1, "air": ' + NESTED + ', "heat": 3}', "nested too deeply"),
):  # fmt: skip
    big = lines_of(np.tile(X, (300, 1)))  # beyond what is looked at first
    refused(
        f"json {called}",
        put("a.jsonl", edited(big, 11_000, line)),
        f"a.jsonl, line 11001: .*({why})",
    )
    case(
        f"json {called} skipped",
        put("a.jsonl", edited(big, 11_000, line)),
        np.delete(np.tile(X, (300, 1)), 11_000, axis=0),
        n_bad=1,
        options={"bad_rows": "skip"},
    )
refused(
    "json objects", put("a.jsonl", lines_of(more=[{"x": 1}] * ROWS)), "column 'more' holds objects"
)
case(
    "json objects left out",
    put("a.jsonl", lines_of(more=[{"x": 1}] * ROWS)),
    options={"exclude": ["more"]},
)
refused("json empty", put("a.jsonl", "\n"), "a.jsonl.*empty")
VECTORS = "".join(json.dumps({"v": row}) + "\n" for row in X.tolist())
case("json lists", put("a.jsonl", VECTORS), names=("v_0", "v_1", "v_2"))

# --- compressed -------------------------------------------------------------------------------

codec = pa.Codec("zstd")


def zstd(data):
    """Bytes as zstd writes them, with the length."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstd)):
    packed = pack(text_of(np.tile(X, (200, 1))).encode())
    case(f"csv {suffix}", put("a.csv" + suffix, packed), np.tile(X, (200, 1)))
    case(f"json {suffix}", put("a.jsonl" + suffix, pack(lines_of().encode())))
    refused(
        f"csv {suffix} cut short",
        put("a.csv" + suffix, packed[:-20]),
        "a.csv.*(cut short|[Tt]runcated)",
    )
case(
    "csv .gz in two members",
    put(
        "a.csv.gz", gzip.compress(PLAIN.encode()) + gzip.compress(PLAIN.split("\n", 1)[1].encode())
    ),
    np.vstack([X, X]),
)
case("csv .gz that is none", put("a.csv.gz", PLAIN))
case("csv that is gzip", put("a.csv", gzip.compress(PLAIN.encode())))
case("csv utf-16 .gz", put("a.csv.gz", gzip.compress(PLAIN.encode("utf-16"))))
refused("csv in a zip archive", put("a.csv", b"PK\x03\x04" + b"x" * 50), "a.csv.*zip archive")

# --- Parquet, Arrow, npy ----------------------------------------------------------------------

case("parquet", parquet("a.parquet", arrow_of()))
case("parquet gzip inside", parquet("a.parquet", arrow_of(), compression="gzip"))
case(
    "parquet decimals",
    parquet(
        "a.parquet",
        pa.table(
            {
                name: pa.array([Decimal(repr(v)) for v in X[:, i].tolist()])
                for i, name in enumerate(NAMES)
            }
        ),
    ),
)
case(
    "parquet dictionaries",
    parquet(
        "a.parquet",
        pa.table({name: pa.array(X[:, i]).dictionary_encode() for i, name in enumerate(NAMES)}),
    ),
)
HALF = X.round().astype("float16")
case("parquet half floats", parquet("a.parquet", arrow_of(HALF)), HALF.astype(float))
case("parquet whole numbers", parquet("a.parquet", arrow_of(X.round().astype("int32"))), X.round())
case(
    "parquet of mixed types",
    parquet(
        "a.parquet",
        pa.table(
            {
                "oil": pa.array(X[:, 0].round().astype("int8")),
                "air": X[:, 1].astype("float32"),
                "heat": X[:, 2],
            }
        ),
    ),
    np.stack([X[:, 0].round(), X[:, 1].astype("float32").astype(float), X[:, 2]], axis=1),
)
for called, kind in (
    ("lists", pa.list_(pa.float64())),
    ("lists of one length", pa.list_(pa.float64(), 3)),
    ("large lists", pa.large_list(pa.float64())),
):
    case(
        f"parquet {called}",
        parquet("a.parquet", pa.table({"v": pa.array(X.tolist(), kind)})),
        names=("v_0", "v_1", "v_2"),
    )
RAGGED = [*X.tolist()[:7], [1.0, 2.0], *X.tolist()[8:]]
refused(
    "parquet ragged lists",
    parquet("a.parquet", pa.table({"v": RAGGED})),
    "a.parquet, row 7: .*list of 2 numbers, not of 3",
)
refused(
    "parquet names twice",
    parquet("a.parquet", pa.Table.from_arrays([pa.array(X[:, 0])] * 2, ["oil", "oil"])),
    "a.parquet.*two columns are named 'oil'",
)
refused(
    "parquet nested",
    parquet("a.parquet", arrow_of(more=[{"x": 1}] * ROWS)),
    "column 'more' holds struct",
)
case(
    "parquet nested left out",
    parquet("a.parquet", arrow_of(more=[{"x": 1}] * ROWS)),
    options={"exclude": ["more"]},
)
refused(
    "parquet a gap",
    parquet("a.parquet", pa.table({"oil": [1.0, None, 2.0], "air": [1.0, 2.0, 3.0]})),
    "a.parquet, row 1: feature 'oil' is missing",
)
refused("parquet torn", put("a.parquet", b"PAR1 something"), "not a readable Parquet file")
refused("parquet without rows", parquet("a.parquet", arrow_of(X[:0])), "there is no row")


def feather(folder):
    """Feather, which is an Arrow file."""
    pyarrow.feather.write_feather(arrow_of(), folder / "a.feather")


def ipc(folder):
    """An Arrow stream in batches."""
    found = arrow_of()
    with (
        pa.OSFile(str(folder / "a.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, found.schema) as writer,
    ):
        writer.write_table(found, max_chunksize=7)


case("feather", feather)
case("arrow stream", ipc)
refused("arrow torn", put("a.arrow", b"ARROW1\0\0 something"), "not a readable Arrow file")


def npy(X):
    """numpy's own format."""
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


UNNAMED = {"names": ("x0", "x1", "x2")}
case("npy", put("a.npy", npy(X)), **UNNAMED)
case("npy by column", put("a.npy", npy(np.asfortranarray(X))), **UNNAMED)
case("npy single", put("a.npy", npy(X.astype("f4"))), X.astype("f4").astype(float), **UNNAMED)
case("npy big-endian", put("a.npy", npy(X.astype(">f8"))), **UNNAMED)
RECORDS = np.array(list(map(tuple, X.tolist())), [(name, "f8") for name in NAMES])
case("npy with names", put("a.npy", npy(RECORDS)))
refused("npy cut short", put("a.npy", npy(X)[:-100]), "a.npy.*cut short")
refused(
    "npy of objects", put("a.npy", npy(np.array([[None]], object))), "a.npy.*(not numbers|object)"
)
refused("npy of one dimension", put("a.npy", npy(X[:, 0])), "a.npy.*shape")

# --- several files ----------------------------------------------------------------------------

case(
    "several formats",
    both(
        put("a.csv", text_of(X[:10], delimiter=";", decimal=",")),
        put("b.jsonl", lines_of(X[10:20])),
        parquet("c.parquet", arrow_of(X[20:30])),
        put("d.tsv", text_of(X[30:], delimiter="\t")),
    ),
)
case(
    "columns in another order",
    both(put("a.csv", text_of(X[:20])), put("b.csv", text_of(X[20:, ::-1], NAMES[::-1]))),
)
refused(
    "a later file without a column",
    both(put("a.csv", PLAIN), put("b.csv", text_of(X[:, :2], NAMES[:2]))),
    "b.csv.*no column 'heat'",
)
refused(
    "a later file with one more",
    both(put("a.csv", PLAIN), parquet("b.parquet", arrow_of(new=[1.0] * ROWS))),
    "b.parquet.*has a column 'new'",
)
case(
    "a later file with one more, named",
    both(put("a.csv", text_of(X[:20])), parquet("b.parquet", arrow_of(X[20:], new=[1.0] * 20))),
    options={"columns": list(NAMES)},
)
case("an empty day among others", both(put("a.csv", PLAIN), put("b.csv", "oil,air,heat\n")))
case("gaps filled", put("a.csv", PLAIN), options={"missing": "impute"})
