"""Bundles that fail after their work are run again: no row is counted twice, none is lost."""

import functools

import numpy as np
import pytest
from apache_beam.transforms.userstate import TimerSpec
from apache_beam.transforms.window import FixedWindows
from extras import needs_torch
from streams import Pause, assert_equals_batch, learn, played, rows_at, run_events, stream, timed

from beam_pipelines.learning import carry, pending
from beam_pipelines.rows import blocks
from beam_pipelines.stores import checkpoints

SECOND = 1_000_000

STEPS = {
    "reading rows": (blocks.GatherBlocks, "process"),
    "tagging windows": (pending.TagWindow, "process"),
    "keeping moments": (carry.CarryModel, "process"),
    "closing windows": (carry.CarryModel, "close"),
    "taking checkpoints": (checkpoints._Write, "process"),
    "writing files": (checkpoints._Write, "finish_bundle"),
}


@pytest.fixture
def failing(monkeypatch):
    """Makes a method raise the first times that it has done all of its work."""

    def make(owner, name, times):
        work = getattr(owner, name)
        failures = []

        @functools.wraps(work)  # Beam reads off the signature which state a method wants
        def retried(self, *args, **kwargs):
            yield from work(self, *args, **kwargs) or ()
            if len(failures) < times:
                failures.append(name)
                raise RuntimeError("a worker was lost")

        monkeypatch.setattr(owner, name, retried)
        for spec in vars(owner).values():
            if isinstance(spec, TimerSpec) and spec._attached_callback is work:
                monkeypatch.setattr(spec, "_attached_callback", retried)
        return failures

    return make


@pytest.mark.bundle_based
@pytest.mark.needs("retries of bounded input")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("carry", [True, False])
def test_a_step_that_fails_after_its_work_counts_no_row_twice(
    tmp_path, failing, step, carry, engine
):
    failures = failing(*STEPS[step], times=3)
    X, times = stream(60)
    elements = timed(X, times)
    options = {"carry": carry}
    history = learn(elements, FixedWindows(20), tmp_path, **options).history()
    assert len(failures) == 3
    assert [c.sequence for c in history] == [0, 1, 2]
    for checkpoint in history:
        start = 0 if carry else checkpoint.window_start // SECOND
        assert_equals_batch(checkpoint, X[start : checkpoint.window_end // SECOND])


@pytest.mark.needs("retries")
@pytest.mark.parametrize("step", STEPS)
def test_late_rows_and_early_panes_are_retried_too(tmp_path, failing, step, engine):
    failures = failing(*STEPS[step], times=3)
    X, times = stream(90)
    late = np.isin(times, range(5, 15))
    events = played(
        rows_at(X[~late], times[~late]),
        35,
        Pause(20),
        65,
        rows_at(X[late], times[late]),
    )
    store = run_events(events, tmp_path, FixedWindows(30), early_every=10)
    assert len(failures) == 3
    assert any(c.late for c in store.history())
    assert_equals_batch(store.latest(), X)
    sequences = [c.sequence for c in store.history()]
    assert sorted(sequences) == list(range(len(sequences)))


@pytest.mark.bundle_based
@pytest.mark.needs("retries of bounded input")
@needs_torch
def test_raw_rows_are_learned_once_by_first_order_descent(tmp_path, failing, engine):
    X, times = stream(60)
    options = {"solver": "first_order", "batch_size": 16}
    once = learn(timed(X, times), FixedWindows(20), tmp_path / "once", **options).latest()
    failures = failing(pending.TagRows, "process", times=2)
    failing(carry.CarryModel, "close", times=1)
    again = learn(timed(X, times), FixedWindows(20), tmp_path / "again", **options)
    assert len(failures) == 2
    np.testing.assert_allclose(again.latest().decoder, once.decoder, atol=1e-12)


def test_the_portable_runner_repeats_bundles(tmp_path, engine):
    X, times = stream(60)
    flags = ["--direct_runner_bundle_repeat=2"]
    for running in (True, False):
        store = learn(
            timed(X, times), FixedWindows(20), tmp_path / str(running), flags=flags, carry=running
        )
        assert [c.n_samples_seen for c in store.history()] == (
            [20, 40, 60] if running else [20, 20, 20]
        )


def test_a_retried_bundle_does_not_go_on_from_what_it_had_written(tmp_path, engine):
    X, times = stream(60)
    learn(timed(X[:20], times[:20]), FixedWindows(20), tmp_path)
    store = learn(
        timed(X[20:], times[20:]),
        FixedWindows(20),
        tmp_path,
        flags=["--direct_runner_bundle_repeat=2"],
        resume_from=tmp_path,
    )
    assert [c.n_samples_seen for c in store.history()] == [20, 40, 60]
    assert [c.sequence for c in store.history()] == [0, 1, 2]
