"""Rows wait, are folded in, are solved; knows nothing of files, River or Beam."""

from streampca.learning.answers import coordinates, log_likelihoods, rows_of
from streampca.learning.change import Change, unfinished
from streampca.learning.components import (
    ComponentLearner,
    adopt,
    learner_of_components,
    widened,
)
from streampca.learning.filling import Filling
from streampca.learning.forgetting import remembered
from streampca.learning.gaps import Gaps
from streampca.learning.learner import Learner
from streampca.learning.model import Model
from streampca.learning.options import check_parameters, refuse_changes, resolve_parameters
from streampca.learning.pairs import (
    CONSTRAINTS,
    PairLearner,
    PairModel,
    add_pairs,
    learner_of_pairs,
)
from streampca.learning.parts import learn_parts
from streampca.learning.series import Reading, read_each, reads_each

__all__ = [
    "CONSTRAINTS",
    "Change",
    "ComponentLearner",
    "Filling",
    "Gaps",
    "Learner",
    "Model",
    "PairLearner",
    "PairModel",
    "Reading",
    "add_pairs",
    "adopt",
    "check_parameters",
    "coordinates",
    "learn_parts",
    "learner_of_components",
    "learner_of_pairs",
    "log_likelihoods",
    "read_each",
    "reads_each",
    "refuse_changes",
    "remembered",
    "resolve_parameters",
    "rows_of",
    "unfinished",
    "widened",
]
