"""Anything that holds rows becomes one checked matrix: arrays, frames, tensors, lists.

The judges live here, one function each: is it a number (`numbers.number`), can this entry be used
(`entries.check_entries`), is this column a feature (`frames`). Nothing below knows what rows are
used for, and nothing above checks them again.
"""

from streampca.rows.answer import answers
from streampca.rows.arrays import is_vector
from streampca.rows.arrow import is_list, is_number
from streampca.rows.entries import unfit_entry
from streampca.rows.minibatch import Known, Look, Minibatch, Squares
from streampca.rows.names import expanded
from streampca.rows.numbers import BadRow, is_whole, number
from streampca.rows.parts import (
    in_parts,
    number_of_rows,
    refuse_what_is_read_once,
    renumbered,
    slicer,
)
from streampca.rows.read import LARGEST, InputRows, read_rows, read_weights
from streampca.rows.targets import Targets, r2, read_inputs, read_targets
from streampca.rows.weighted import check_weighted, that_count

__all__ = [
    "LARGEST",
    "BadRow",
    "InputRows",
    "Known",
    "Look",
    "Minibatch",
    "Squares",
    "Targets",
    "answers",
    "check_weighted",
    "expanded",
    "in_parts",
    "is_list",
    "is_number",
    "is_vector",
    "is_whole",
    "number",
    "number_of_rows",
    "r2",
    "read_inputs",
    "read_rows",
    "read_targets",
    "read_weights",
    "refuse_what_is_read_once",
    "renumbered",
    "slicer",
    "that_count",
    "unfit_entry",
]
