"""Large and lazy inputs go part by part: the same answers, little memory, all or nothing."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from extras import torch

from streampca import StreamingPCA, StreamingReducedRankRegression
from streampca.rows import parts

X = np.random.default_rng(0).normal(size=(500, 4)) * [4, 3, 2, 1] + 2
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "_BLOCK", 4 * 30)


def _dask(rows):
    return pytest.importorskip("dask.array").from_array(rows, chunks=(110, 2))


def _dask_frame(rows):
    frames = pytest.importorskip("dask.dataframe")
    return frames.from_pandas(pd.DataFrame(rows, columns=NAMES), npartitions=5)


def _labelled(rows):
    return pytest.importorskip("xarray").DataArray(rows, dims=["t", "s"], coords={"s": list(NAMES)})


def _stream(rows):
    table = pa.table(dict(zip(NAMES, map(np.ascontiguousarray, rows.T), strict=True)))
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=110))


LAZY = {
    "dask array": _dask,
    "dask frame": _dask_frame,
    "xarray of dask": lambda rows: _labelled(rows).chunk({"t": 110, "s": 3}),
    "stream of batches": _stream,
}
CUT = {
    "numpy": lambda rows: rows,
    "whole numbers": lambda rows: rows.round().astype("int16"),
    "masked": np.ma.masked_array,
    "objects": lambda rows: rows.astype(object),
    "sparse": sp.csr_array,
    "sparse columns": sp.csc_array,
    "pandas": lambda rows: pd.DataFrame(rows, columns=NAMES),
    "pandas of vectors": lambda rows: pd.DataFrame({"v": list(rows)}),
    "Arrow": lambda rows: pa.table(dict(zip(NAMES, rows.T, strict=True))),
    "xarray": _labelled,
    "read at once": lambda rows: rows.tolist(),
}
if torch:
    CUT |= {"tensor": torch.tensor, "half precision tensor": lambda rows: torch.tensor(rows).half()}


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("name", {**CUT, **LAZY})
def test_answers_do_not_depend_on_parts(name, whiten, monkeypatch):
    make = {**CUT, **LAZY}[name]
    pca = StreamingPCA(2, whiten=whiten).fit(X)
    uses = ("transform", "score_samples")
    if name in LAZY:
        whole = [getattr(pca, use)(X) for use in uses]
    else:
        whole = [getattr(pca, use)(make(X)) for use in uses]
        back = pca.inverse_transform(make(X)[:, :2]) if name in ("numpy", "tensor") else None
    monkeypatch.setattr(parts, "_BLOCK", 4 * 30)
    for use, expected in zip(uses, whole, strict=True):
        found = getattr(pca, use)(make(X))
        assert type(found) is type(expected)
        assert found.dtype == expected.dtype
        tolerance = 1e-3 if "half" in name else 1e-12
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    if name in ("numpy", "tensor"):
        monkeypatch.setattr(parts, "_BLOCK", 2 * 30)
        np.testing.assert_allclose(pca.inverse_transform(make(X)[:, :2]), back, rtol=1e-12)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", {**CUT, **LAZY})
def test_a_model_of_parts_is_that_of_all_rows_to_the_last_bit(name, weighted):
    given = {**CUT, **LAZY}[name](X)
    rows = X
    if name == "whole numbers":
        rows = X.round().astype("float32")
    elif name == "half precision tensor":
        rows = X.astype("float16").astype("float32")
    weights = np.random.default_rng(1).integers(0, 3, len(X)).astype(float) if weighted else None
    pca = StreamingPCA(2, batch_size=64).fit(given, sample_weight=weights)
    same = StreamingPCA(2, batch_size=64).fit(rows, sample_weight=weights)
    tolerance = 1e-9 if "sparse" in name else 0
    for attribute in ("mean_", "var_", "components_", "explained_variance_"):
        expected = getattr(same, attribute)
        np.testing.assert_allclose(
            getattr(pca, attribute), expected, rtol=tolerance, atol=tolerance
        )


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("weights", ["none", "one each"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("name", [*LAZY, "masked", "objects", "pandas", "Arrow", "numpy"])
def test_a_bad_row_of_a_late_part_is_named_by_its_number_and_nothing_is_learned(name, bad, weights):
    rows = X.copy()
    rows[431, 2] = bad
    sample_weight = None if weights == "none" else np.ones(len(X))
    make = {**CUT, **LAZY}[name]
    pca, twin = (StreamingPCA(2, batch_size=64).partial_fit(X[:100]) for _ in range(2))
    for use in (pca.transform, pca.score_samples):
        with pytest.raises(ValueError, match="row 431, feature (2|'c') is (nan|inf|1e.200)"):
            use(make(rows))
    with pytest.raises(ValueError, match="row 431, feature (2|'c') is (nan|inf|1e.200)"):
        pca.partial_fit(make(rows), sample_weight=sample_weight)
    assert pca.checkpoint() == twin.checkpoint()
    new = StreamingPCA(2, batch_size=64)
    with pytest.raises(ValueError, match="row 431, "):
        new.fit(make(rows), sample_weight=sample_weight)
    assert not new.__sklearn_is_fitted__()
    for one in (pca, twin):
        one.partial_fit(X)
    assert pca.checkpoint() == twin.checkpoint()


@pytest.mark.parametrize("n_weights", [499, 501])
@pytest.mark.parametrize("name", LAZY)
def test_weights_are_one_for_each_row_of_all_parts(name, n_weights):
    pca, twin = (StreamingPCA(2, batch_size=64).partial_fit(X[:100]) for _ in range(2))
    with pytest.raises(ValueError, match=r"shape \((499|501),\): give one weight for each"):
        pca.partial_fit(LAZY[name](X), sample_weight=np.ones(n_weights))
    assert pca.checkpoint() == twin.checkpoint()


@pytest.mark.usefixtures("small_parts")
def test_gaps_are_filled_in_every_part():
    rows = X.copy()
    rows[np.random.default_rng(2).random(X.shape) < 0.1] = np.nan
    pca = StreamingPCA(2, missing="impute", batch_size=64).fit(rows)
    whole = StreamingPCA(2, missing="impute", batch_size=64).fit(rows)
    masked = np.ma.masked_invalid(rows)
    np.testing.assert_array_equal(pca.transform(masked), pca.transform(rows))
    lazily = StreamingPCA(2, missing="impute", batch_size=64).fit(_stream(rows))
    np.testing.assert_array_equal(lazily.components_, whole.components_)
    np.testing.assert_array_equal(lazily.transform(_stream(rows)), whole.transform(rows))


def test_partitions_without_rows_change_nothing():
    rows = pd.DataFrame(X, columns=NAMES)
    frames = pytest.importorskip("dask.dataframe")
    given = frames.from_pandas(rows, npartitions=5)
    given = given[given["a"] > rows["a"].sort_values().iloc[-3]]
    kept = rows[rows["a"] > rows["a"].sort_values().iloc[-3]]
    assert len(kept) == 2
    pca = StreamingPCA(1).fit(given)
    assert pca.n_samples_seen_ == 2
    np.testing.assert_array_equal(pca.transform(given), pca.transform(kept))
    none = given[given["a"] > 1e9]
    assert pca.transform(none).shape == (0, 1)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        pca.fit(none)


def test_partitions_are_loaded_one_after_the_other():
    array = pytest.importorskip("dask.array")
    loaded = []

    def load(block_info=None):
        loaded.append(pca._learner and pca._learner.moments.n_samples)
        return X[:50]

    pca = StreamingPCA(2, batch_size=50)
    lazy = array.map_blocks(load, chunks=((50,) * 6, (4,)), dtype=float, meta=np.empty((0, 0)))
    pca.partial_fit(lazy)
    assert loaded == [None, 50, 100, 150, 200, 250]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _dask(X)[:, 0], "Expected 2D array, got 1D array instead"),
        (lambda: _dask(X)[None], "Found array with dim 3"),
        (lambda: _dask_frame(X)["a"], "Expected 2D array, got 1D array instead"),
        (lambda: pytest.importorskip("dask").delayed(X), "which holds no rows: call .compute"),
        (lambda: pytest.importorskip("dask.bag").from_sequence([1]), "no rows: call .compute"),
        (lambda: pytest.importorskip("xarray").Dataset({"a": ("t", X[:, 0])}), "got a Dataset"),
    ],
)
def test_what_is_lazy_and_no_matrix_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        StreamingPCA(1).fit(make())


def test_a_stream_is_not_read_twice():
    with pytest.raises(ValueError, match="can be read only once: call fit with one"):
        StreamingPCA(1).fit_transform(_stream(X))


@pytest.mark.parametrize(
    "make",
    [
        lambda: pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)}),
        lambda: pl.DataFrame({"v": X}),
        lambda: pd.DataFrame({"v": list(X)}),
        lambda: pd.DataFrame({"v": list(X[:, 1:]), "a": X[:, 0]}),
    ],
)
@pytest.mark.usefixtures("small_parts")
def test_vectors_are_cut_by_their_numbers(make):
    sizes = [parts.number_of_rows(part) for part in parts.in_parts(make(), floats=True)]
    assert sum(sizes) == 500
    assert max(sizes) == 30


def test_a_regression_says_that_partitions_are_to_be_loaded():
    with pytest.raises(ValueError, match=r"call .compute\(\) first"):
        StreamingReducedRankRegression(1).fit(_dask(X), X[:, :2])


_MEASURE = """
import sys, threading
import numpy as np
from streampca import StreamingPCA

