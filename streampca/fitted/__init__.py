"""What estimators are beside what they learn: parameters, fitted attributes, answers, checkpoints.

Each a class to inherit from. shared.py and parts.py are what both estimators have; components.py
and pairs.py are what one of them has. Nothing here decides what is learned.
"""

from streampca.fitted.checkpoints import Checkpoints
from streampca.fitted.components import Results
from streampca.fitted.coordinates import Coordinates
from streampca.fitted.joining import Joining
from streampca.fitted.pairs import PairResults
from streampca.fitted.parameters import Parameters, parameters_of
from streampca.fitted.parts import Parts
from streampca.fitted.shared import refuse_other_names

__all__ = [
    "Checkpoints",
    "Coordinates",
    "Joining",
    "PairResults",
    "Parameters",
    "Parts",
    "Results",
    "parameters_of",
    "refuse_other_names",
]
