"""The estimators: pca.py, regression.py; merging.py folds many into one.

The other files are what they are beside what they learn: parameters, fitted attributes, answers,
checkpoints, each a class to inherit from. shared.py and parts.py are what both have; components.py
and pairs.py are what one of them has. bank/ has thousands of small models at once. Nothing here
decides what is learned.
"""

from streampca.estimators.joining import Joining
from streampca.estimators.merging import merge_all
from streampca.estimators.parameters import Parameters, parameters_of
from streampca.estimators.pca import StreamingPCA
from streampca.estimators.regression import StreamingReducedRankRegression
from streampca.estimators.shared import refuse_other_names

__all__ = [
    "Joining",
    "Parameters",
    "StreamingPCA",
    "StreamingReducedRankRegression",
    "merge_all",
    "parameters_of",
    "refuse_other_names",
]