def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

path, dtype, use = sys.argv[1:]
X = np.memmap(path, dtype, "r", shape=(500_000, 100))
pca = StreamingPCA(3).fit(X[:1000].astype("float32"))
getattr(pca, use)(X[:2000])
before, peak, done = anonymous(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
getattr(pca, use)(X)
done.set()
watcher.join()
print((peak - before) / 1024)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read off /proc")
@pytest.mark.parametrize(
    ("use", "dtype", "most"),
    [
        # The answers take 6 and 4 MiB, a part in float64 16; score_samples has four of them at a
        # time, BLAS some memory of its own. The rows as one float32 array would be 191 MiB.
        ("transform", "float32", 60),
        ("transform", "int16", 60),
        ("score_samples", "float32", 110),
        ("partial_fit", "int16", 60),
        ("partial_fit", "float32", 60),
    ],
)
def test_a_memory_map_takes_little_memory(tmp_path, use, dtype, most):
    path = tmp_path / "rows"
    rows = np.memmap(path, dtype, "w+", shape=(500_000, 100))
    block = (np.random.default_rng(0).normal(size=(5000, 100)) * 30).astype(dtype)
    for start in range(0, len(rows), len(block)):
        rows[start : start + len(block)] = block
    rows.flush()
    del rows
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path, dtype, use],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) < most
