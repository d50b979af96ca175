"""What an element may be, and how a bad one is named, kept out and counted."""

import json
import pickle
from typing import NamedTuple

import apache_beam as beam
import engines
import numpy as np
import pyarrow as pa
import pytest
import torch
import xarray
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, GlobalWindows
from scipy import sparse
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import BadRow, LearnComponents, WriteCheckpoints
from beam_pipelines.rows import BAD_ROWS, ReadBlocks
from beam_pipelines.rows.coders import BlockCoder
from beam_pipelines.rows.elements import Block, RowReader, key_text
from streampca import CheckpointStore
from streampca.wire.arrays import WireError

GOOD = {"air": 1.0, "oil": 2}
BAD = [
    ({"air": 1.0}, "'oil' is missing"),
    ({"air": 1.0, "oil": "wet"}, "'oil' is 'wet', not a finite number"),
    ({"air": 1.0, "oil": "2.5"}, "'oil' is '2.5', not a finite number"),
    ({"air": None, "oil": 2.0}, "'air' is None, not a finite number"),
    ({"air": float("nan"), "oil": 2.0}, "'air' is nan, not a finite number"),
    ({"air": 10**400, "oil": 2.0}, "'air' is 1000.*not a finite number"),
    ({"air": [1.0], "oil": 2.0}, "'air' is .*not a finite number"),
    ({}, "is missing"),
    (np.array([1.0, np.nan]), "feature 'oil' is nan"),
    (np.array([1.0, -np.inf]), "feature 'oil' is -inf"),
    (np.array([1.0, 2.0, 3.0]), "3 features, but 2"),
    (np.array([]), "nothing to read"),
    (np.array(["1", "wet"]), "'1' .text., not a number"),
    (np.ones((2, 2, 2)), "2-D"),
    (None, "got None for a row"),
    ("1,2", "got '1,2' for a row"),
    (b"12", "got b'12' for a row"),
    (3.0, "got 3.0 for a row"),
    ((1.0, 2.0, 3.0), "for a row"),
]


@pytest.mark.parametrize(("element", "message"), BAD)
def test_what_cannot_be_used_is_named(element, message):
    with pytest.raises(ValueError, match=message):
        RowReader(["air", "oil"])(element)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({1: 1.0, 2: 2.0}, "feature 1 is named by a int"),
        ({"air": 1.0, 2: 2.0}, "feature 2 is named by a int"),
        ({None: 1.0, "oil": 2.0}, "feature None is named"),
        ({("a", "b"): 1.0, "oil": 2.0}, "is named by a tuple"),
        (torch.eye(2).to_sparse(), "layout torch.sparse_coo"),
    ],
)
def test_no_kind_of_row_ends_a_pipeline_that_has_an_output_for_bad_ones(row, named):
    (bad,) = ReadBlocks(RowReader(None), dead_letter=True).process(("press 4", row))
    assert bad.tag == BAD_ROWS
    assert bad.value.key == "press 4"
    assert named in bad.value.reason
    assert RowReader(None).together([row, row]) is None


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.coo_array, sparse.csc_array])
def test_sparse_rows_are_rows(make):
    X = np.array([[0.0, 2.0], [3.0, 0.0]])
    np.testing.assert_array_equal(RowReader(["air", "oil"])(make(X)).values, X)


@pytest.mark.parametrize(
    "row", [sparse.coo_array([0.0, 2.0]), xarray.DataArray([0.0, 2.0]), np.array([0.0, 2.0], ">f8")]
)
def test_vectors_of_every_kind_are_rows(row):
    block = RowReader(["air", "oil"])(row)
    assert block.values.dtype == np.dtype("float64")
    assert block.values.tolist() == [[0.0, 2.0]]


@pytest.mark.parametrize(
    "row", [np.array([1.0, -1e200]), {"air": 1.0, "oil": -1e200}, np.array([[1.0, 1e200]])]
)
def test_a_row_whose_squares_overflow_is_a_bad_row(row):
    with pytest.raises(ValueError, match=r"'oil'.*cannot be squared"):
        RowReader(["air", "oil"])(row)


def test_gaps_are_kept_where_they_will_be_filled():
    read = RowReader(["air", "oil"], missing="impute")
    for row in ({"air": 1.0}, {"air": 1, "oil": None}, np.array([1.0, np.nan])):
        np.testing.assert_array_equal(read(row).values, [[1.0, np.nan]])
    for row in ({"air": 1.0, "oil": "wet"}, {"air": np.inf, "oil": 1.0}, np.array([1.0, np.inf])):
        with pytest.raises(ValueError, match="feature"):
            read(row)


def test_a_number_of_features_is_held_to():
    assert RowReader(2)(np.ones(2)).names is None
    with pytest.raises(ValueError, match="3 features, but 2 are expected"):
        RowReader(2)(np.ones(3))


def test_a_column_of_lists_is_a_matrix():
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 3)
    block = RowReader(None)(pa.record_batch([column], names=["embedding"]))
    assert block.values.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("key", [1.5, b"k", True, ("a", 1)])
def test_keys_are_text_whole_numbers_or_none(key):
    with pytest.raises(ValueError, match="keys must be text, whole numbers or None"):
        key_text(key)


def test_a_numpy_key_is_the_same_key_as_a_number():
    assert key_text(np.int64(4)) == key_text(4) == "4" != key_text("4")


