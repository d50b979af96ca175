"""What a stream may be handed by mistake, and what is odd but fine; one table for every face.

All rows have three features, by name a, b and "ü °C"; the bad entry stands in row 2, feature 1
("b"). Messages are regular expressions.
"""

import datetime as dt
import decimal
import fractions
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from extras import torch

NAMES = ("a", "b", "ü °C")
X = np.random.default_rng(0).normal(size=(6, 3)).round(3)
DAY = dt.datetime(2026, 1, 1)

# --- single values ------------------------------------------------------------------------------

GAPS = {
    "None": None,
    "nan": math.nan,
    "nan of numpy": np.float32("nan"),
    "nan of decimal": decimal.Decimal("NaN"),
    "NA of pandas": pd.NA,
    "masked": np.ma.masked,
}
"""Accepted where missing="impute", otherwise refused."""

NO_NUMBERS = {
    "text": "x",
    "a number as text": "1.5",
    "text of numpy": np.str_("1.5"),
    "bytes": b"1.5",
    "complex": 1 + 0j,
    "complex of numpy": np.complex128(1 + 0j),
    "list": [1.0],
    "array": np.ones(1),
    "dictionary": {},
    "object": object(),
    "datetime": DAY,
    "date": DAY.date(),
    "timedelta": dt.timedelta(1),
    "datetime of numpy": np.datetime64("2026-01-01"),
    "timedelta of numpy": np.timedelta64(3, "s"),
    "timestamp of pandas": pd.Timestamp(DAY),
    "NaT of pandas": pd.NaT,
}

TOO_LARGE = {
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "infinity of decimal": decimal.Decimal("Infinity"),
    "infinity in half precision": np.float16(np.inf),
    "a whole number beyond floats": 10**400,
    "a long double beyond floats": np.longdouble("1e4000"),
    "a number whose square is beyond floats": 1e200,
    "a signalling NaN": decimal.Decimal("sNaN"),
}

NUMBERS = {
    "bool": (True, 1.0),
    "bool of numpy": (np.True_, 1.0),
    "whole number": (7, 7.0),
    "a whole number beyond 64 bits": (2**70, 2.0**70),
    "8 bits": (np.int8(-3), -3.0),
    "64 bits": (np.uint64(2**63), 2.0**63),
    "half precision": (np.float16(1.5), 1.5),
    "single precision": (np.float32(0.1), float(np.float32(0.1))),
    "long double": (np.longdouble(0.1), 0.1),
    "decimal": (decimal.Decimal("0.1"), 0.1),
    "fraction": (fractions.Fraction(1, 4), 0.25),
    "array of no dimension": (np.array(1.5), 1.5),
    "scalar of Arrow": (pa.scalar(1.5), 1.5),
} | ({"tensor of no dimension": (torch.tensor(1.5), 1.5)} if torch else {})
"""Accepted everywhere, and read as the float beside it."""


def with_entry(value):
    """Rows (6, 3) as an object array with the value in row 2, feature 1."""
    rows = X.astype(object)
    rows[2, 1] = value  # a list too is one entry
    return rows


# --- whole inputs -------------------------------------------------------------------------------


def _columns(b):
    return dict(zip(NAMES, (X[:, 0], b, X[:, 2]), strict=True))


def _float(value):
    rows = X.copy()
    rows[2, 1] = value
    return rows


_times = [DAY + dt.timedelta(days) for days in range(6)]
_words = list("uvwxyz")
_ints = [1, 2, None, 3, 4, 5]

