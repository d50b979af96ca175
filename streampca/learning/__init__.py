"""Rows wait, are folded in, are solved; knows nothing of files, River or Beam."""

from streampca.learning.learner import Learner
from streampca.learning.model import Model
from streampca.learning.options import check_parameters, refuse_changes, resolve_parameters
from streampca.learning.pairs import CONSTRAINTS, PairLearner, PairModel
from streampca.learning.parts import learn_parts

__all__ = [
    "CONSTRAINTS",
    "Learner",
    "Model",
    "PairLearner",
    "PairModel",
    "check_parameters",
    "learn_parts",
    "refuse_changes",
    "resolve_parameters",
]
