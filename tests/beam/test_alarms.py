"""Score and Alarms: what a plant's rows say of a model, in pipelines, as one process says it."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream as streams_of_tests
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from streams import rows_at, timed

from beam_pipelines import Alarms, LearnComponents, ReadCheckpoints, Score
from streampca import CheckpointStore, StreamingPCA
from streampca.monitor import Monitor, Watch, slim

RULES = "k=2, n=3, hold_off=5"
SECOND = 1_000_000


def plant(m, seed=0, n=5):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(2, n))
    return (rng.normal(size=(m, 2)) @ mix + 0.2 * rng.normal(size=(m, n))) * 10.0 ** np.arange(n)


MODEL = StreamingPCA(2, scale=True).fit(plant(1000))
ROWS = plant(300, 1)
ROWS[100:120, 3] += 4e3
ROWS[295:, 0] += 5.0
TIMES = np.arange(300)


def said(event):
    return (
        event.start, event.end, event.n_rows, event.n_out, event.is_over, event.sensors[:2],
        round(event.peak, 6), event.start_time, event.end_time,
    )  # fmt: skip


def in_one_process(rows, times, rules=RULES, key=None):
    watch = Watch(MODEL, rules, key=key)
    found = watch.add(rows, times * SECOND)
    return [said(event) for event in found + watch.finish()]


def checked(events, wanted):
    """Events of all keys are these, in any order: `wanted` by key."""
    plain = events | "Said" >> beam.Map(lambda keyed: (keyed[0], said(keyed[1])))
    assert_that(plain, equal_to([(key, each) for key, of in wanted.items() for each in of]))


def test_a_slim_checkpoint_has_the_same_limits():
    full = MODEL.checkpoint()
    small = slim(full)
    assert len(small.to_bytes()) < len(full.to_bytes())
    for k in (None, 1):
        one, other = Monitor(full, n_components=k), Monitor(small, n_components=k)
        assert one.spe_limit(0.99) == pytest.approx(other.spe_limit(0.99), rel=1e-12)
    plain = StreamingPCA(2).fit(plant(100)).checkpoint()
    assert Monitor(slim(plain)).spe_limit() == pytest.approx(Monitor(plain).spe_limit(), rel=1e-12)
    assert slim(plain.without_moments()).moments_kind == ""


@pytest.mark.parametrize("as_matrix", [False, True])
def test_rows_are_scored_as_a_watch_scores_them(as_matrix):
    wanted = Watch(MODEL, RULES, n_sensors=3).score(ROWS[95:105])
    wanted = [
        (r.alarm, r.statistic, r.sensors, round(r.spe, 6), round(r.levels.spe, 9)) for r in wanted
    ]
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | "Models" >> beam.Create([(None, MODEL.checkpoint())])
        elements = [ROWS[95:105]] if as_matrix else list(ROWS[95:105])
        rows = pipeline | beam.Create(elements)
        found = (
            rows
            | Score(models, rules=RULES)
            | beam.Map(lambda keyed: keyed[1].scored)
            | beam.Map(
                lambda r: (
                    r.alarm, r.statistic, r.sensors, round(r.spe, 6), round(r.levels.spe, 9)
                )
            )
        )  # fmt: skip
        assert_that(found, equal_to(wanted))


@pytest.mark.parametrize("every", [1.0, 7.0, 60.0, 1000.0])
@pytest.mark.parametrize("rules", [RULES, "ewma=0.3, hold_off=4", None])
def test_rows_out_of_order_make_the_events_of_rows_in_order(every, rules):
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | "Models" >> beam.Create([(None, MODEL.checkpoint())])
        rows = pipeline | beam.Create(timed(list(ROWS), TIMES))
        events = rows | Score(models, rules=rules) | Alarms(rules, every=every)
        checked(events, {None: in_one_process(ROWS, TIMES, rules)})


def test_each_key_has_its_own_events_and_limits():
    rules = {"k": 2, "n": 3, "hold_off": 5, "limits": {"press 4": {"spe": 1e9, "t2": 1e9}}}
    with beam.Pipeline("FnApiRunner") as pipeline:
        keys = ["press 4", "press 5", 6]
        models = pipeline | "Models" >> beam.Create(
            [(key, MODEL.checkpoint(key=key)) for key in keys]
        )
        elements = [(key, row) for key in keys for row in ROWS]
        rows = pipeline | beam.Create(timed(elements, np.tile(TIMES, 3)))
        events = rows | Score(models, rules=rules) | Alarms(rules)
        wanted = {key: in_one_process(ROWS, TIMES, rules, key) for key in keys}
        assert wanted["press 4"] == []
        checked(events, wanted)


def test_events_are_told_as_the_watermark_goes_on_and_late_rows_are_left_out(tmp_path):
    stream = (
        streams_of_tests.TestStream()
        .add_elements(rows_at(ROWS[:110], TIMES[:110]))
        .advance_watermark_to(110)
        .add_elements(rows_at(ROWS[110:], TIMES[110:]))
        .add_elements([TimestampedValue(ROWS[0] * 50, 20)])  # after the watermark
        .advance_watermark_to_infinity()
    )
    flags = ["--streaming", "--runner=BundleBasedDirectRunner"]
    checkpoint = MODEL.checkpoint()
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        watch = Watch(checkpoint, RULES, n_sensors=3)

        def scored(row, t=beam.DoFn.TimestampParam):
            (found,) = watch.score([row], [t.micros])
            return None, found

        def note(keyed):  # this runner loses what is grouped after its last timers
            with open(tmp_path / "events", "a") as file:
                file.write(f"{said(keyed[1])}\n")

        _ = pipeline | stream | beam.Map(scored) | Alarms(RULES, every=10) | beam.Map(note)
    told = (tmp_path / "events").read_text().splitlines()
    assert told == [str(each) for each in in_one_process(ROWS, TIMES)]


def test_a_store_scores_the_windows_of_a_plant(tmp_path):
    """Learn, write; in another pipeline read, score, alarm: as docs/beam.md has it."""
    with beam.Pipeline("FnApiRunner") as pipeline:
        learned = (
            pipeline
            | beam.Create(list(plant(1000)))
            | LearnComponents("parallel", scale=True)
            | beam.Map(lambda keyed: str(CheckpointStore(tmp_path).write(keyed[1])))
        )
        assert_that(learned | beam.combiners.Count.Globally(), equal_to([1]))
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | ReadCheckpoints(str(tmp_path))
        rows = pipeline | beam.Create(timed(list(ROWS), TIMES)) | beam.WindowInto(FixedWindows(60))
        events = rows | Score(models, rules=RULES) | Alarms(RULES)
        checked(events, {None: in_one_process(ROWS, TIMES)})


def test_rows_that_cannot_be_scored_are_an_output_of_their_own():
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | "Models" >> beam.Create([("a", MODEL.checkpoint(key="a"))])
        bad = [("a", [1.0, 2.0]), ("b", ROWS[0]), ("a", [1.0, np.nan, 1, 1, 1])]
        rows = pipeline | beam.Create([*bad, ("a", ROWS[0])])
        outputs = rows | Score(models, bad_rows=True)
        reasons = outputs.bad_rows | beam.Map(lambda each: each.reason.split(":")[0])
        assert_that(reasons, equal_to(["key 'a'", "key 'a'", "key 'b'"]), label="Bad")
        assert_that(outputs.scored | beam.Map(lambda each: each[0]), equal_to(["a"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Score(None, rules="k=3"), "k=3 of n=1"),
        (lambda: Score(None, lag=-1), "lag=-1"),
        (lambda: Score(None, n_sensors=0), "n_sensors=0"),
        (lambda: Alarms("hold=3"), "did you mean hold_off"),
        (lambda: Alarms(every=0), "every=0"),
        (lambda: Alarms(every=0.001), "every=0.001"),
    ],
)
def test_what_cannot_be_done_is_said_when_the_pipeline_is_built(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_limits_that_a_checkpoint_holds_are_those_of_score():
    model = Monitor(MODEL.checkpoint()).calibrate(plant(2000, 5)).checkpoint()
    rules = RULES + ", method=empirical"
    wanted = [round(each.levels.spe, 9) for each in Watch(slim(model), rules).score(ROWS[:3])]
    assert wanted[0] != pytest.approx(Monitor(model).spe_limit(0.99), rel=1e-3)
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | "Models" >> beam.Create([(None, model)])
        scored = pipeline | beam.Create(list(ROWS[:3])) | Score(models, rules=rules)
        assert_that(
            scored | beam.Map(lambda each: round(each[1].scored.levels.spe, 9)), equal_to(wanted)
        )
    pipeline = beam.Pipeline("FnApiRunner")
    models = pipeline | "Models" >> beam.Create([("a", MODEL.checkpoint(key="a"))])
    _ = pipeline | beam.Create([("a", ROWS[0])]) | Score(models, rules=rules)
    with pytest.raises(Exception, match="the one of 'a' holds none: `streampca calibrate`"):
        pipeline.run().wait_until_finish()


def test_rows_with_gaps_are_scored_by_what_is_there():
    model = StreamingPCA(2, scale=True, missing="impute").fit(plant(1000))
    rows = ROWS[95:125].copy()
    rows[::4, 1] = np.nan
    wanted = [round(row.spe, 6) for row in Watch(slim(model.checkpoint()), RULES).score(rows)]
    with beam.Pipeline("FnApiRunner") as pipeline:
        models = pipeline | "Models" >> beam.Create([(None, model.checkpoint())])
        scored = pipeline | beam.Create(list(rows)) | Score(models, rules=RULES)
        assert_that(scored | beam.Map(lambda each: round(each[1].scored.spe, 6)), equal_to(wanted))
