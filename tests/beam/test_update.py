"""Which changes a running job can be updated with: held to what a runner compares."""

from pathlib import Path

import apache_beam as beam
import numpy as np
import protos
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows

from beam_pipelines import LearnComponents, WriteCheckpoints

WINDOWS = {"fixed": FixedWindows(60), "sliding": SlidingWindows(60, 20), "sessions": Sessions(60)}

# What is changed -> whether names, coders, states and windows stay, and the words of the page.
SAME = {
    "n_components": ({"n_components": 3}, "yes, where memory is dense"),
    "half_life": ({"half_life": 60}, "yes"),
    "early_every": ({"early_every": 10}, "yes"),
    "idle_timeout": ({"idle_timeout": 600}, "yes"),
    "bad_rows": ({"bad_rows": True}, "yes"),
    "hot_key_shards": ({"hot_key_shards": 8}, "yes"),
    "forgetting_factor": ({"forgetting_factor": 0.99}, "no: drain, then resume_from"),
    "solver": ({"solver": "first_order"}, "no: drain, then resume_from"),
    "missing": ({"missing": "impute"}, "no: drain, then resume_from"),
    "memory": ({"memory": "factored"}, "no: a new store"),
    "carry": ({"carry": False}, "no: a new store"),
    "features": ({"features": list("abd")}, "no: a new store"),
}


def build(windows="fixed", **options):
    options = {"n_components": 2, "features": list("abc")} | options

    def steps(pipeline):
        rows = pipeline | beam.Create([("press", dict.fromkeys("abcd", 1.0))])
        windowed = rows | beam.WindowInto(WINDOWS[windows], allowed_lateness=600)
        learned = windowed | LearnComponents(**options)
        checkpoints = learned.checkpoints if options.get("bad_rows") else learned
        _ = checkpoints | WriteCheckpoints("store")

    return steps


def shape(streaming=True, **asked):
    flags = ["--streaming"] if streaming else []
    return protos.shape(build(**asked), PipelineOptions(flags))


@pytest.mark.parametrize("windows", ["fixed", "sliding"])
@pytest.mark.parametrize("which", SAME)
def test_no_option_renames_a_step_or_changes_a_coder_or_a_state(which, windows):
    before, after = shape(windows=windows), shape(windows=windows, **SAME[which][0])
    for part in ("names", "coders", "states"):
        assert after[part] == before[part], part


@pytest.mark.parametrize("which", SAME)
def test_only_early_panes_change_the_windowing(which):
    before, after = shape(), shape(**SAME[which][0])
    assert (after["windows"] == before["windows"]) == (which != "early_every")


def test_going_on_from_a_store_adds_steps_and_renames_none():
    before, after = shape(), shape(resume_from="store")
    assert set(before["names"]) < set(after["names"])
    assert all("/Resume" in name for name in set(after["names"]) - set(before["names"]))
    for part in ("coders", "states"):
        assert after[part].items() >= before[part].items()


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("which", SAME)
def test_what_waits_and_what_is_kept_is_in_coders_that_beam_has(which, windows):
    if windows == "sessions" and which in ("early_every", "hot_key_shards"):
        pytest.skip("refused")
    found = shape(windows=windows, **SAME[which][0])
    texts = [*found["coders"].values(), *(coder for _, coder in found["states"].values())]
    assert len(texts) == 6
    for text in texts:
        assert not set("[]") & set(text), f"{text} is pickled"
        assert "bytes:v1" in text or text == "varint:v1"


def test_accumulators_are_in_a_coder_that_beam_has():
    assert protos.accumulator_coders(build()) == {"iterable:v1(bytes:v1)"}


def test_the_names_are_those_that_the_page_says():
    page = (Path(__file__).parent.parent.parent / "docs/deploy.md").read_text()
    for name in shape()["names"]:
        if name.startswith("LearnComponents/"):
            assert f"`{name.removeprefix('LearnComponents/')}`" in page
    for which, (_, words) in SAME.items():
        assert f"| `{which}` | {words} |" in page


def test_other_windows_are_another_pipeline():
    before, after = shape(), shape(windows="sliding")
    assert after["windows"] != before["windows"]
    assert set(after["names"]) - set(before["names"]) == {
        "LearnComponents/OneCopy",
        "LearnComponents/OwnWindow",
    }


def test_what_is_in_flight_is_read_whichever_way_rows_were_learned():
    # Blocks wait before the grouping in the same bytes, in order or not.
    from beam_pipelines.rows.block import Block

    one = Block(("a",), np.eye(1), micros=5)
    again = Block.opened(list(one))
    assert again is not None
    assert (again.micros, again.values.tolist()) == (5, [[1.0]])
