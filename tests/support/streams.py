"""Pipelines for tests of beam_pipelines: rows with times in, the checkpoints of a store out."""

from collections import Counter
from typing import NamedTuple

import apache_beam as beam
import engines
import numpy as np
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from oracle import batch_pca, excess_error

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore


def stream(m=600, n=6, seed=0):
    """Rows (m, n) that drift, off-centre, and an event time in whole seconds for each."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.normal(size=(n, n)))[0] * np.arange(n, 0, -1.0)
    X = rng.normal(size=(m, n)) @ mix.T + np.linspace(0, 3, m)[:, None] + 50
    return X, np.arange(m)


def timed(elements, times, seed=1):
    """Elements with timestamps, out of order."""
    order = np.random.default_rng(seed).permutation(len(times))
    return [TimestampedValue(elements[i], int(times[i])) for i in order]


def learn(elements, windowfn, folder, flags=(), **options):
    """Run LearnComponents over timestamped elements; the store that it wrote."""
    options = {"n_components": 3} | options
    with engines.pipeline(*flags) as p:
        _ = (
            p
            | beam.Create(elements)
            | beam.WindowInto(windowfn)
            | LearnComponents(**options)
            | WriteCheckpoints(str(folder))
        )
    return CheckpointStore(folder)


def rows_at(X, times):
    """Rows with timestamps, for a TestStream."""
    return [TimestampedValue(x, int(t)) for x, t in zip(X, times, strict=True)]


class Pause(NamedTuple):
    """Seconds by the clock of the workers, in which nothing comes."""

    seconds: float


def played(*steps):
    """A TestStream: rows come, a number moves the watermark there, a `Pause` the clock."""
    events = TestStream()
    for step in steps:
        if isinstance(step, Pause):
            events = events.advance_processing_time(step.seconds)
        elif isinstance(step, list):
            events = events.add_elements(step)
        else:
            events = events.advance_watermark_to(step)
    return events.advance_watermark_to_infinity()


def with_late_rows():
    """Rows (90, 6), and a TestStream in which those of seconds 5 to 14 come when it is 65."""
    X, times = stream(90)
    late = np.isin(times, range(5, 15))
    return X, played(rows_at(X[~late], times[~late]), 65, rows_at(X[late], times[late]))


def run_events(events, folder, windowfn, lateness=1000, flags=(), **options):
    """Run LearnComponents over a TestStream; the store that it wrote."""
    with engines.pipeline(*flags, streaming=True) as p:
        _ = (
            p
            | events
            | beam.WindowInto(windowfn, allowed_lateness=lateness)
            | LearnComponents(**({"n_components": 2} | options))
            | WriteCheckpoints(str(folder))
        )
    return CheckpointStore(folder)


def counters(result):
    """The counters of streampca, by name."""
    found = result.metrics().query(MetricsFilter().with_namespace("streampca"))["counters"]
    return {c.key.metric.name: c.committed for c in found}


TOLD = Counter()
"""What counters of streampca were told in this process, by name."""


class Metrics:
    """In place of Beam's: BundleBasedDirectRunner loses most of what those are told."""

    def __init__(self, name):
        self._name = name

    @classmethod
    def counter(cls, _, name):
        return cls(name)

    def inc(self, n=1):
        TOLD[self._name] += n


def assert_equals_batch(checkpoint, X):
    """The checkpoint is batch PCA of exactly these rows."""
    p = len(checkpoint.components)
    mean, _, variances, total = batch_pca(X, p)
    assert checkpoint.n_samples_seen == len(X)
    np.testing.assert_allclose(checkpoint.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(checkpoint.explained_variance, variances, rtol=1e-8)
    np.testing.assert_allclose(checkpoint.total_variance, total, rtol=1e-10)
    assert abs(excess_error(checkpoint.components, X)) <= 1e-9
