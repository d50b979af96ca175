"""The former name of Score and Alarms, which files of pipelines may still have as a provider."""

from beam_pipelines.beam_yaml import Alarms, Score

__all__ = ["Alarms", "Score"]
