"""A checkpoint comes back from Arrow and bytes as it was, or not at all and with a reason."""

import math

import numpy as np
import pyarrow as pa
import pytest
from checkpoints import CHECKPOINT, MINUTE, checkpoints, make
from hypothesis import given, settings

from streampca.checkpoint import Checkpoint, CheckpointError
from streampca.checkpoint.columns import SCHEMA, to_batch
from streampca.wire.sealed import seal

BATCH = CHECKPOINT.to_record_batch()


@settings(max_examples=60)
@given(checkpoints())
def test_every_way_out_and_back_keeps_every_value(checkpoint):
    assert Checkpoint.from_bytes(checkpoint.to_bytes()) == checkpoint
    assert Checkpoint.from_parquet_bytes(checkpoint.to_parquet_bytes()) == checkpoint
    assert Checkpoint.from_record_batch(checkpoint.to_record_batch()) == checkpoint


def test_columns_are_those_of_the_schema():
    assert BATCH.schema.equals(SCHEMA)
    narrow = make(dtype="float32").to_record_batch().schema
    assert narrow.names == SCHEMA.names
    assert str(narrow.field("components").type).count("float not null") == 1


def test_a_table_of_many_checkpoints_is_read_row_by_row():
    many = [make(seed=seed, key=f"press {seed}") for seed in range(3)]
    table = pa.Table.from_batches([checkpoint.to_record_batch() for checkpoint in many])
    assert [Checkpoint.from_record_batch(table, row) for row in range(3)] == many
    with pytest.raises(CheckpointError, match="it has 3 rows, and row 3 was asked for"):
        Checkpoint.from_record_batch(table, 3)


def test_moments_may_be_left_unread():
    expected = CHECKPOINT.without_moments()
    data = CHECKPOINT.to_parquet_bytes()
    assert Checkpoint.from_parquet_bytes(data, moments=False) == expected
    projected = BATCH.drop_columns(["moments"])
    assert Checkpoint.from_record_batch(projected, moments=False) == expected


# --- what comes from outside ------------------------------------------------------------------


def changed(name, value, kind=None):
    """BATCH with another value in one column; the checksum column stays."""
    at = BATCH.schema.get_field_index(name)
    field = BATCH.schema.field(at)
    array = pa.array([value], kind or field.type)
    schema = BATCH.schema.set(at, field.with_type(array.type).with_nullable(True))
    columns = [*BATCH.columns[:at], array, *BATCH.columns[at + 1 :]]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "press 5"),
        ("key", None),
        ("key_type", "int"),
        ("window_end", MINUTE + 1),
        ("sequence", 1),
        ("n_samples_seen", 99),
        ("weight", 99.0),
        ("late", True),
        ("feature_names", list("abcde")),
        ("mean", [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("components", np.eye(5)[:2].tolist()),
        ("encoder", np.eye(5)[:2].tolist()),
        ("drift_angle", 0.5),
        ("settings", "{}"),
        ("settings", "[]"),
        ("settings", "[" * 10_000),
        ("moments_kind", "factored"),
        ("moments", b""),
        ("moments", b"foreign"),
        ("checksum", 0),
        ("weight", None),
        ("mean", None),
        ("components", [[1.0] * 5, [1.0] * 4]),
        ("components", []),
    ],
)
def test_a_value_changed_after_writing_is_found(name, value):
    batch = changed(name, value)
    if (name, value) == ("drift_angle", 0.5):  # half a drift is none, which is what was written
        assert Checkpoint.from_record_batch(batch) == CHECKPOINT
        return
    with pytest.raises(CheckpointError, match="This record batch is not a readable checkpoint"):
        Checkpoint.from_record_batch(batch)


def forged(**changes):
    """A row whose checksum is right and whose values are not: what an attacker writes."""
    return to_batch(vars(CHECKPOINT) | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": np.full(5, math.nan)}, "mean holds NaN"),
        ({"mean": np.zeros(4)}, "mean must have shape"),
        ({"encoder": np.zeros((1, 5))}, "encoder must have shape"),
        ({"n_samples_seen": -1}, "n_samples_seen must lie"),
        ({"weight": math.inf}, "weight must be a finite number"),
        ({"feature_names": ("a",) * 5}, "stands for more than one"),
        ({"window_start": 2 * MINUTE}, "lies after"),
        ({"moments": {"a": np.array([math.nan])}}, "moments 'a' holds NaN"),
    ],
)
def test_a_forged_row_is_checked_like_any_other_input(changes, message):
    batch = forged(**changes)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.from_record_batch(batch)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.from_bytes(seal(batch))


@pytest.mark.parametrize("name", [name for name in SCHEMA.names if name != "calibration"])
def test_a_missing_column_is_named(name):
    with pytest.raises(CheckpointError, match=f"it has 0 columns named '{name}'"):
        Checkpoint.from_record_batch(BATCH.drop_columns([name]))


def test_a_column_of_another_type_is_named():
    with pytest.raises(CheckpointError, match="column 'weight' has type string, not double"):
        Checkpoint.from_record_batch(changed("weight", "heavy", pa.string()))


def test_a_column_that_stands_twice_is_refused():
    twice = BATCH.append_column(BATCH.schema.field("weight"), BATCH["weight"])
    with pytest.raises(CheckpointError, match="it has 2 columns named 'weight'"):
        Checkpoint.from_record_batch(twice)


def test_somebody_else_s_rows_are_refused():
    with pytest.raises(CheckpointError, match="does not say which streampca schema"):
        Checkpoint.from_record_batch(pa.record_batch({"a": [1, 2, 3]}))


def test_a_newer_schema_says_to_upgrade():
    newer = BATCH.replace_schema_metadata({b"streampca.schema": b"4"})
    with pytest.raises(CheckpointError, match="upgrade streampca"):
        Checkpoint.from_record_batch(newer)
    with pytest.raises(CheckpointError, match="upgrade streampca"):
        Checkpoint.from_bytes(seal(newer))
