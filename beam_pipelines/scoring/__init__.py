"""Models beside the rows that they are for: coordinates, statistics, alarms."""

from beam_pipelines.scoring.alarms import Alarms
from beam_pipelines.scoring.project import ProjectComponents
from beam_pipelines.scoring.projector import Projected, Projector
from beam_pipelines.scoring.score import Score, ScoredRow

__all__ = ["Alarms", "ProjectComponents", "Projected", "Projector", "Score", "ScoredRow"]