BAD_ROWS = {
    # entries
    "nan": (_float(math.nan), "row 2, feature 1 is nan: leave the row out"),
    "infinity": (_float(-math.inf), "row 2, feature 1 is -inf.*leave the row out or rescale"),
    "squares overflow": (_float(1e200), "row 2, feature 1 is 1e.200.*leave the row out or rescale"),
    "half precision infinite": (_float(math.inf).astype("float16"), "row 2, feature 1 is inf"),
    "sparse with nan": (sp.csr_array(_float(math.nan)), "row 2, feature 1 is nan: leave the row"),
    "lists with text": ([*X[:2].tolist(), [1.0, "x", 2.0]], "row 2, feature 1 is 'x'"),
    "all text": (X.astype(str), "row 0, feature 0 is .*text.*, not a number: turn the feature"),
    "complex": (X * 1j, "Complex data not supported.*: give real and imaginary parts"),
    "complex sparse": (
        sp.csr_array(X * 1j),
        "Complex data not supported.*: give real and imaginary parts",
    ),
    "datetimes": (X.astype("datetime64[s]"), "datetime64.*, not numbers: turn them into numbers"),
    "masked gap": (
        np.ma.masked_array(X, np.isin(X, X[2, 1])),
        "row 2, feature 1 is masked: leave the row out",
    ),
    "structured array": (np.zeros(6, "f8,f8,f8"), "structured array.*: give numpy.lib"),
    # shapes
    "too narrow": (X[:, :2], "rows have 2 features, but 3 are expected"),
    "too wide": (np.ones((6, 4)), "rows have 4 features, but 3 are expected"),
    "sparse too wide": (sp.csr_array(np.ones((6, 4))), "rows have 4 features, but 3 are expected"),
    "a vector": (
        X[0],
        r"Expected 2D array, got 1D array instead.*Reshape your data.*X.reshape\(1, -1\) if it",
    ),
    "three dimensions": (X[None], "Found array with dim 3, while dim <= 2 is required"),
    "a number": (3.0, "Expected 2D array, got scalar array instead"),
    "no features": (
        X[:, :0],
        r"Found array with 0 feature\(s\) \(shape=\(6, 0\)\) while a minimum",
    ),
    "an empty list": ([], "Expected 2D array, got 1D array instead.*must be 2-D"),
    "ragged lists": ([[1.0, 2.0, 3.0], [1.0, 2.0]], "row 1 has 2 features where row 0 has 3"),
    "ragged arrays": ([np.ones(3), np.ones(2)], "row 1 has 2 features where row 0 has 3"),
    "an array of ragged lists": (
        np.array([[1.0, 2.0, 3.0], [1.0]], dtype=object),
        "row 1 has 1 features where row 0 has 3",
    ),
    # things that hold no rows
    "None": (None, "got NoneType, which does not hold rows: give a 2-D array"),
    "text": ("1 2 3", "got str, which does not hold rows: give a 2-D array"),
    "dictionary": ({"a": 1.0}, "got dict, which does not hold rows: give a 2-D array"),
    "dictionaries": ([{"a": 1.0}], "list of dictionaries: give a data frame"),
    # frames
    "pandas with text": (pd.DataFrame(_columns(_words)), "row 0, feature 'b' is 'u' .text"),
    "pandas with numbers as text": (pd.DataFrame(_columns(list("123456"))), "'b' is '1' .text"),
    "pandas with times": (pd.DataFrame(_columns(_times)), "row 0, feature 'b' is Timestamp"),
    "pandas with a gap": (
        pd.DataFrame(_columns(pd.array(_ints, "Int64"))),
        "row 2, feature 'b' is nan: leave the row out",
    ),
    "pandas with categories of text": (
        pd.DataFrame(_columns(pd.Categorical(_words))),
        "row 0, feature 'b' is 'u' .text",
    ),
    "pandas with complex": (pd.DataFrame(_columns(X[:, 1] * 1j)), "feature 'b' is complex: give"),
    "pandas with a name twice": (
        pd.DataFrame(X, columns=["a", "b", "b"]),
        "two features are named 'b': give each a name of its own",
    ),
    "pandas with other names": (
        pd.DataFrame(X, columns=["a", "c", "ü °C"]),
        "missing: 'b'; unexpected: 'c'.*give a frame",
    ),
    "polars with text": (pl.DataFrame(_columns(_words)), "row 0, feature 'b' is 'u'"),
    "polars with categories": (
        pl.DataFrame(_columns(pl.Series(_words, dtype=pl.Categorical))),
        "row 0, feature 'b' is 'u'",
    ),
    "polars with times": (pl.DataFrame(_columns(_times)), "row 0, feature 'b' is datetime"),
    "polars with a gap": (pl.DataFrame(_columns(_ints)), "row 2, feature 'b' is nan: leave"),
    "polars not collected": (pl.DataFrame(_columns(X[:, 1])).lazy(), r"call .collect\(\) first"),
    "Arrow with text": (pa.table(_columns(pa.array(_words))), "row 0, feature 'b' is 'u' .string"),
    "Arrow with times": (pa.table(_columns(pa.array(_times))), "row 0, feature 'b' is datetime"),
    "Arrow with structs": (
        pa.table(_columns(pa.array([{"x": 1}] * 6))),
        "row 0, feature 'b' is .'x': 1. .struct",
    ),
    "Arrow with a gap": (pa.table(_columns(pa.array(_ints))), "row 2, feature 'b' is nan: leave"),
    "Arrow with nothing but gaps": (pa.table(_columns(pa.nulls(6))), "row 0, feature 'b' is nan"),
    "Arrow with a name twice": (
        pa.Table.from_arrays([pa.array(X[:, 0])] * 3, ["a", "b", "b"]),
        "two features are named 'b': give each a name of its own",
    ),
    "Arrow with ragged lists": (
        pa.table({"row": [[1.0, 2.0, 3.0], [1.0]]}),
        "row 1, column 'row' has 1 features where row 0 has 3",
    ),
}
"""Rows for an estimator that knows the three features by name; it refuses them all.

Arrays have no names: their features are called by the names that frames gave before.
"""


