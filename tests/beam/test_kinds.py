"""Elements that hold the same rows: tensors, masked rows, frames, vectors by name."""

import apache_beam as beam
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from streams import assert_equals_batch, stream

from beam_pipelines import LearnComponents, WriteCheckpoints
from beam_pipelines.rows.elements import RowReader
from streampca import CheckpointStore

torch = pytest.importorskip("torch")

SAME_ROW = {
    "a tensor": torch.tensor([1.0, 2.0, 3.0]),
    "a tensor that requires gradients": torch.tensor([1.0, 2.0, 3.0], requires_grad=True),
    "bfloat16": torch.tensor([1.0, 2.0, 3.0]).bfloat16(),
    "a masked vector": np.ma.masked_array([1.0, 2.0, 3.0]),
    "whole numbers": np.array([1, 2, 3], "int8"),
    "a Series": pd.Series([1.0, 2.0, 3.0]),
    "a list": [1, 2.0, 3],
    "a tensor of one row": torch.tensor([[1.0, 2.0, 3.0]]),
    "Arrow lists": pa.record_batch({"row": [[1.0, 2.0, 3.0]]}),
    "a frame of vectors": pd.DataFrame({"row": [np.array([1.0, 2.0, 3.0])]}),
    "an array of Arrow": pa.array([[1.0, 2.0, 3.0]]),
}


@pytest.mark.parametrize("name", SAME_ROW)
def test_rows_of_every_kind_are_rows(name):
    for features in (None, 3, ["a", "b", "c"]):
        block = RowReader(features)(SAME_ROW[name])
        assert block.values.tolist() == [[1.0, 2.0, 3.0]]


VECTORS = {
    "a dictionary": {"v": [1.0, 2.0], "a": 5},
    "a dictionary of arrays": {"a": 5.0, "v": np.array([1.0, 2.0])},
    "a dictionary of tensors": {"a": 5.0, "v": torch.tensor([1.0, 2.0])},
    "beam.Row": beam.Row(a=5.0, v=(1, 2)),
    "a frame of pandas": pd.DataFrame({"v": [[1.0, 2.0]], "a": [5.0]}),
    "a frame of polars": pl.DataFrame({"a": [5.0], "v": [[1.0, 2.0]]}),
    "a record batch": pa.record_batch({"v": [[1.0, 2.0]], "a": [5.0]}),
    "a named Series": pd.Series({"a": 5.0, "v_0": 1.0, "v_1": 2.0}),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_beside_numbers_are_features_by_name(name):
    for features in (["v_1", "a", "v_0"], ["v_1", "v_0"]):
        for missing in ("error", "impute"):
            block = RowReader(features, missing=missing)(VECTORS[name])
            assert block.names == tuple(features)
            assert block.values.tolist() == [[2.0, 5.0, 1.0] if "a" in features else [2.0, 1.0]]
    if "frame" not in name:  # whose columns keep their order
        block = RowReader(None)(VECTORS[name])
        assert (block.names, block.values.tolist()) == (("a", "v_0", "v_1"), [[5.0, 1.0, 2.0]])


@pytest.mark.parametrize("value", [[1.0], np.ones(2), torch.ones(2)])
def test_a_vector_in_a_numbers_place_is_refused(value):
    for missing in ("error", "impute"):
        with pytest.raises(ValueError, match="feature 'v' is .*not a finite number"):
            RowReader(["a", "v"], missing=missing)({"a": 1.0, "v": value})


def test_what_is_masked_is_missing():
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    for element in (masked, masked[None], {"a": 1.0, "b": masked[1]}):
        with pytest.raises(ValueError, match="feature 'b' is (masked|nan)"):
            RowReader(["a", "b"])(element)
        block = RowReader(["a", "b"], missing="impute")(element)
        np.testing.assert_array_equal(block.values, [[1.0, np.nan]])
    assert RowReader(None).together([masked, masked]) is None


def test_elements_without_rows_are_no_bad_rows(tmp_path):
    rows = [np.ones((2, 2)), np.empty((0, 2)), pa.record_batch({"v": [[1.0, 3.0]]}).slice(0, 0)]
    with beam.Pipeline("FnApiRunner") as p:
        learned = p | beam.Create([("k", x) for x in rows]) | LearnComponents(1, bad_rows=True)
        _ = learned.checkpoints | WriteCheckpoints(str(tmp_path))
        assert_that(learned.bad_rows, equal_to([]))
    assert CheckpointStore(tmp_path).latest("k").n_samples_seen == 2


def test_of_a_tensor_the_good_rows_are_kept(tmp_path):
    X, _ = stream(50, 2)
    spoiled = np.insert(X, 7, np.nan, axis=0)
    frame = pd.DataFrame(spoiled, columns=["air", "oil"])
    for i, element in enumerate((torch.tensor(spoiled), frame, np.ma.masked_invalid(spoiled))):
        with beam.Pipeline("FnApiRunner") as p:
            learned = (
                p
                | beam.Create([("k", element)])
                | LearnComponents(1, features=["air", "oil"], bad_rows=True)
            )
            _ = learned.checkpoints | WriteCheckpoints(str(tmp_path / str(i)))
            assert_that(learned.bad_rows | beam.combiners.Count.Globally(), equal_to([1]))
        assert_equals_batch(CheckpointStore(tmp_path / str(i)).latest("k"), X)
