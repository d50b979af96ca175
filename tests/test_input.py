"""Claims about what may hold rows, what becomes of it, and how a bad row is named."""

import datetime
import decimal
import fractions
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from streampca._input import read_rows, read_weights

X = np.arange(12.0).reshape(4, 3) ** 2 + 0.5
NAMES = ("a", "b", "c")
NAN = float("nan")


def frames(values, names=NAMES):
    columns = {name: values[:, j] for j, name in enumerate(names)}
    return {
        "pandas": pd.DataFrame(columns),
        "pandas-arrow": pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
        "pandas-nullable": pd.DataFrame(columns).convert_dtypes(dtype_backend="numpy_nullable"),
        "polars": pl.DataFrame(columns),
        "table": pa.table(columns),
        "batch": pa.record_batch(columns),
        "chunked": pa.concat_tables([pa.table(columns)[:1], pa.table(columns)[1:]]),
    }


KINDS = tuple(frames(X))


# --- what is accepted -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_gives_the_same_rows_and_names(kind):
    rows = read_rows(frames(X)[kind])
    np.testing.assert_array_equal(rows.values, X)
    assert rows.feature_names == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_put_into_the_order_of_the_names_seen_before(kind):
    shuffled = frames(X[:, [2, 0, 1]], ("c", "a", "b"))[kind]
    rows = read_rows(shuffled, feature_names=NAMES)
    np.testing.assert_array_equal(rows.values, X)
    assert rows.feature_names == NAMES


def test_a_narwhals_frame_is_read_as_the_frame_inside():
    nw = pytest.importorskip("narwhals")
    rows = read_rows(nw.from_native(pd.DataFrame(X, columns=NAMES)))
    np.testing.assert_array_equal(rows.values, X)
    assert rows.feature_names == NAMES


def test_columns_numbered_by_pandas_have_no_names():
    assert read_rows(pd.DataFrame(X)).feature_names is None
    assert read_rows(pd.DataFrame(X), feature_names=NAMES).feature_names is None


def test_unicode_names_are_names():
    names = ("température °C", "压力", "n\u0303")
    frame = pd.DataFrame(np.where(np.eye(4, 3) == 1, NAN, X), columns=names)
    assert read_rows(pd.DataFrame(X, columns=names)).feature_names == names
    with pytest.raises(ValueError, match="row 0, feature 'température °C' is nan"):
        read_rows(frame)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make", [np.array, np.asfortranarray, lambda a: np.repeat(a, 2, 1)[:, ::2]]
)
def test_float_arrays_are_neither_copied_nor_changed(dtype, make):
    given = make(X.astype(dtype))
    given.flags.writeable = False
    values = read_rows(given).values
    assert np.shares_memory(values, given)
    assert values.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cpu_tensor_is_read_in_place(dtype):
    given = torch.tensor(X, dtype=dtype, requires_grad=True)
    values = read_rows(given).values
    assert isinstance(values, np.ndarray)
    assert values.ctypes.data == given.data_ptr()


def test_a_column_of_fixed_size_lists_is_a_matrix_without_a_copy():
    flat = pa.array(X.astype("float32").ravel())
    table = pa.table({"row": pa.FixedSizeListArray.from_arrays(flat, 3)})
    rows = read_rows(table, n_features=3)
    np.testing.assert_array_equal(rows.values, X.astype("float32"))
    assert rows.feature_names is None
    assert rows.values.ctypes.data == flat.buffers()[1].address
    np.testing.assert_array_equal(read_rows(table[1:3]).values, X[1:3].astype("float32"))


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float64())])
def test_a_column_of_lists_of_one_length_is_a_matrix(kind):
    table = pa.table({"row": pa.array(X.tolist(), kind)})
    np.testing.assert_array_equal(read_rows(table).values, X)
    with pytest.raises(ValueError, match="row 1, column 'row' has 2 features where row 0 has 1"):
        read_rows(pa.table({"row": pa.array([[1.0], [1.0, 2.0]], kind)}))
    with pytest.raises(ValueError, match="row 1, column 'row' is null"):
        read_rows(pa.table({"row": pa.array([[1.0], None], kind)}))
    with pytest.raises(ValueError, match="row 1, feature 0 is nan"):
        read_rows(pa.table({"row": pa.array([[1.0], [None]], kind)}))


