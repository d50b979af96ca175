"""Pipelines that are files of Beam YAML."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

yaml_transform = pytest.importorskip(
    "apache_beam.yaml.yaml_transform", reason="Beam YAML needs docstring_parser and jsonschema"
)


ROWS_IN_TIME = """
pipeline:
  type: chain
  transforms:
    - type: Create
      config:
        elements: {rows}
    - type: AssignTimestamps
      config:
        timestamp: second
"""
"""A chain begins like this: rows as a list, each with its `second`."""


def run(text):
    """Run a file's text in this process."""
    options = PipelineOptions(["--runner=FnApiRunner"], pickle_library="cloudpickle")
    with beam.Pipeline(options=options) as p:
        yaml_transform.expand_pipeline(p, text)