def message_for_names(message):
    """The message of an estimator that knows the features' names."""
    return message.replace("feature 1 ", "feature 'b' ").replace("feature 0 ", "feature 'a' ")


def _read_only(rows):
    rows = rows.copy()
    rows.flags.writeable = False
    return rows


ODD_ROWS = {
    "read-only": (_read_only, 0),
    "columns first": (np.asfortranarray, 0),
    "every other column": (lambda rows: np.repeat(rows, 2, axis=1)[:, ::2], 0),
    "backwards": (lambda rows: rows[::-1].copy()[::-1], 0),
    "other byte order": (lambda rows: rows.astype(">f8"), 0),
    "long doubles": (lambda rows: rows.astype("longdouble"), 0),
    "single precision": (lambda rows: rows.astype("float32"), 2e-6),
    "half precision": (lambda rows: rows.astype("float16"), 2e-3),
    "lists": (lambda rows: rows.tolist(), 0),
    "tuples": (lambda rows: [tuple(row) for row in rows.tolist()], 0),
    "arrays in a list": (list, 0),
    "objects": (lambda rows: rows.astype(object), 0),
    "decimals": (
        lambda rows: [[decimal.Decimal(repr(v)) for v in row] for row in rows.tolist()],
        0,
    ),
    "a buffer": (lambda rows: memoryview(np.ascontiguousarray(rows)), 0),
    "sparse": (sp.csr_array, 1e-9),
    "pandas": (lambda rows: pd.DataFrame(rows, columns=list(NAMES)), 0),
    "pandas in another order": (
        lambda rows: pd.DataFrame(rows, columns=list(NAMES)).iloc[:, ::-1],
        0,
    ),
    "pandas sparse": (
        lambda rows: pd.DataFrame(rows, columns=list(NAMES)).astype("Sparse[float]"),
        0,
    ),
    "pandas categories of numbers": (
        lambda rows: pd.DataFrame(rows, columns=list(NAMES)).astype({"b": "category"}),
        0,
    ),
    "polars": (lambda rows: pl.DataFrame(rows, schema=list(NAMES)), 0),
    "Arrow": (lambda rows: pa.table(dict(zip(NAMES, rows.T, strict=True))), 0),
    "Arrow decimals": (
        lambda rows: pa.table(
            {
                name: pa.array([decimal.Decimal(repr(v)) for v in column], pa.decimal128(20, 15))
                for name, column in zip(NAMES, rows.T.round(12).tolist(), strict=True)
            }
        ),
        1e-9,
    ),
    "lists in Arrow": (lambda rows: pa.table({"row": pa.array(rows.tolist())}), 0),
}
"""Odd but fine: the same rows in another shape, and how far the answer may differ (relative)."""

