"""Pipelines that are files of Beam YAML."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

yaml_transform = pytest.importorskip(
    "apache_beam.yaml.yaml_transform", reason="Beam YAML needs docstring_parser and jsonschema"
)


def run(text):
    """Run a file's text in this process."""
    options = PipelineOptions(["--runner=FnApiRunner"], pickle_library="cloudpickle")
    with beam.Pipeline(options=options) as p:
        yaml_transform.expand_pipeline(p, text)
