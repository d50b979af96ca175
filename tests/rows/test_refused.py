"""What read_rows finds missing, and what it refuses and says."""

import datetime
import decimal
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from extras import torch
from frames import KINDS, NAMES, NAN, X, frames

from streampca.rows.read import read_rows

# --- missing entries --------------------------------------------------------------------------

TENSORS = (
    []
    if torch is None
    else [
        (torch.ones(2, 2) * 1j, "rows are complex (torch.complex64)"),
        (torch.ones(3), "got shape (3,)"),
        (torch.eye(2).to_sparse(), "to_dense()"),
        (torch.empty(2, 2, device="meta"), "on meta"),
    ]
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [float, "float32"])
def test_a_gap_in_a_frame_is_named_or_let_through_as_nan(kind, dtype):
    gaps = X.astype(dtype)
    gaps[2, 1] = NAN
    frame = frames(gaps)[kind]
    with pytest.raises(ValueError, match="row 2, feature 'b' is nan: .*missing='impute'"):
        read_rows(frame)
    np.testing.assert_array_equal(read_rows(frame, allow_missing=True).values, gaps)


@pytest.mark.parametrize(
    "frame",
    [
        pa.table({"a": [1, None, 3], "b": [1.5, 2.5, 3.5]}),
        pa.table({"a": pa.array([True, None, True]), "b": [1.5, 2.5, 3.5]}),
        pa.table({"a": pa.array([1, None, 1]).dictionary_encode(), "b": [1.5, 2.5, 3.5]}),
        pa.table({"a": pa.array([1, None, 1], pa.decimal128(5, 2)), "b": [1.5, 2.5, 3.5]}),
        pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [1.5, 2.5, 3.5]}),
        pd.DataFrame({"a": pd.array([True, None, True], "boolean"), "b": [1.5, 2.5, 3.5]}),
        pd.DataFrame({"a": pd.array([1, None, 1], "Int8"), "b": np.ones(3, "float32")}),
        pd.DataFrame({"a": pd.Categorical([1, None, 1]), "b": np.ones(3)}),
        pd.DataFrame({"a": [1, None, pd.NA], "b": [1.5, 2.5, 3.5]}, dtype=object),
        pl.DataFrame({"a": [1, None, 3], "b": [1.5, 2.5, 3.5]}),
        pl.DataFrame({"a": [None, None, None], "b": [1.5, 2.5, 3.5]}),
    ],
)
def test_a_null_of_any_type_is_a_gap(frame):
    with pytest.raises(ValueError, match=r"row [01], feature 'a' is nan"):
        read_rows(frame)
    values = read_rows(frame, allow_missing=True).values
    assert np.isnan(values[1, 0])
    assert np.isfinite(values[:, 1]).all()


def test_none_in_a_list_is_a_gap():
    with pytest.raises(ValueError, match="row 1, feature 0 is nan"):
        read_rows([[1.0, 2.0], [None, 4.0]])
    assert np.isnan(read_rows([[1.0, 2.0], [None, 4.0]], allow_missing=True).values[1, 0])


@pytest.mark.parametrize("allow_missing", [False, True])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_never_let_through(allow_missing, value):
    bad = X.copy()
    bad[0, 0] = NAN if allow_missing else 0
    bad[3, 2] = value
    tensors = [torch.from_numpy(bad)] if torch else []
    for given in (bad, bad.tolist(), pd.DataFrame(bad), *tensors):
        with pytest.raises(ValueError, match=f"row 3, feature 2 is {value}"):
            read_rows(given, allow_missing=allow_missing)


@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_nan_in_sparse_rows_is_named_even_where_gaps_are_filled(allow_missing):
    given = sp.csr_array(np.array([[0, 0, 0], [0, 1, 0], [2, 0, NAN]]))
    for layout in ("csr", "csc", "coo"):
        with pytest.raises(ValueError, match="row 2, feature 2 is nan: .*sparse"):
            read_rows(given.asformat(layout), allow_missing=allow_missing)


@pytest.mark.parametrize(
    "given",
    [
        np.array([[1, np.longdouble("1e400")]]),
        [[1.0, decimal.Decimal("1e400")]],
        [[1.0, 10**400]],
        [[1.0, 10**5000]],
        pa.table({"0": [1.0], "1": pa.array([decimal.Decimal("1e70")], pa.decimal256(76))}),
    ],
)
def test_a_number_that_no_float_holds_is_an_error_never_infinity(given):
    if isinstance(given, pa.Table):
        assert read_rows(given).values[0, 1] == pytest.approx(1e70)
        return
    with pytest.raises(ValueError, match="row 0, feature 1 is .*too large for a float"):
        read_rows(given)


def test_a_signalling_nan_is_an_error():
    with pytest.raises(ValueError, match="row 0, feature 0 is .*no number"):
        read_rows([[decimal.Decimal("sNaN")]])


# --- what is refused --------------------------------------------------------------------------

