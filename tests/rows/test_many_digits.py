"""Numbers of more digits than float64 has: the nearest float64, whatever holds them."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from extras import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streampca import StreamingPCA
from streampca.files import read
from streampca.rows import read_rows

NAMES = ("a", "b")


def of_decimals(kind):
    return lambda X: pa.table(
        {name: pa.array([Decimal(int(x)) for x in X[:, i]], kind) for i, name in enumerate(NAMES)}
    )


def frame(kind):
    return lambda X: pd.DataFrame(X, columns=NAMES).astype(kind)


CONTAINERS = {
    "numpy": lambda X: X,
    "lists": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "decimals": lambda X: np.array([[Decimal(int(x)) for x in row] for row in X], object),
    "Arrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
    "Arrow decimals": of_decimals(pa.decimal128(20, 0)),
    "wide Arrow decimals": of_decimals(pa.decimal256(40, 0)),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}
SIGNED = {
    "pandas": frame("int64"),
    "pandas with gaps": frame("Int64"),
    "pandas of Arrow": frame("int64[pyarrow]"),
}
UNSIGNED = {"pandas": frame("uint64"), "pandas with gaps": frame("UInt64")}
if torch is not None:
    SIGNED["torch"] = torch.tensor


def integers(dtype):
    return arrays.arrays(dtype, st.tuples(st.integers(2, 20), st.just(2)))


@settings(max_examples=100, deadline=None)
@given(integers("int64") | integers("uint64"))
def test_whole_numbers_are_the_nearest_floats(X):
    nearest = [[float(int(x)) for x in row] for row in X]
    more = SIGNED if X.dtype == np.int64 else UNSIGNED
    for name, make in (CONTAINERS | more).items():
        assert np.asarray(read_rows(make(X)).values).tolist() == nearest, name


def written(X, folder):
    rows = [dict(zip(NAMES, row, strict=True)) for row in X.tolist()]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pd.DataFrame(rows).to_csv(folder / "a.csv", index=False)
    pq.write_table(CONTAINERS["Arrow"](X), folder / "a.parquet")
    return [folder / f"a.{kind}" for kind in ("jsonl", "csv", "parquet")]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(integers("int64") | integers("uint64"))
def test_files_of_whole_numbers_are_the_nearest_floats(tmp_path, X):
    nearest = [[float(int(x)) for x in row] for row in X]
    for path in written(X, tmp_path):
        assert np.vstack([part.values for part in read(path)]).tolist() == nearest, path.name


@given(integers("int64"), st.integers(-8, 8))
def test_variances_are_those_of_the_numbers_to_their_rounding(X, spread):
    """The error of each entry is half a step: of a standard deviation, at most as much."""
    X = X // 2 + (np.arange(len(X)) * 10 ** (spread + 8))[:, None] % 2**60
    exact = X.astype(object)
    m, found = len(X), StreamingPCA(1).fit(X)
    centred = exact * m - exact.sum(axis=0)  # whole numbers: exact
    sd = np.array([float(s / (m * m * (m - 1))) ** 0.5 for s in (centred**2).sum(axis=0)])
    step = np.spacing(np.abs(X.astype("float64")).max())
    np.testing.assert_allclose(found.var_**0.5, sd, rtol=1e-12, atol=2 * step)


def test_a_column_that_is_no_feature_loses_no_digit(tmp_path):
    path = tmp_path / "a.parquet"
    keys = [2**53, 2**53 + 1, 2**63 - 1] * 2
    pq.write_table(pa.table({"k": keys, "a": [1.0, 2, 3, 4, 5, 7]}), path)
    found = {key for part in read(path, key_column="k") for key in part.keys}
    assert found == set(keys)
