"""No rows, of whatever kind: learning from them changes nothing, answering gives none of them."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from extras import torch

from streampca import NotFittedError, StreamingPCA, StreamingReducedRankRegression
from streampca.records import RecordPCA

X = np.random.default_rng(0).normal(size=(60, 3)) * [3, 2, 1] + 5
Y = X @ np.random.default_rng(1).normal(size=(3, 2))
NAMES = ["a", "b", "c"]
FRAME = pd.DataFrame(X, columns=NAMES)
TABLE = pa.table(dict(zip(NAMES, X.T, strict=True)))


def _dask(_):
    return pytest.importorskip("dask.array").from_array(X[:0], chunks=(1, 3))


UNNAMED = {
    "numpy": lambda _: X[:0],
    "float32": lambda _: X[:0].astype("float32"),
    "whole numbers": lambda _: np.empty((0, 3), int),
    "objects": lambda _: np.empty((0, 3), object),
    "masked": lambda _: np.ma.masked_array(X[:0]),
    "no width": lambda _: np.empty((0, 0)),
    "csr": lambda _: sp.csr_array((0, 3)),
    "csc": lambda _: sp.csc_array((0, 3)),
    "coo matrix": lambda _: sp.coo_matrix((0, 3)),
    "lists of Arrow": lambda _: pa.table({"v": pa.array([], pa.list_(pa.float64()))}),
    "fixed lists of Arrow": lambda _: pa.table({"v": pa.array([], pa.list_(pa.float32(), 3))}),
    "vectors of pandas": lambda _: pd.DataFrame({"v": pd.Series([], dtype=object)}),
    "untyped vectors of pandas": lambda _: pd.DataFrame({"v": []}),
    "frame of nothing": lambda _: pd.DataFrame(),
}
NAMED = {
    "pandas": lambda _: FRAME[:0],
    "pandas of objects": lambda _: pd.DataFrame(columns=NAMES),
    "pandas, another order": lambda _: FRAME[:0][NAMES[::-1]],
    "polars": lambda _: pl.DataFrame(FRAME)[:0],
    "table": lambda _: TABLE.slice(0, 0),
    "table without chunks": lambda _: TABLE.schema.empty_table(),
    "record batch": lambda _: pa.RecordBatch.from_pylist([], TABLE.schema),
    "nulls": lambda _: pa.table({name: pa.nulls(0) for name in NAMES}),
}
LAZY = {
    "stream": lambda _: pa.RecordBatchReader.from_batches(TABLE.schema, []),
    "stream of an empty batch": lambda _: TABLE.slice(0, 0).to_reader(),
    "dask": _dask,
}
if torch:
    UNNAMED["tensor"] = lambda _: torch.zeros(0, 3)
    UNNAMED["batch of a loader"] = lambda _: [torch.zeros(0, 3)]
NONE = UNNAMED | NAMED | LAZY


def remembered(model):
    """Everything, rows that wait among it, as text of all numbers."""
    learner = model._learner
    if learner is None:
        return None
    waiting = learner._buffer._rows.__getstate__()
    arrays = learner.moments.state() | {k: v for k, v in waiting.items() if k != "_squares"}
    texts = {name: np.asarray(value).tobytes() for name, value in arrays.items()}
    return texts, model._feature_names, model.get_params()


@pytest.mark.parametrize("kind", NONE)
@pytest.mark.parametrize("seen", [None, "unnamed", "named"])
@pytest.mark.parametrize("options", [{}, {"memory": "factored", "batch_size": 50}])
def test_learning_from_no_rows_changes_nothing(options, seen, kind):
    pca = StreamingPCA(2, **options)
    if seen:
        pca.partial_fit(X if seen == "unnamed" else FRAME)
    before = remembered(pca)
    for weights in (None, [], np.empty(0), np.empty(0, int)):
        assert pca.partial_fit(NONE[kind](0), sample_weight=weights) is pca
        assert pca.partial_fit(NONE[kind](0), [], sample_weight=weights) is pca
        assert remembered(pca) == before
    if not seen:
        with pytest.raises(NotFittedError):
            _ = pca.components_
    assert pca.partial_fit(X).n_samples_seen_ == (120 if seen else 60)


@pytest.mark.parametrize("kind", NONE)
@pytest.mark.parametrize("seen", ["unnamed", "named"])
def test_the_coordinates_of_no_rows_are_none_of_p(seen, kind):
    pca = StreamingPCA(2).partial_fit(X if seen == "unnamed" else FRAME)
    for answer in (pca.transform, pca.checkpoint().transform):
        assert tuple(answer(NONE[kind](0)).shape) == (0, 2)
    assert tuple(pca.score_samples(NONE[kind](0)).shape) == (0,)


def test_rows_from_no_coordinates():
    pca = StreamingPCA(2).partial_fit(X)
    assert pca.inverse_transform(np.empty((0, 2))).shape == (0, 3)


@pytest.mark.parametrize("kind", UNNAMED | NAMED)
@pytest.mark.parametrize("seen", [None, "vector", "matrix"])
@pytest.mark.parametrize(
    "targets",
    [Y[:0], Y[:0, 0], [], pd.Series([], dtype=float), pd.DataFrame({"u": [], "v": []})],
    ids=["matrix", "vector", "list", "series", "frame"],
)
def test_a_regression_from_no_rows_is_as_it_was(targets, seen, kind):
    model = StreamingReducedRankRegression()
    if seen:
        model.partial_fit(FRAME, Y if seen == "matrix" else Y[:, 0])
    shape = getattr(targets, "shape", ())
    if seen == "vector" and shape[1:] == (2,):
        targets = targets[:, :1] if isinstance(targets, np.ndarray) else targets[["u"]]
    before = remembered(model)
    assert model.partial_fit(NONE[kind](0), targets, sample_weight=[]) is model
    assert remembered(model) == before
    if seen:
        expected = (0, 2) if seen == "matrix" else (0,)
        assert tuple(model.predict(NONE[kind](0)).shape) == expected
        assert tuple(model.transform(NONE[kind](0)).shape) == (0, model.n_components_)
    else:
        assert model.partial_fit(X, Y).n_targets_ == 2


@pytest.mark.parametrize("kind", ["numpy", "pandas", "table", "csr", "stream"])
def test_fit_of_no_rows_is_refused_and_forgets_nothing(kind):
    """`fit` makes a model, as scikit-learn's checks of estimators have it; `partial_fit` adds."""
    pca, model = StreamingPCA(2).fit(X), StreamingReducedRankRegression().fit(X, Y)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        pca.fit(NONE[kind](0))
    if kind != "stream":
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            model.fit(NONE[kind](0), Y[:0])
    assert pca.n_samples_seen_ == model.n_samples_seen_ == 60