@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        (bool, "float32"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("float16", "float32"),
        ("int32", "float64"),
        ("uint64", "float64"),
        (">f4", "float32"),
        (">f8", "float64"),
        ("longdouble", "float64"),
    ],
)
def test_other_numbers_become_the_float_that_holds_them(dtype, becomes):
    given = np.array([[1, 0], [0, 1]], dtype)
    values = read_rows(given).values
    assert values.dtype == np.dtype(becomes)
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, given.astype(float))
    if np.dtype(dtype).isnative and dtype != "longdouble":
        table = pa.table({"a": given[:, 0], "b": given[:, 1]})
        frame = pd.DataFrame(given, columns=["a", "b"])
        sources = [frame, table] + ([] if dtype == "float16" else [frame.convert_dtypes()])
        for source in sources:
            np.testing.assert_array_equal(read_rows(source).values, given.astype(float))


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float16, torch.int64])
def test_other_tensors_become_floats(dtype):
    values = read_rows(torch.tensor([[1, 0], [0, 1]]).to(dtype)).values
    assert values.dtype == (np.float64 if dtype == torch.int64 else np.float32)
    np.testing.assert_array_equal(values, np.eye(2))


def test_a_frame_of_mixed_numbers_takes_the_widest_float():
    columns = {
        "a": np.array([1, 2], "int8"),
        "b": np.array([0.5, 1], "f4"),
        "c": np.array([1, 0], bool),
    }
    for frame in (pd.DataFrame(columns), pa.table(columns), pl.DataFrame(columns)):
        values = read_rows(frame).values
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, [[1, 0.5, 1], [2, 1, 0]])
    columns["d"] = np.array([2**40 + 1, 0])
    for frame in (pd.DataFrame(columns), pa.table(columns), pl.DataFrame(columns)):
        values = read_rows(frame).values
        assert values.dtype == np.float64
        assert values[0, 3] == 2**40 + 1


def test_numbers_of_any_python_type_are_read():
    rows = [[decimal.Decimal("0.5"), fractions.Fraction(1, 4)], [np.float32(2), True], [10**30, 3]]
    expected = [[0.5, 0.25], [2, 1], [1e30, 3]]
    np.testing.assert_array_equal(read_rows(rows).values, expected)
    np.testing.assert_array_equal(read_rows(np.array(rows, object)).values, expected)
    np.testing.assert_array_equal(read_rows(pd.DataFrame(rows)).values, expected)


def test_decimals_categories_and_dictionaries_of_numbers_are_read_as_numbers():
    table = pa.table(
        {
            "decimal": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.00")]),
            "dictionary": pa.array([7.0, 9.0]).dictionary_encode(),
        }
    )
    np.testing.assert_array_equal(read_rows(table).values, [[1.25, 7], [-3, 9]])
    frame = pd.DataFrame({"category": pd.Categorical([3, 1]), "x": [0.5, 1.5]})
    np.testing.assert_array_equal(read_rows(frame).values, [[3, 0.5], [1, 1.5]])


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "dia", "lil", "dok", "bsr"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_sparse_rows_stay_sparse(layout, dtype):
    dense = np.array([[0, 1, 0], [2, 0, 3]]).astype(dtype)
    values = read_rows(sp.csr_array(dense).asformat(layout)).values
    assert isinstance(values, sp.csr_array)
    assert values.dtype == (np.float32 if dtype in ("float32", "bool") else np.float64)
    np.testing.assert_array_equal(values.toarray(), dense)


