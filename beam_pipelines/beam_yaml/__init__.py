"""Transforms for Beam YAML: fields of rows in; checkpoints, scored rows, events as plain rows out.

Name them in a pipeline's file as a provider, on machines that have streampca installed::

    providers:
      - type: python
        config: {}
        transforms:
          LearnComponents: beam_pipelines.beam_yaml.LearnComponents
          LearnFromFiles: beam_pipelines.beam_yaml.LearnFromFiles
          Score: beam_pipelines.beam_yaml.Score
          Alarms: beam_pipelines.beam_yaml.Alarms

Options are those of docs/files.md and of the main job, by the same names; a name that is none of
them is refused.
"""

import beam_pipelines.anomaly  # noqa: F401 - so that AnomalyDetection in YAML finds its detector
from beam_pipelines.beam_yaml.alarms import Alarms, Score
from beam_pipelines.beam_yaml.learning import LearnComponents, LearnFromFiles

__all__ = ["Alarms", "LearnComponents", "LearnFromFiles", "Score"]
