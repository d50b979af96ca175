"""Bad elements in a pipeline: into the dead letter with a reason, and the model never sees them."""

from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from bad_input import GAPS, NAMES, NO_NUMBERS, NUMBERS, TOO_LARGE

from beam_pipelines import LearnComponents, WriteCheckpoints
from beam_pipelines.rows.elements import RowReader
from streampca import CheckpointStore

ROWS = np.random.default_rng(1).normal(size=(40, 3)) * [3, 2, 1] + 5
BAD = NO_NUMBERS | TOO_LARGE | GAPS
PLAIN = ("a", "b", "c")
"""Features of elements whose names must be those of Python."""


class Record(NamedTuple):
    a: object
    b: object
    c: object


def kinds(value):
    """A row whose second feature is the value, as every kind of element that takes it."""
    yield {"a": 1.0, "b": value, "c": 2.0}
    yield beam.Row(a=1.0, b=value, c=2.0)
    yield Record(1.0, value, 2.0)
    vector = np.empty(3, object)
    vector[:] = 1.0, value, 2.0
    yield vector
    yield vector[None]
    yield [1.0, value, 2.0]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_names_its_feature_in_every_kind_of_element(name):
    read = RowReader(PLAIN)
    for element in kinds(BAD[name]):
        with pytest.raises(ValueError, match="feature 'b' is .*(leave|correct)"):
            read(element)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_every_type_are_numbers_in_every_kind_of_element(name):
    value, number = NUMBERS[name]
    for element in kinds(value):
        assert RowReader(PLAIN)(element).values.tolist() == [[1.0, number, 2.0]]


@pytest.mark.parametrize("name", GAPS)
def test_gaps_of_every_kind_are_gaps_where_asked(name):
    for element in kinds(GAPS[name]):
        values = RowReader(PLAIN, missing="impute")(element).values
        np.testing.assert_array_equal(values, [[1.0, np.nan, 2.0]])


def travels(value):
    """Whether a value may be an element of a pipeline at all: Beam itself pickles it."""
    return type(value) is not object and value is not np.ma.masked


def bad_elements():
    values = [value for value in BAD.values() if travels(value)]
    yield from ({"a": 1.0, "b": value, "ü °C": 2.0} for value in values)
    yield from (np.array([1.0, value, 2.0]) for value in (np.nan, np.inf, 1e200))
    yield from ({"a": 1.0, "b": 2.0}, {}, np.ones(2), np.ones(4), np.ones((1, 1, 3)), np.ones(0))
    yield from (None, "1,2,3", b"123", 3.0, (1.0, 2.0, 3.0))
    yield pa.record_batch({"a": [1.0], "b": ["x"], "ü °C": [2.0]})
    yield pa.record_batch({"a": [1.0], "c": [1.0], "ü °C": [2.0]})


def learn(elements, folder, bad_rows):
    """The store, and how many bad rows there were and of which features their reasons speak."""
    options = PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as p:
        rows = p | beam.Create(elements, reshuffle=False)
        learned = rows | LearnComponents(2, features=list(NAMES), bad_rows=bad_rows)
        checkpoints = learned.checkpoints if bad_rows else learned
        _ = checkpoints | WriteCheckpoints(str(folder / "store"))
        if bad_rows:
            reasons = learned.bad_rows | beam.Map(lambda bad: bad.reason)
            _ = reasons | beam.io.WriteToText(str(folder / "reasons"), num_shards=1)
    store = CheckpointStore(folder / "store")
    if not bad_rows:
        return store, []
    written = next(folder.glob("reasons*")).read_text().splitlines()
    return store, written


def test_a_pipeline_learns_the_same_bits_as_without_its_bad_elements(tmp_path):
    # every good row stands between bad ones
    bad, elements = list(bad_elements()), []
    for i, row in enumerate(ROWS):
        elements += [("k", row), ("k", bad[i % len(bad)])]
    elements += [("k", element) for element in bad]
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    store, reasons = learn(elements, tmp_path / "with", bad_rows=True)
    clean, none = learn([("k", row) for row in ROWS], tmp_path / "without", bad_rows=True)
    assert none == []
    assert len(reasons) == len(elements) - len(ROWS)
    assert all(reason.startswith("key 'k': ") for reason in reasons)
    assert store.latest("k").to_bytes() == clean.latest("k").to_bytes()
    assert store.latest("k").n_samples_seen == len(ROWS)


@pytest.mark.parametrize("name", ["text", "NaT of pandas", "infinity", "complex of numpy"])
def test_without_a_dead_letter_the_pipeline_fails_and_writes_nothing(tmp_path, name):
    elements = [("k", row) for row in ROWS] + [("k", {"a": 1.0, "b": BAD[name], "ü °C": 2.0})]
    with pytest.raises(Exception, match="key 'k': feature 'b' is "):
        learn(elements, tmp_path, bad_rows=False)
    assert CheckpointStore(tmp_path / "store").keys() == []
