"""Pipelines that are files of Beam YAML."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

yaml_transform = pytest.importorskip(
    "apache_beam.yaml.yaml_transform", reason="Beam YAML needs docstring_parser and jsonschema"
)


BEGIN = """
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
END = """\
    - type: MapToFields
      config:
        language: python
        fields:
          line: "LINE"
    - type: WriteToText
      config:
        path: {folder}/found
providers:
  - type: python
    config: {{}}
    transforms:
"""


def chain(steps, line, **transforms):
    """The template of a file: rows at their `second`, the steps, a line of each result."""
    return "".join(
        [BEGIN, steps, END.replace("LINE", line)]
        + [f"      {name}: {path}\n" for name, path in transforms.items()]
    )


def run(text):
    """Run a file's text in this process."""
    options = PipelineOptions(["--runner=FnApiRunner"], pickle_library="cloudpickle")
    with beam.Pipeline(options=options) as p:
        yaml_transform.expand_pipeline(p, text)