NO_ROWS = {
    "numpy": X[:0],
    "sparse": sp.csr_array((0, 3)),
    "pandas": pd.DataFrame(_columns(X[:, 1])).iloc[:0],
    "pandas without anything": pd.DataFrame(),
    "pandas with vectors": pd.DataFrame({"row": list(X)}).iloc[:0],
    "polars": pl.DataFrame(_columns(X[:, 1])).clear(),
    "polars with vectors": pl.DataFrame({"row": X.tolist()}).clear(),
    "Arrow": pa.table(_columns(X[:, 1])).slice(0, 0),
    "Arrow with lists": pa.table({"row": pa.array([], pa.list_(pa.float64()))}),
}
"""No rows, as partitions are after a filter: they change nothing and have no answers."""

BAD_WEIGHTS = {
    "negative": ([1, 1, -1, 1, 1, 1], "row 2: the weight -1.0 is not accepted"),
    "nan": ([1, 1, math.nan, 1, 1, 1], "row 2: the weight nan is not accepted"),
    "infinite": ([1, 1, math.inf, 1, 1, 1], "row 2: the weight inf is not accepted"),
    "masked": (np.ma.masked_array(np.ones(6), np.arange(6) == 2), "sample_weight is masked"),
    "None": ([1, 1, None, 1, 1, 1], "row 2: the weight nan is not accepted"),
    "text": ([1, 1, "x", 1, 1, 1], "row 2, the weight is 'x' .text., not a number"),
    "complex": (np.ones(6) * 1j, "row 0, the weight is 1j .complex"),
    "too few": (np.ones(5), "one weight for each of the 6 rows"),
    "one number": (2.0, "one weight for each of the 6 rows"),
    "a matrix": (np.ones((6, 1)), "one weight for each of the 6 rows"),
    "too heavy together": (np.full(6, 1e308), "add up to more than a float holds: divide"),
}

BAD_FILES = {
    "text in a number's place": ("a,b,ü °C\n1,2,3\n4,5,6\n7,wet,9\n1,0,2\n", 2, "'b' is 'wet'"),
    "infinity": ("a,b,ü °C\n1,2,3\n4,5,6\n7,inf,9\n1,0,2\n", 2, "'b' is inf"),
    "nan": ("a,b,ü °C\n1,2,3\n4,5,6\n7,nan,9\n1,0,2\n", 2, "'b' is (nan|missing)"),
    "a gap": ("a,b,ü °C\n1,2,3\n4,5,6\n7,,9\n1,0,2\n", 2, "'b' is (nan|missing)"),
    "a number too large": ("a,b,ü °C\n1,2,3\n4,5,6\n7,1e999,9\n1,0,2\n", 2, "'b' is "),
    "squares overflow": ("a,b,ü °C\n1,2,3\n4,5,6\n7,1e200,9\n1,0,2\n", 2, "'b' is 1e.200"),
    "a complex number": ("a,b,ü °C\n1,2,3\n4,5,6\n7,1+2j,9\n1,0,2\n", 2, "'b' is '1.2j'"),
    "a time": ("a,b,ü °C\n1,2,3\n4,5,6\n7,2026-01-01,9\n1,0,2\n", 2, "'b' is '2026-01-01'"),
}
"""CSV files: text, which of the rows is bad (from 0), and what is said of its feature."""

# --- where torch is installed -----------------------------------------------------------------

if torch:
    BAD_ROWS |= {
        "tensor with nan": (
            torch.tensor(_float(math.nan)),
            "row 2, feature 1 is nan: leave the row",
        ),
        "complex tensor": (torch.tensor(X * 1j), "Complex data not supported.*: give real"),
        "two tensors": ([torch.ones(6, 3), torch.ones(6)], "got 2 tensors.*: give the one"),
    }
    ODD_ROWS |= {
        "bfloat16": (lambda rows: torch.tensor(rows, dtype=torch.bfloat16), 2e-2),
        "tensor that requires gradients": (lambda rows: torch.tensor(rows, requires_grad=True), 0),
        "tensor of columns": (lambda rows: torch.tensor(rows.T.copy()).T, 0),
    }
    NO_ROWS["tensor"] = torch.empty(0, 3)
