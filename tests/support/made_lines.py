"""JSON lines, and files that are compressed."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
from made_base import NAMES, PLAIN, ROWS, X, case, edited, lines_of, put, refused, text_of

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
for one, other in ((2**53, 2**53 + 1), (2**64 - 1, 2**64 - 2), (10**30, 10**30 + 1), (-(2**70), 7)):
    case(
        f"jsonl keys of many digits, {one}",
        put("a.jsonl", lines_of(k=[one, other] * (ROWS // 2))),
        {one: X[::2], other: X[1::2]},
        options={"key_column": "k"},
    )
case(
    "jsonl keys of many digits beside a fraction",
    put("a.jsonl", lines_of(k=[2**53 + 1, 1.0] * (ROWS // 2))),
    {2**53 + 1: X[::2], 1: X[1::2]},
    options={"key_column": "k"},
)
OF_VECTORS = [json.dumps({"v": row}) for row in X.tolist()]
for bad in (
    "5",
    "null",
    '{"a": 1}',
    "[]",
    "[1, 2]",
    '["1", 2, 3]',
    "[[1], 2, 3]",
    '"wet"',
    "[1, 2, NaN]",
):
    for at in (1, ROWS - 1):
        changed = [*OF_VECTORS[:at], f'{{"v": {bad}}}', *OF_VECTORS[at + 1 :]]
        lines = put("a.jsonl", "\n".join(changed) + "\n")
        vector_names = ("v_0", "v_1", "v_2")
        refused(f"jsonl vectors and {bad} at {at}", lines, rf"a.jsonl, line {at + 1}: .*'v(_\d)?'")
        case(
            f"jsonl vectors and {bad} at {at} skipped",
            lines,
            np.delete(X, at, axis=0),
            n_bad=1,
            options={"bad_rows": "skip"},
            names=vector_names,
        )
