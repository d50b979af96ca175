"""A running pipeline meets the new: an updated library, a newer checkpoint, a worker lost."""

import functools

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing import test_stream as streams_of_tests
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows
from streams import assert_equals_batch, learn, rows_at, run_events, stream, timed

from beam_pipelines.inference import StreamingPCAModelHandler
from beam_pipelines.learning import combine, resume
from beam_pipelines.rows import blocks
from streampca import CheckpointStore, StreamingPCA
from streampca.wire import sealed

SECOND = 1_000_000
X, TIMES = stream(90)


class Way:
    """What happens to a row on its way in; workers in this process find it here."""

    happens = None


def on_the_way(row):
    return Way.happens(row)


@pytest.mark.needs("this process")
@pytest.mark.parametrize("options", [{}, {"forgetting_factor": 0.99}, {"carry": False}], ids=str)
def test_state_and_what_waits_outlive_an_update_across_schema_versions(
    tmp_path, monkeypatch, options, engine
):
    """All that this schema has left in flight is read by a library of the next."""
    events = (
        streams_of_tests.TestStream()
        .add_elements(rows_at(X[:45], TIMES[:45]))  # a window and a half
        .advance_watermark_to(31)
    )
    versions, real = [], sealed.SCHEMA_VERSION
    update = real + 1

    def later(row):
        """The row at second 45 is the first that the updated job sees."""
        if row[0] == X[45, 0]:
            for module in ("wire.sealed", "wire.header", "checkpoint.columns", "checkpoint.table"):
                monkeypatch.setattr(f"streampca.{module}.SCHEMA_VERSION", update)
        versions.append(sealed.SCHEMA_VERSION)
        return row

    monkeypatch.setattr(Way, "happens", later)
    events = events.add_elements(rows_at(X[45:], TIMES[45:])).advance_watermark_to_infinity()
    store = run_events(events | beam.Map(on_the_way), tmp_path, FixedWindows(30), **options)
    assert versions == [real] * 45 + [update] * 45
    history = store.history()
    if "forgetting_factor" in options:
        pca = StreamingPCA(2, **options).partial_fit(X)
        np.testing.assert_allclose(history[-1].mean, pca.mean_)
        np.testing.assert_allclose(history[-1].explained_variance, pca.explained_variance_)
        return
    assert [c.window_end // SECOND for c in history] == [30, 60, 90]
    for c in history:
        start = 0 if options.get("carry", True) else c.window_start // SECOND
        assert_equals_batch(c, X[start : c.window_end // SECOND])


@pytest.mark.needs("a row at a time")
@pytest.mark.needs("this process")
def test_inference_takes_up_a_checkpoint_that_is_written_meanwhile(tmp_path, monkeypatch, engine):
    store = CheckpointStore(tmp_path)
    store.write(StreamingPCA(2).fit(X).checkpoint(window_end=60 * SECOND))

    def trained(row):
        if row[0] == X[40, 0]:
            store.write(StreamingPCA(3).fit(X).checkpoint(window_end=120 * SECOND))
        return row

    def check(results):
        places = {row.tobytes(): i for i, row in enumerate(X)}
        sizes = {places[r.example.tobytes()]: len(r.inference.coordinates) for r in results}
        before = 39  # a batch is handed on when the next row comes
        assert [sizes[i] for i in range(90)] == [2] * before + [3] * (90 - before)
        ids = {r.model_id for r in results}
        assert ids == {f"window_end={end}000000, sequence=0" for end in (60, 120)}

    monkeypatch.setattr(Way, "happens", trained)
    handler = StreamingPCAModelHandler(store.uri, refresh_every=0, max_batch_size=1)
    with engines.pipeline() as p:
        rows = p | beam.Create(list(X), reshuffle=False) | beam.Map(on_the_way)
        assert_that(rows | RunInference(handler), check)


STEPS = {
    "handing on a bundle's rows": (blocks.GatherBlocks, "finish_bundle", {}),
    "adding rows up": (combine.MomentsFn, "add_input", {}),
    "merging sums": (combine.MomentsFn, "merge_accumulators", {}),
    "giving out moments": (combine.MomentsFn, "extract_output", {}),
    "taking up a store": (resume.ResumeModel, "process", {"resume_from": True}),
}


@pytest.mark.bundle_based
@pytest.mark.needs("retries of bounded input")
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_lost_after_its_work_loses_and_repeats_no_row(tmp_path, monkeypatch, step, engine):
    owner, name, options = STEPS[step]
    work, failures = getattr(owner, name), []

    def lost():
        if len(failures) < 3:
            failures.append(step)
            raise RuntimeError("a worker was lost")

    if "process" in name:

        @functools.wraps(work)  # Beam reads off the signature which state a method wants
        def retried(self, *args, **kwargs):
            yield from work(self, *args, **kwargs)
            lost()
    else:

        @functools.wraps(work)
        def retried(self, *args, **kwargs):
            done = work(self, *args, **kwargs)
            done = list(done) if name == "finish_bundle" else done
            lost()
            return done

    learn(timed(X[:30], TIMES[:30]), FixedWindows(30), tmp_path)
    if options:
        options = {"resume_from": tmp_path}
    monkeypatch.setattr(owner, name, retried)
    rows = slice(30, None) if options else slice(None)
    store = learn(
        timed(X[rows], TIMES[rows]),
        FixedWindows(30),
        tmp_path,
        **options,
    )
    assert len(failures) == 3
    assert [c.n_samples_seen for c in store.history()] == [30, 60, 90]
    for checkpoint in store.history():
        assert_equals_batch(checkpoint, X[: checkpoint.window_end // SECOND])