@pytest.mark.needs("counters")
def test_bad_rows_go_to_their_own_output_and_the_others_are_learned(tmp_path, engine):
    X, _ = stream(50, 2)
    batch = np.array([[1.0, 2.0], [np.inf, 4.0], [5.0, 6.0]])
    elements = [("k", x) for x in X] + [("k", element) for element, _ in BAD] + [("k", batch)]
    with engines.pipeline() as p:
        rows = p | beam.Create(elements, reshuffle=False)
        learned = rows | LearnComponents(1, features=["air", "oil"], bad_rows=True)
        _ = learned.checkpoints | WriteCheckpoints(str(tmp_path))
        reasons = learned.bad_rows | beam.Map(lambda bad: (type(bad) is BadRow, bad.reason[:8]))
        assert_that(reasons, equal_to([(True, "key 'k':")] * (len(BAD) + 1)))
    counted = p.result.metrics().query(MetricsFilter().with_namespace("streampca"))["counters"]
    assert {c.key.metric.name: c.committed for c in counted} == {
        "rows": 52,
        "bad_rows": len(BAD) + 1,
        "learned_rows": 52,
        "checkpoints": 1,
    }
    found = CheckpointStore(tmp_path).latest("k")
    assert_equals_batch(found, np.vstack([X, batch[[0, 2]]]))


@pytest.mark.parametrize(("element", "message"), BAD[:6])
def test_without_that_output_the_pipeline_fails_with_the_reason(tmp_path, element, message, engine):
    with pytest.raises(Exception, match=f"key 'k': .*{message}"):
        learn(
            timed([("k", GOOD), ("k", element)], [0, 1]),
            GlobalWindows(),
            tmp_path,
            features=["air", "oil"],
            n_components=1,
        )
    assert CheckpointStore(tmp_path).keys() == []


def test_a_key_that_cannot_be_stored_is_a_bad_row(engine):
    with engines.pipeline() as p:
        rows = p | beam.Create([(1.5, GOOD)])
        learned = rows | LearnComponents(1, bad_rows=True)
        reasons = learned.bad_rows | beam.Map(lambda bad: bad.key)
        assert_that(reasons, equal_to([1.5]))


def test_rows_that_differ_in_features_say_how_to_choose_them(tmp_path, engine):
    rows = [{"air": 1.0, "oil": 2.0}, {"air": 1.0, "water": 2.0}]
    with pytest.raises(Exception, match="different features.*'oil'.*'water'|'water'.*'oil'"):
        learn(timed(rows, [0, 1]), GlobalWindows(), tmp_path, n_components=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("names", [None, ("a", "b", "c")])
def test_blocks_cross_workers_unchanged(names, dtype):
    block = Block(names, np.arange(6, dtype=dtype).reshape(2, 3))
    back = BlockCoder().decode(BlockCoder().encode(block))
    assert back.names == names
    assert back.values.dtype == dtype
    assert back.values.tolist() == block.values.tolist()
    assert back.values.flags.writeable


@pytest.mark.parametrize(
    "data", [b"", b"rows", pickle.dumps([1.0]), BlockCoder().encode(Block(("a",), np.eye(1)))[:-3]]
)
def test_torn_or_foreign_blocks_are_refused(data):
    with pytest.raises(WireError, match="block of rows"):
        BlockCoder().decode(data)


def test_bad_rows_can_be_written_as_json():
    text = json.dumps(BadRow("k", {"air": 1}, "why")._asdict())
    assert json.loads(text)["reason"] == "why"


class Pair(NamedTuple):
    air: float
    oil: float


@pytest.mark.parametrize(
    "kind",
    [
        lambda air, oil: {"oil": oil, "air": air},
        lambda air, oil: beam.Row(oil=oil, air=air),
        Pair,
    ],
)
def test_rows_that_are_gathered_are_read_as_one_by_one(kind):
    rows = [kind(1.0, 2), kind(3, 4.5), kind(-1.0, 0.0)]
    read = RowReader(None)
    block = read.together(rows)
    assert block.names == ("air", "oil")
    assert block.values.tolist() == [read(row).values[0].tolist() for row in rows]


@pytest.mark.parametrize("element", [bad for bad, _ in BAD] + [np.array([1.0, -1e200])])
def test_a_bad_row_is_never_gathered(element):
    good = np.ones(2) if isinstance(element, np.ndarray) else GOOD
    assert RowReader(["air", "oil"]).together([good, element, good]) is None


@pytest.mark.needs("holds")
def test_a_bad_row_among_many_keeps_its_own_time_window_and_key(engine):
    rows = [(f"k{i % 2}", np.array([i, 1.0 if i % 50 else np.nan])) for i in range(200)]

    def placed(bad, time=beam.DoFn.TimestampParam, window=beam.DoFn.WindowParam):
        return bad.key, int(bad.element[0]), time.micros // 10**6, window.start.micros // 10**6

    with engines.pipeline() as p:
        elements = p | beam.Create(timed(rows, range(200)))
        learned = elements | beam.WindowInto(FixedWindows(60)) | LearnComponents(1, bad_rows=True)
        places = learned.bad_rows | beam.Map(placed)
        assert_that(places, equal_to([("k0", i, i, i // 60 * 60) for i in (0, 50, 100, 150)]))
        counts = learned.checkpoints | beam.Map(lambda keyed: keyed[1].n_samples_seen)
        assert_that(counts, equal_to([28, 57, 86, 96, 30, 60, 90, 100]), "counts")