def test_sparse_rows_given_twice_are_summed_and_the_callers_stay():
    given = sp.csr_array((np.ones(3), [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    values = read_rows(given).values
    assert values.nnz == 2
    assert given.nnz == 3
    np.testing.assert_array_equal(values.toarray(), [[2, 0], [0, 1]])


def test_the_batch_of_a_dataloader_is_its_tensor():
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(X)), batch_size=2
    )
    read = [read_rows(batch).values for batch in loader]
    np.testing.assert_array_equal(np.concatenate(read), X)


def test_a_batch_with_labels_asks_which_tensor_holds_the_rows():
    with pytest.raises(
        ValueError, match=r"got 2 tensors \(of shapes \(4, 3\), \(4,\)\).*batch\[0\]"
    ):
        read_rows([torch.from_numpy(X), torch.zeros(4)])


# --- missing entries --------------------------------------------------------------------------


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
    for given in (bad, torch.from_numpy(bad), bad.tolist(), pd.DataFrame(bad)):
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
        (torch.ones(2, 2) * 1j, "rows are complex (torch.complex64)"),
        (sp.csr_array(np.ones((2, 2)) * 1j), "rows are complex (complex128)"),
        (np.array([["2026-01-01"]], "datetime64[D]"), "rows are datetime64[D], not numbers"),
        (np.ones((2, 2), [("a", "f8")]), "structured array with fields ('a',)"),
        (np.ma.masked_array(X, X > 3), "masked array"),
        (np.ma.masked_array(X), "masked array"),
        ([[1.0, 2.0], [3.0]], "row 1 has 1 features where row 0 has 2"),
        ([[1.0, 2.0], 3.0], "row 1 is no row where row 0 has 2"),
        ([[1.0, [2.0, 3.0]]], "row 0, feature 1 is [2.0, 3.0] (list), not a number"),
        (1.0, "got shape ()"),
        ([1.0, 2.0], "got shape (2,): X.reshape(1, -1) if it is a single row"),
        (torch.ones(3), "got shape (3,)"),
        (np.ones((2, 2, 2)), "got shape (2, 2, 2)"),
        (np.ones((0, 2)), "there is nothing to read: got 0 rows of 2 features"),
        (np.ones((2, 0)), "there is nothing to read: got 2 rows of 0 features"),
        ([], "got shape (0,)"),
        ([[]], "there is nothing to read: got 1 rows of 0 features"),
        (pd.DataFrame(), "there is nothing to read"),
        (pd.DataFrame({"a": []}), "there is nothing to read: got 0 rows of 1 features"),
        (pa.table({}), "there is nothing to read"),
        (pa.table({"a": pa.array([], pa.string())}), "there is nothing to read"),
        (pl.DataFrame(), "there is nothing to read"),
        (None, "got NoneType"),
        ("1 2 3", "got str"),
        ({"a": 1.0}, "got dict"),
        ([{"a": 1.0}], "list of dictionaries"),
        ((row for row in X), "got generator"),
        (pl.LazyFrame({"a": [1.0]}), "call .collect() first"),
        (torch.eye(2).to_sparse(), "to_dense()"),
        (torch.empty(2, 2, device="meta"), "on meta"),
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
        (pa.table({"a": [1.0], "b": ["x"]}), "row 0, feature 'b' is 'x' (string)"),
        (pa.table({"b": pa.array([None, "x"])}), "row 1, feature 'b' is 'x' (string)"),
        (
            pa.table({"b": pa.array(["x"]).dictionary_encode()}),
            "row 0, feature 'b' is 'x' (string)",
        ),
        (pa.table({"b": [WHEN]}), "(timestamp[us]), not a number"),
        (pa.table({"a": [1.0], "b": [[1.0]]}), "row 0, feature 'b' is [1.0] (list<item: double>)"),
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


# --- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        [1, 0, 2.5],
        np.array([1, 0, 2.5], "float32"),
        torch.tensor([1, 0, 2.5]),
        pd.Series([1, 0, 2.5]),
        pa.array([1, 0, 2.5]),
        [decimal.Decimal(1), 0, 2.5],
    ],
)
def test_weights_become_float64(given):
    weights = read_weights(given, 3)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, [1, 0, 2.5])
    assert read_weights(None, 3) is None


def test_weights_given_are_not_shared():
    given = np.ones(3)
    assert not np.shares_memory(read_weights(given, 3), given)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, -1, 1], "row 1: the weight -1.0"),
        ([1, 1, NAN], "row 2: the weight nan"),
        ([np.inf, 1, 1], "row 0: the weight inf"),
        ([1, 1], r"shape \(2,\): give one weight for each of the 3 rows"),
        (2.0, r"shape \(\)"),
        ([[1, 1, 1]], r"shape \(1, 3\)"),
        ([1, "x", 1], r"row 1, the weight is 'x' \(text\)"),
        ([1, None, 1], "row 1: the weight nan"),
        ([1, 1j, 1], r"row 1, the weight is 1j \(complex\)"),
        ([1e308, 1e308, 1e308], "add up to more than a float holds"),
    ],
)
def test_bad_weights_name_the_row(bad, message):
    with pytest.raises(ValueError, match=message):
        read_weights(bad, 3)
