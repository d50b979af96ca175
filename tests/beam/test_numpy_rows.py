"""Vectors and matrices of every type and layout that numpy has for numbers, as rows."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions
from streams import assert_equals_batch, learn, timed

from beam_pipelines.rows.elements import RowReader
from streampca import StreamingPCA

M = np.random.default_rng(0).integers(0, 200, size=(60, 4))
TYPES = ["f8", ">f8", "f4", ">f4", "f2", "i8", ">i8", "i4", ">i2", "u1", "u8", "?", "O"]
LAYOUTS = {
    "rows": lambda values: list(values),
    "columns": lambda values: list(np.asfortranarray(values)),  # each row with gaps between
    "every second": lambda values: [np.repeat(row, 2)[::2] for row in values],
    "backwards": lambda values: list(values[:, ::-1].copy()[:, ::-1]),
    "read only": lambda values: [np.frombuffer(row.tobytes(), row.dtype) for row in values],
    "a matrix": lambda values: [values],
    "a Fortran matrix": lambda values: [np.asfortranarray(values)],
    "a part of a matrix": lambda values: [np.repeat(values, 2, axis=1)[:, ::2]],
}


def expected(values):
    """What the estimator makes of the same rows: its type, and their numbers."""
    pca = StreamingPCA(2).partial_fit(values)
    return pca.components_.dtype, np.asarray(values, "float64")


def assert_same(found, values):
    dtype, numbers = expected(values)
    assert found.components.dtype == dtype
    if dtype == "float64":
        assert_equals_batch(found, numbers)
    else:
        pca = StreamingPCA(2).fit(numbers)
        assert found.n_samples_seen == len(numbers)
        np.testing.assert_allclose(found.mean, pca.mean_, rtol=1e-5)
        np.testing.assert_allclose(found.explained_variance, pca.explained_variance_, rtol=1e-4)
        np.testing.assert_allclose(np.abs(found.components), np.abs(pca.components_), atol=1e-3)


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_of_every_type(tmp_path, dtype, engine):
    values = (M > 100 if dtype == "?" else M).astype(dtype)
    elements = list(values)
    (found,) = learn(
        timed(elements, range(60)), GlobalWindows(), tmp_path, n_components=2
    ).history()
    assert_same(found, values)


@pytest.mark.parametrize("dtype", [d for d in TYPES if d != "O"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_as_what_it_holds(layout, dtype):
    values = (M > 100 if dtype == "?" else M).astype(dtype)
    read = RowReader(4)
    elements = LAYOUTS[layout](values)
    blocks = [read(element) for element in elements]
    np.testing.assert_array_equal(np.vstack([b.values for b in blocks]), values.astype("f8"))
    together = read.together(elements) if elements[0].ndim == 1 else None
    if together is not None:
        np.testing.assert_array_equal(together.values, values.astype("f8"))
        assert together.values.dtype.isnative


@pytest.mark.parametrize("windowfn", [FixedWindows(30), Sessions(10)], ids=["gathered", "single"])
@pytest.mark.parametrize("layout", ["columns", "every second", "a Fortran matrix"])
def test_layouts_cross_a_pipeline(tmp_path, layout, windowfn, engine):
    elements = LAYOUTS[layout](M.astype(">f8"))
    times = range(len(elements))
    last = learn(timed(elements, times), windowfn, tmp_path, n_components=2).latest()
    assert_equals_batch(last, M.astype("f8"))


def test_rows_of_several_types_and_kinds_are_one_model(tmp_path, engine):
    names = list("abcd")
    rows = [
        *M[:10].astype("f4"),
        *M[10:20].astype("u1"),
        *M[20:30].astype(">f8"),
        *(dict(zip(names, map(int, row), strict=True)) for row in M[30:40]),
        *(beam.Row(**dict(zip(names, map(float, row), strict=True))) for row in M[40:50]),
        M[50:].astype("i2"),
    ]
    options = {"features": names, "dtype": "float64", "n_components": 2}
    (found,) = learn(timed(rows, [0] * len(rows)), GlobalWindows(), tmp_path, **options).history()
    assert found.feature_names == tuple(names)
    assert_equals_batch(found, M.astype("f8"))


def test_the_rows_of_the_caller_stay_as_they_are(tmp_path, engine):
    X = M.astype("f8")
    before = X.copy()
    learn(timed(list(X), range(60)), FixedWindows(20), tmp_path, n_components=2)
    np.testing.assert_array_equal(X, before)
