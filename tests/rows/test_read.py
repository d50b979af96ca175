"""Claims about what may hold rows, what becomes of it, and how a bad row is named."""

import decimal
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from extras import needs_torch, torch
from frames import KINDS, NAMES, NAN, X, frames

from streampca.rows.read import read_rows, read_weights

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


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cpu_tensor_is_read_in_place(dtype):
    given = torch.tensor(X, dtype=getattr(torch, dtype), requires_grad=True)
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


@needs_torch
@pytest.mark.parametrize("dtype", ["bool", "bfloat16", "float16", "int64"])
def test_other_tensors_become_floats(dtype):
    values = read_rows(torch.tensor([[1, 0], [0, 1]]).to(getattr(torch, dtype))).values
    assert values.dtype == (np.float64 if dtype == "int64" else np.float32)
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


@needs_torch
def test_the_batch_of_a_dataloader_is_its_tensor():
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(X)), batch_size=2
    )
    read = [read_rows(batch).values for batch in loader]
    np.testing.assert_array_equal(np.concatenate(read), X)


@needs_torch
def test_a_batch_with_labels_asks_which_tensor_holds_the_rows():
    with pytest.raises(
        ValueError, match=r"got 2 tensors \(of shapes \(4, 3\), \(4,\)\).*batch\[0\]"
    ):
        read_rows([torch.from_numpy(X), torch.zeros(4)])


# --- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        [1, 0, 2.5],
        np.array([1, 0, 2.5], "float32"),
        pd.Series([1, 0, 2.5]),
        pa.array([1, 0, 2.5]),
        [decimal.Decimal(1), 0, 2.5],
        *([torch.tensor([1, 0, 2.5])] if torch else []),
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
