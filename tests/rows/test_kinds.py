"""Whatever holds the same rows gives the same model: containers x types of numbers x uses."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from kinds import ARRAYS, BESIDE, DTYPES, FRAMES, cannot, values_of

from streampca import StreamingPCA

NAMES = ("a", "b", "c", "d")
ALL = {**ARRAYS, **FRAMES}
CASES = [(name, dtype) for name in ALL for dtype in DTYPES if not cannot(name, dtype)]


def model_of(rows):
    """What a float64 numpy array of the same numbers gives."""
    return StreamingPCA(2).fit(np.asarray(rows, "float64"))


def agree(pca, reference, single):
    scale = np.abs(reference.explained_variance_).max()
    tolerance = 1e-5 if single else 1e-12
    for name in ("mean_", "var_", "explained_variance_"):
        allowed = tolerance * max(scale, np.abs(reference.mean_).max())
        np.testing.assert_allclose(getattr(pca, name), getattr(reference, name), atol=allowed)
    np.testing.assert_allclose(pca.components_, reference.components_, atol=100 * tolerance)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_every_kind_of_rows_gives_the_model_of_a_numpy_array(name, dtype):
    values = values_of(dtype)
    reference = model_of(values)
    if name == "pandas with other columns" or name == "table with other columns":
        first = FRAMES["pandas"](values, NAMES)[:20]
        pca = StreamingPCA(2).partial_fit(first)
        pca.partial_fit(ALL[name](values, NAMES)[20:])
    elif name == "pandas in another order":
        pca = StreamingPCA(2).partial_fit(FRAMES["pandas"](values, NAMES)[:20])
        pca.partial_fit(ALL[name](values, NAMES)[20:])
    else:
        pca = StreamingPCA(2).fit(ALL[name](values, NAMES))
    single = pca.components_.dtype == np.float32
    assert single <= (np.dtype(values.dtype).itemsize <= 4)
    agree(pca, reference, single)
    assert pca.n_samples_seen_ == len(values)
    if name in FRAMES:
        assert tuple(pca.feature_names_in_) == NAMES
    tolerance = 1e-3 if single else 1e-9
    rows = np.asarray(values, "float64")
    answers = np.asarray(pca.transform(ALL[name](values, NAMES)))
    np.testing.assert_allclose(answers, reference.transform(rows), atol=tolerance)
    scores = np.asarray(pca.score_samples(ALL[name](values, NAMES)))
    np.testing.assert_allclose(scores, reference.score_samples(rows), rtol=tolerance)


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
@pytest.mark.parametrize("name", BESIDE)
def test_a_column_of_vectors_beside_others_is_features_by_name(name, dtype):
    values = values_of(dtype)
    pca = StreamingPCA(2).fit(BESIDE[name](values, NAMES))
    if list(pca.feature_names_in_) == ["a", "v_0", "v_1", "v_2"]:
        agree(pca, model_of(values), dtype == "float32")
    else:
        assert list(pca.feature_names_in_) == ["v_0", "v_1", "v_2", "a"]
        agree(pca, model_of(values[:, [1, 2, 3, 0]]), dtype == "float32")
    plain = FRAMES["polars"](values, ["a", "v_0", "v_1", "v_2"])
    expected = pca.transform(plain)
    allowed = 1e-4 if dtype == "float32" else 0  # Python's floats in lists are float64
    for other in BESIDE:
        answers = pca.transform(BESIDE[other](values, NAMES))
        np.testing.assert_allclose(answers, expected, rtol=0, atol=allowed)


def test_a_type_that_arrow_does_not_know_may_stand_beside_the_features():
    values = values_of("float64")
    frame = pl.DataFrame(values, schema=list(NAMES))
    pca = StreamingPCA(2).fit(frame)
    beside = frame.with_columns(pl.lit(1).cast(pl.Int128).alias("count"))
    np.testing.assert_array_equal(pca.transform(beside), pca.transform(values))
    with pytest.raises(ValueError, match="got DataFrame, which cannot be given to Arrow"):
        StreamingPCA(2).fit(beside)


@pytest.mark.parametrize("make", [list, lambda rows: rows.tolist(), lambda rows: rows])
def test_a_column_of_matrices_is_refused(make):
    cells = [make(np.ones((2, 2)) * i) for i in range(3)]
    for frame in (pd.DataFrame({"a": [1.0, 2, 3], "v": cells}), pd.DataFrame({"v": cells})):
        with pytest.raises(ValueError, match="column 'v' holds matrices: give one vector for each"):
            StreamingPCA(1).fit(frame)


@pytest.mark.parametrize("name", BESIDE)
def test_vectors_of_another_width_are_refused(name):
    values = values_of("float64")
    pca = StreamingPCA(2).fit(BESIDE[name](values, NAMES))
    before = pca.checkpoint()
    with pytest.raises(ValueError, match="'v' has vectors of 4 numbers, but 3 are expected"):
        pca.partial_fit(BESIDE[name](values[:, [0, 1, 2, 3, 3]], NAMES))
    with pytest.raises(ValueError, match=r"missing: 'v_2'|'v' has vectors of 2 numbers"):
        pca.partial_fit(BESIDE[name](values[:, :3], NAMES))
    assert pca.checkpoint() == before