def test_targets_without_rows_are_refused():
    with pytest.raises(ValueError, match="X has 0 rows, but Y has 60"):
        StreamingReducedRankRegression().partial_fit(X[:0], Y)
    with pytest.raises(ValueError, match="X has 60 rows, but Y has 0"):
        StreamingReducedRankRegression().partial_fit(X, Y[:0])
    with pytest.raises(ValueError, match="one weight for each of the 0 rows"):
        StreamingPCA(2).partial_fit(X[:0], sample_weight=[1.0])


def test_another_width_is_named_without_rows_too():
    for rows in (np.empty((0, 4)), sp.csr_array((0, 4))):
        with pytest.raises(ValueError, match="4 features, but 3 are expected"):
            StreamingPCA(2).partial_fit(X).partial_fit(rows)


def test_columns_beside_the_features_are_left_out_without_rows_too():
    more = FRAME[:0].assign(time="now")
    pca = StreamingPCA(2).partial_fit(FRAME).partial_fit(more)
    assert pca.n_samples_seen_ == 60
    assert pca.transform(more).shape == (0, 2)
    with pytest.raises(ValueError, match="4 features, but 3"):
        StreamingPCA(2).partial_fit(X).partial_fit(more)


def test_records_of_no_rows():
    learner = RecordPCA(StreamingPCA(2).get_params() | {"half_life": None})
    learner.learn_rows(np.empty((0, 3)), NAMES)
    assert learner.n_seen == 0


# --- a column of vectors beside others, as Spark's `features` -----------------------------------


def spark_like(rows, kind):
    """Columns as Spark hands them over: numbers beside an array for each row."""
    id_, features = rows[:, 0], rows[:, 1:]
    if kind == "pandas":
        return pd.DataFrame({"id": id_, "features": list(features)})
    lists = pa.array(list(features), pa.list_(pa.float64()))
    table = pa.table({"id": id_, "features": lists})
    return table if kind == "table" else table.combine_chunks().to_batches()


@pytest.mark.parametrize("kind", ["pandas", "table", "batches"])
@pytest.mark.parametrize("first", ["rows", "none"])
def test_a_list_column_beside_others_is_features_by_name(kind, first):
    pca = StreamingPCA(2)
    pieces = [X[:30], X[:0], X[30:]] if first == "rows" else [X[:0], X]
    for piece in pieces:
        given = spark_like(piece, kind)
        for part in given if isinstance(given, list) else [given]:
            pca.partial_fit(part)
    assert list(pca.feature_names_in_) == ["id", "features_0", "features_1"]
    np.testing.assert_allclose(pca.mean_, X.mean(axis=0))
    turned = spark_like(X, "table").select(["features", "id"])
    np.testing.assert_allclose(pca.transform(turned), pca.transform(X))
    assert pca.transform(turned.slice(0, 0)).shape == (0, 2)
