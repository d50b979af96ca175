"""Bundles whose keys have state stay as they are: Prism is told not to split them."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows

from beam_pipelines import Alarms, LearnComponents, ReadCheckpoints, Score
from beam_pipelines.learning.bundles import NO_SPLITS
from streampca import CheckpointStore, StreamingPCA

WINDOWS = [FixedWindows(60), SlidingWindows(60, 20), Sessions(60)]
OPTIONS = [{}, {"forgetting_factor": 0.9}, {"carry": False}, {"resume_from": "store"}]


def has_state(pipeline):
    proto = pipeline.to_runner_api()
    pardos = [
        beam.portability.api.beam_runner_api_pb2.ParDoPayload.FromString(t.spec.payload)
        for t in proto.components.transforms.values()
        if t.spec.urn == "beam:transform:pardo:v1"
    ]
    return any(each.state_specs or each.timer_family_specs for each in pardos)


@pytest.mark.parametrize("given", [[], ["--experiments=mine"], ["--experiments=" + NO_SPLITS]])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("windows", WINDOWS, ids=lambda each: type(each).__name__)
def test_learning(tmp_path, windows, options, given):
    if "resume_from" in options:
        options = options | {"resume_from": str(tmp_path)}
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *given]))
    rows = pipeline | beam.Create([np.zeros(3)]) | beam.WindowInto(windows)
    _ = rows | LearnComponents(2, **options)
    assert has_state(pipeline)
    wanted = [each.partition("=")[2] for each in given]
    experiments = pipeline.options.view_as(DebugOptions).experiments
    assert [each for each in experiments if each in (*wanted, NO_SPLITS)] == list(
        dict.fromkeys([*wanted, NO_SPLITS])
    )


def test_alarms(tmp_path):
    pca = StreamingPCA(1).fit(np.random.default_rng(0).normal(size=(50, 3)))
    CheckpointStore(tmp_path).write(pca.checkpoint())
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    models = pipeline | ReadCheckpoints(str(tmp_path))
    _ = pipeline | beam.Create([np.zeros(3)]) | Score(models) | Alarms()
    assert has_state(pipeline)
    assert NO_SPLITS in pipeline.options.view_as(DebugOptions).experiments


def test_without_state_nothing_is_set():
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    _ = pipeline | beam.Create([np.zeros(3)])
    assert not has_state(pipeline)
    assert NO_SPLITS not in (pipeline.options.view_as(DebugOptions).experiments or [])
