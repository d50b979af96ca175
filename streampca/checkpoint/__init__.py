"""Checkpoints: what was learned up to a time, as a value, as Arrow and as Parquet files.

record.py says what a checkpoint is, columns.py how one becomes an Arrow row and a Parquet file,
store.py how files are written and read. part.py is less than a checkpoint: moments alone.
"""

from streampca.checkpoint.bundle import is_bundle
from streampca.checkpoint.columns import CheckpointError, CheckpointWarning
from streampca.checkpoint.compact import from_state, to_state
from streampca.checkpoint.describe import heading, plain, variances, versions
from streampca.checkpoint.drift import Drift, measure_drift, measure_drifts
from streampca.checkpoint.fields import Key, time_text
from streampca.checkpoint.fields import key as check_key
from streampca.checkpoint.keeping import keeps_moments, which_moments
from streampca.checkpoint.models import fields_of
from streampca.checkpoint.opening import is_store_folder
from streampca.checkpoint.part import Part, Side
from streampca.checkpoint.reading import all_in, relative_path, rows_that_count
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.shown import component_rows
from streampca.checkpoint.solved import of_solved
from streampca.checkpoint.store import CheckpointStore
from streampca.checkpoint.summary import Summary

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "CheckpointWarning",
    "Drift",
    "Key",
    "Part",
    "Side",
    "Summary",
    "all_in",
    "check_key",
    "component_rows",
    "fields_of",
    "from_state",
    "heading",
    "is_bundle",
    "is_store_folder",
    "keeps_moments",
    "measure_drift",
    "measure_drifts",
    "of_solved",
    "plain",
    "relative_path",
    "rows_that_count",
    "time_text",
    "to_state",
    "variances",
    "versions",
    "which_moments",
]
