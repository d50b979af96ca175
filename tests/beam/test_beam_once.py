"""What tests let Beam remember is what Beam would work out anew."""

import inspect

import apache_beam as beam
import beam_once
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.transforms import core

from beam_pipelines import learning, rows, scoring, sources

beam_once.install()

FLAGS = ["--streaming", "--experiments=one", "--save_main_session"]
CLASSES = sorted(PipelineOptions.__subclasses__(), key=str)
DO_FNS = sorted(
    {
        each
        for module in (learning, rows, scoring, sources)
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, beam.DoFn)
    },
    key=str,
)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_second_view_has_the_values_of_the_first_and_of_beams_own(cls):
    options, own = PipelineOptions(FLAGS), PipelineOptions(FLAGS)
    views = [options.view_as(cls) for _ in range(2)]
    expected = type(own).view_as.__wrapped__(own, cls)
    for view in views:
        assert type(view) is cls
        assert view._visible_option_list() == expected._visible_option_list()
        # those that a pipeline's run would give have no equality: the same names and texts
        assert str(view) == str(expected)


def test_views_share_what_is_changed_and_other_options_do_not_see_it():
    options, others = PipelineOptions(FLAGS), PipelineOptions(FLAGS)
    others.view_as(DebugOptions)
    options.view_as(DebugOptions).add_experiment("two")
    options.view_as(StandardOptions).streaming = False
    assert options.view_as(DebugOptions).experiments == ["one", "two"]
    assert options.view_as(StandardOptions).streaming is False
    assert others.view_as(DebugOptions).experiments == ["one"]
    assert others.view_as(StandardOptions).streaming is True


@pytest.mark.parametrize("cls", DO_FNS, ids=lambda cls: cls.__name__)
def test_arguments_of_methods_are_those_that_beam_reads(cls):
    made = cls.__new__(cls)
    for _ in range(2):
        for name in ("process", "setup", "start_bundle", "finish_bundle", "teardown"):
            method = getattr(made, name)
            expected = core.get_function_args_defaults.__wrapped__(method)
            found = core.get_function_args_defaults(method)
            assert found[0] == expected[0]
            assert len(found[1]) == len(expected[1])
            assert all(a is b for a, b in zip(found[1], expected[1], strict=True))


def test_what_is_handed_out_may_be_changed():
    method = beam.DoFn().process
    first = core.get_function_args_defaults(method)
    first[0].append("nobody's")
    assert "nobody's" not in core.get_function_args_defaults(method)[0]
