"""Rows in the components of their window's checkpoint, or of the one before."""

import apache_beam as beam
import engines
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from streams import counters, played, rows_at, stream, timed

from beam_pipelines import LearnComponents, ProjectComponents
from streampca import StreamingPCA
from streampca.monitor import Monitor

SECOND = 1_000_000


class Keep(beam.DoFn):
    """What comes, as lines of a file: BundleBasedDirectRunner cannot group it for assert_that."""

    def __init__(self, path):
        self._path = str(path)

    def process(self, keyed):
        _, found = keyed
        line = [found.element[-1], found.window_end, found.spe, found.t2, *found.coordinates]
        with open(self._path, "a") as file:
            print(*line, file=file)


@pytest.mark.needs("holds")
@pytest.mark.parametrize("lag", [0, 1])
def test_rows_use_the_checkpoint_of_their_window_or_the_one_before(tmp_path, lag, engine):
    X, times = stream(120)
    X = np.column_stack([X, times])  # the last feature names the row
    with engines.pipeline() as p:
        windowed = p | beam.Create(timed(list(X), times)) | beam.WindowInto(FixedWindows(40))
        checkpoints = windowed | LearnComponents(2)
        projected = windowed | ProjectComponents(checkpoints, lag=lag, spe=True, t2=True)
        _ = projected | beam.ParDo(Keep(tmp_path / "found"))
    found = np.loadtxt(tmp_path / "found")
    assert sorted(found[:, 0]) == list(range(40 * lag, 120))
    for i, window_end, spe, t2, *coordinates in found:
        row, end = X[int(i)][None], (i // 40 + 1 - lag) * 40
        pca = StreamingPCA(2).fit(X[times < end])
        assert window_end == end * SECOND
        np.testing.assert_allclose(np.abs(coordinates), np.abs(pca.transform(row)[0]), atol=1e-8)
        np.testing.assert_allclose(spe, Monitor(pca).spe(row)[0])
        np.testing.assert_allclose(t2, Monitor(pca).t2(row)[0])


@pytest.mark.needs("holds")
@pytest.mark.parametrize(("size", "period", "lag"), [(60, 30, 0), (60, 30, 1), (60, 30, 2)])
def test_sliding_windows_each_use_their_own(size, period, lag, engine):
    X, times = stream(120)

    def check(found):
        assert found
        for end, projected in found:
            assert projected.window_end == (end - lag * period) * SECOND

    def with_end(keyed, window=beam.DoFn.WindowParam):
        return int(window.end), keyed[1]

    with engines.pipeline() as p:
        windows = beam.WindowInto(SlidingWindows(size, period))
        windowed = p | beam.Create(timed(list(X), times)) | windows
        projected = windowed | ProjectComponents(windowed | LearnComponents(2), lag=lag)
        assert_that(projected | beam.Map(with_end), check)


@pytest.mark.needs("holds")
def test_each_key_uses_its_own_and_every_kind_of_row_goes(tmp_path, engine):
    X, _ = stream(60, 3)
    kinds = {
        "a": {"x": 50.0, "y": 51.0, "z": 52.0},
        "b": beam.Row(x=50.0, y=51.0, z=52.0),
        "c": pa.record_batch([pa.array(c) for c in X[:4].T], names=list("xyz")),
        "d": X[:4],
        "e": X[0],
    }
    learned_from = [(key, dict(zip("xyz", x, strict=True))) for key in "abcde" for x in X]

    def check(found):
        model = StreamingPCA(2).fit(X)
        found = dict(found)
        assert sorted(found) == list("abcde")
        for key, projected in found.items():
            many = key in "cd"
            assert projected.coordinates.shape == ((4, 2) if many else (2,))
            assert projected.t2 is None
            rows = X[:4] if many else X[:1] if key == "e" else np.array([[50.0, 51.0, 52.0]])
            np.testing.assert_allclose(
                np.abs(np.atleast_2d(projected.coordinates)), np.abs(model.transform(rows))
            )
            np.testing.assert_allclose(projected.spe, np.squeeze(Monitor(model).spe(rows)))

    with engines.pipeline() as p:
        checkpoints = p | "Learned" >> beam.Create(learned_from) | LearnComponents(2)
        rows = p | "Rows" >> beam.Create(list(kinds.items()))
        assert_that(rows | ProjectComponents(checkpoints, spe=True), check)


@pytest.mark.needs("holds")
def test_bad_rows_and_rows_without_a_checkpoint_are_named(engine):
    X, _ = stream(60, 2)
    bad = [("k", {"x": "wet", "y": 1.0}), ("other", X[0]), ("k", np.ones(3)), (1.5, X[0])]

    def check(found):
        reasons = " ".join(row.reason for row in found)
        assert len(found) == len(bad)
        for text in ("keys must be", "'wet'", "3 features", "'other': there is no checkpoint"):
            assert text in reasons

    with engines.pipeline() as p:
        checkpoints = p | "L" >> beam.Create([("k", X)]) | LearnComponents(1, features=["x", "y"])
        rows = p | "R" >> beam.Create([("k", X[0]), *bad], reshuffle=False)
        found = rows | ProjectComponents(checkpoints, bad_rows=True)
        assert_that(found.bad_rows, check, "bad")
        assert_that(found.projected | beam.Keys(), lambda keys: keys == ["k"] or 1 / 0, "good")
    assert counters(p.result)["rows_without_checkpoint"] == 1


@pytest.mark.needs("holds")
def test_without_that_output_a_bad_row_fails_the_pipeline(engine):
    p = engines.pipeline()
    checkpoints = p | "L" >> beam.Create([("k", np.eye(2))]) | LearnComponents(1)
    rows = p | "R" >> beam.Create([("k", {"x": "wet", "y": 1.0})])
    _ = rows | ProjectComponents(checkpoints)
    with pytest.raises(Exception, match="key 'k': .*'wet'"):
        p.run().wait_until_finish()


@pytest.mark.needs("side inputs in step")
def test_the_checkpoints_follow_the_stream(tmp_path, engine):
    X, times = stream(90)
    events = played(
        rows_at(X[:60], times[:60]),
        31,  # one by one: this runner has no watermark holds for timers
        61,
        rows_at(X[60:], times[60:]),
    )

    with engines.pipeline(streaming=True) as p:
        rows = p | events | beam.WindowInto(FixedWindows(30))
        _ = (
            rows
            | ProjectComponents(rows | LearnComponents(2), lag=1, spe=True)
            | beam.ParDo(Keep(tmp_path / "found"))
        )
    lines = (tmp_path / "found").read_text().splitlines()
    ends = [int(line.split()[1]) // SECOND for line in lines]
    assert {end: ends.count(end) for end in set(ends)} == {30: 30, 60: 30}


@pytest.mark.needs("side inputs in step")
def test_a_late_checkpoint_is_taken_up_by_the_rows_that_come_after_it(tmp_path, engine):
    X, times = stream(60)
    X = np.column_stack([X, times])
    late = np.isin(times, range(5, 15))
    first, before, after = (times < 30) & ~late, (times >= 30) & (times < 40), times >= 40
    events = played(
        rows_at(X[first], times[first]),
        31,
        rows_at(X[before], times[before]),
        32,
        rows_at(X[late], times[late]),
        33,
        rows_at(X[after], times[after]),
    )
    with engines.pipeline(streaming=True) as p:
        rows = p | events | beam.WindowInto(FixedWindows(30), allowed_lateness=1000)
        projected = rows | ProjectComponents(rows | LearnComponents(2), lag=1)
        _ = projected | beam.ParDo(Keep(tmp_path / "found"))
    lines = [line.split() for line in (tmp_path / "found").read_text().splitlines()]
    found = {int(float(line[0])): np.array(line[4:], float) for line in lines}
    assert sorted(found) == list(range(30, 60))
    for i in range(40, 60):
        pca = StreamingPCA(2).fit(X[:30])  # the late rows included
        expected = np.abs(pca.transform(X[i][None])[0])
        np.testing.assert_allclose(np.abs(found[i]), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("windowfn", "lag", "message"),
    [
        (Sessions(5), 0, "Sessions cannot be side inputs"),
        (GlobalWindows(), 1, "GlobalWindows cannot be side inputs of another window"),
        (FixedWindows(5), -1, "lag=-1"),
        (FixedWindows(5), 0.5, "lag=0.5"),
    ],
)
def test_what_cannot_be_a_side_input_is_said_when_the_pipeline_is_built(
    windowfn, lag, message, engine
):
    p = engines.pipeline()
    rows = p | beam.Create(timed(*stream(10))) | beam.WindowInto(windowfn)
    with pytest.raises(ValueError, match=message):
        _ = rows | ProjectComponents(rows | LearnComponents(1), lag=lag)
