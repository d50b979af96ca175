"""Parquet, Arrow, npy; several files at once."""

from __future__ import annotations

import io
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
from made_base import (
    NAMES,
    PLAIN,
    ROWS,
    X,
    arrow_of,
    both,
    case,
    lines_of,
    parquet,
    put,
    refused,
    text_of,
)

# --- Parquet, Arrow, npy ----------------------------------------------------------------------

case("parquet", parquet("a.parquet", arrow_of()))
for index in ([5, 3] * (ROWS // 2), ["north", "south"] * (ROWS // 2), [0.5] * ROWS):
    case(
        f"parquet with an index of pandas that has no name, {type(index[0]).__name__}",
        parquet("a.parquet", arrow_of(__index_level_0__=index)),
    )
case(
    "parquet with an index of pandas that is called for",
    parquet("a.parquet", arrow_of(__index_level_0__=["a", "b"] * (ROWS // 2))),
    {"a": X[::2], "b": X[1::2]},
    options={"key_column": "__index_level_0__"},
)
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
KEYED = np.zeros(ROWS, [*((name, "f8") for name in NAMES), ("k", "U3"), ("t", "M8[ms]")])
for i, name in enumerate(NAMES):
    KEYED[name] = X[:, i]
KEYED["k"], KEYED["t"] = ["a", "öl"] * (ROWS // 2), np.datetime64("2026-01-01", "ms")
case(
    "npy with names, keys and times",
    put("a.npy", npy(KEYED)),
    {"a": X[::2], "öl": X[1::2]},
    options={"key_column": "k", "timestamp_column": "t"},
    times=(0, 0),
)
refused(
    "npy with text among features", put("a.npy", npy(KEYED[[*NAMES, "k"]])), "a.npy.*'k'.*string"
)
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
