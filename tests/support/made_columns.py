"""Columns of keys and of times."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
from made_base import ROWS, START, X, arrow_of, both, case, lines_of, parquet, put, refused, text_of

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
for dtype, digits in ((pa.float32(), 24), (pa.float64(), 53)):
    for sign in (1, -1):
        most = [float(sign * (2**digits - 1))] * ROWS
        case(
            f"parquet keys as the largest floats, {dtype}, {sign}",
            parquet("a.parquet", arrow_of(press=pa.array(most, dtype))),
            keyed(list(map(int, most))),
            options=BY_KEY,
        )
        refused(
            f"parquet keys as larger floats, {dtype}, {sign}",
            parquet("a.parquet", arrow_of(press=pa.array([*most[1:], sign * 2.0**digits], dtype))),
            f"row {ROWS - 1}: the key 'press' is .*, a float that other whole numbers are rounded",
            options=BY_KEY,
        )
refused(
    "json keys as larger floats",
    put("a.jsonl", lines_of(press=[1.0] * (ROWS - 1) + [1e17])),
    "the key 'press' is 1e.17, a float that other whole numbers are rounded to",
    options=BY_KEY,
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