WHEN = datetime.datetime(2026, 1, 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1.0, 2.0], [3.0, "x"]], "row 1, feature 1 is 'x' (text), not a number"),
        ([["1", "2"]], "row 0, feature 0 is '1' (text)"),
        ([[1.0, 1j]], "row 0, feature 1 is 1j (complex)"),
        ([[1.0, WHEN]], "row 0, feature 1 is datetime.datetime(2026, 1, 1, 0, 0) (datetime)"),
        (np.array([["1", "2"]]), "row 0, feature 0 is '1' (text)"),
        (np.array([[1, object()]]), "(object), not a number"),
        (np.array([[b"1"]]), "row 0, feature 0 is b'1' (bytes)"),
        (np.ones((2, 2)) * 1j, "rows are complex (complex128)"),
        (sp.csr_array(np.ones((2, 2)) * 1j), "rows are complex (complex128)"),
        (np.array([["2026-01-01"]], "datetime64[D]"), "rows are datetime64[D], not numbers"),
        (np.ones((2, 2), [("a", "f8")]), "structured array with fields ('a',)"),
        (np.ma.masked_array(X, X > 3), "row 0, feature 2 is masked"),
        ([[1.0, 2.0], [3.0]], "row 1 has 1 features where row 0 has 2"),
        ([[1.0, 2.0], 3.0], "row 1 is no row where row 0 has 2"),
        ([[1.0, [2.0, 3.0]]], "row 0, feature 1 is [2.0, 3.0] (list), not a number"),
        (1.0, "got shape ()"),
        ([1.0, 2.0], "got shape (2,). Reshape your data: X.reshape(1, -1) if it is a single row"),
        (np.ones((2, 2, 2)), "got shape (2, 2, 2)"),
        (np.ones((0, 2)), "there is nothing to read: got 0 rows of 2 features"),
        (np.ones((2, 0)), "there is nothing to read: got 2 rows of 0 features"),
        ([], "got shape (0,)"),
        ([[]], "there is nothing to read: got 1 rows of 0 features"),
        (pd.DataFrame(), "there is nothing to read"),
        (pd.DataFrame({"a": []}), "there is nothing to read: got 0 rows of 0 features"),
        (pa.table({}), "there is nothing to read"),
        (pa.table({"a": pa.array([], pa.string())}), "there is nothing to read"),
        (pl.DataFrame(), "there is nothing to read"),
        (None, "got NoneType"),
        ("1 2 3", "got str"),
        ({"a": 1.0}, "got dict"),
        ([{"a": 1.0}], "list of dictionaries"),
        ((row for row in X), "got generator"),
        (pl.LazyFrame({"a": [1.0]}), "call .collect() first"),
        (pd.Series([1.0, 2.0]), "got shape (2,)"),
        (pl.Series([1.0, 2.0]), "got shape (2,)"),
        (pd.DataFrame(np.ones((1, 2)), columns=["a", "a"]), "two features are named 'a'"),
        (pa.Table.from_arrays([pa.array([1.0])] * 2, ["b", "b"]), "two features are named 'b'"),
        (pd.DataFrame(np.ones((1, 2)), columns=["a", 1]), "some column names are text, but 1 is"),
        (pd.DataFrame({"a": [1.0, 2], "b": [1, "x"]}), "row 1, feature 'b' is 'x' (text)"),
        (pd.DataFrame({"a": [1.0, 2], "b": ["y", "x"]}), "row 0, feature 'b' is 'y' (text)"),
        (pd.DataFrame({"b": pd.Categorical(["y", "x"])}), "row 0, feature 'b' is 'y' (text)"),
        (pd.DataFrame({"a": [1.0], "b": [1j]}), "feature 'b' is complex"),
        (pd.DataFrame({"a": [1.0], "b": [pd.Timestamp(0)]}), "row 0, feature 'b' is Timestamp("),
        (pd.DataFrame({"a": [1.0], "b": [pd.Timedelta(0)]}), "row 0, feature 'b' is Timedelta("),
        (pd.DataFrame({"a": [1.0], "b": [pd.NaT]}), "row 0, feature 'b' is NaT"),
        *TENSORS,
        (pa.table({"a": [1.0], "b": ["x"]}), "row 0, feature 'b' is 'x' (string)"),
        (pa.table({"b": pa.array([None, "x"])}), "row 1, feature 'b' is 'x' (string)"),
        (
            pa.table({"b": pa.array(["x"]).dictionary_encode()}),
            "row 0, feature 'b' is 'x' (string)",
        ),
        (pa.table({"b": [WHEN]}), "(timestamp[us]), not a number"),
        (
            pa.table({"a": [1.0], "b": [[[1.0]]]}),
            "column 'b' holds list<item: double>, not numbers",
        ),
        (pa.table({"b": [["x"]]}), "column 'b' holds string, not numbers"),
        (pl.DataFrame({"b": ["x"]}), "row 0, feature 'b' is 'x' ("),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(bad, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rows(bad)


def test_the_width_is_that_of_the_rows_before():
    for expected in ({"n_features": 4}, {"feature_names": ("a", "b", "c", "d")}):
        with pytest.raises(ValueError, match="rows have 3 features, but 4 are expected"):
            read_rows(X, **expected)
    with pytest.raises(ValueError, match="rows have 3 features, but 4 are expected"):
        read_rows(pa.table(dict(zip(NAMES, X.T, strict=True))), n_features=4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_with_other_names_says_which(kind):
    frame = frames(X, ("a", "x", "c"))[kind]
    with pytest.raises(ValueError, match=r"missing: 'b'; unexpected: 'x'"):
        read_rows(frame, feature_names=NAMES)
    many = tuple(f"f{i}" for i in range(9))
    with pytest.raises(ValueError, match=r"missing: 'f0', .*'f4' and 4 more; unexpected: 'a'"):
        read_rows(frame, feature_names=many)


def test_names_seen_before_are_used_for_arrays_without_names():
    bad = X.copy()
    bad[1, 2] = NAN
    with pytest.raises(ValueError, match="row 1, feature 'c' is nan"):
        read_rows(bad, feature_names=NAMES)
