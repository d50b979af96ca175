"""Moments of windows become running models and checkpoints."""

from beam_pipelines.learning.bundles import refuse_splits
from beam_pipelines.learning.carry import CarryModel
from beam_pipelines.learning.combine import MomentsFn, RowsOrMomentsFn
from beam_pipelines.learning.copies import OneCopy, OneWindow, OwnWindow
from beam_pipelines.learning.options import Options, seconds
from beam_pipelines.learning.pending import Arrived, Grouped, TagRows, TagWindow
from beam_pipelines.learning.resume import RerunModel, ResumeModel, resume_points
from beam_pipelines.learning.sizes import SizeWarning

__all__ = [
    "Arrived",
    "CarryModel",
    "Grouped",
    "MomentsFn",
    "OneCopy",
    "OneWindow",
    "Options",
    "OwnWindow",
    "RerunModel",
    "ResumeModel",
    "RowsOrMomentsFn",
    "SizeWarning",
    "TagRows",
    "TagWindow",
    "refuse_splits",
    "resume_points",
    "seconds",
]
