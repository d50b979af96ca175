"""Keys side by side: merging sessions, the global window, early panes and late rows of each."""

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions
from streams import Pause, assert_equals_batch, learn, played, rows_at, run_events, stream, timed

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

SECOND = 1_000_000
X, TIMES = stream(120)


def spans(history):
    return [(c.window_start // SECOND, c.window_end // SECOND) for c in history]


@pytest.mark.needs("sessions that touch")
@pytest.mark.bundle_based
@pytest.mark.parametrize("carry", [True, False])
def test_sessions_of_keys_merge_each_for_itself(tmp_path, carry, engine):
    # "a" pauses for longer than the gap after its 20th row, "b" never, "c" after each row.
    times = {"a": np.r_[0:20, 40:60], "b": np.r_[0:40] * 9, "c": np.r_[0:40] * 10}
    parts = dict(zip("abc", np.split(X, 3), strict=True))
    rows = [(key, x) for key in "abc" for x in parts[key]]
    store = learn(
        timed(rows, np.concatenate(list(times.values()))),
        Sessions(10),
        tmp_path,
        carry=carry,
        n_components=1,
    )
    assert spans(store.history("a")) == [(0, 29), (40, 69)]
    assert spans(store.history("b")) == [(0, 361)]
    assert spans(store.history("c")) == [(i * 10, i * 10 + 10) for i in range(40)]
    for key in "ab":
        for c in store.history(key):
            own = times[key] * SECOND < c.window_end
            if not carry:
                own &= times[key] * SECOND >= c.window_start
            assert_equals_batch(c, parts[key][own])
    counts = [c.n_samples_seen for c in store.history("c")]
    assert counts == (list(range(1, 41)) if carry else [1] * 40)


@pytest.mark.needs("late rows in sessions")
@pytest.mark.parametrize("carry", [True, False])
def test_a_late_row_joins_two_sessions_that_had_been_closed(tmp_path, carry, engine):
    times = np.r_[0:30, 45:75, 37]
    rows = rows_at(X[:61], times)
    events = played(
        rows[:60],
        42,
        90,
        rows[60:],  # 8 seconds after the first, 8 before the second
    )
    store = run_events(events, tmp_path, Sessions(10), carry=carry)
    history = sorted(store.history(), key=lambda c: c.sequence)
    assert spans(history) == [(0, 39), (45, 84), (0, 84)]
    assert [c.late for c in history] == [False, False, True]
    assert_equals_batch(history[1], X[:60] if carry else X[30:60])
    assert_equals_batch(history[2], X[:61])


@pytest.mark.parametrize("carry", [True, False])
def test_the_global_window_has_a_model_for_each_key(tmp_path, carry, engine):
    rows = [(i % 3, x) for i, x in enumerate(X)]
    store = learn(timed(rows, TIMES), GlobalWindows(), tmp_path, carry=carry)
    assert store.keys() == [0, 1, 2]
    for key in range(3):
        (found,) = store.history(key)
        assert_equals_batch(found, X[key::3])


@pytest.mark.needs("early panes of each key")
def test_early_panes_and_late_rows_of_one_key_are_not_those_of_another(tmp_path, engine):
    def rows(key, start, stop):
        return rows_at([(key, x) for x in X[start:stop]], TIMES[start:stop])

    events = played(
        rows("a", 0, 20),
        rows("b", 0, 25),
        Pause(20),  # both are reported early
        rows("b", 25, 30),
        35,
        rows("a", 20, 30),  # late, and only for "a"
    )
    store = run_events(events, tmp_path, FixedWindows(30), early_every=10)
    counts = {
        key: [(c.sequence, c.n_samples_seen, c.late) for c in store.history(key)] for key in "ab"
    }
    assert counts["a"][:2] == [(0, 20, False), (1, 20, False)]
    assert [count[2] for count in counts["a"][2:]] == [True] * len(counts["a"][2:])
    assert counts["b"] == [(0, 25, False), (1, 30, False)]
    assert_equals_batch(max(store.history("a"), key=lambda c: c.sequence), X[:30])
    assert_equals_batch(store.latest("b"), X[:30])


def test_rows_of_several_streams_are_one_stream(tmp_path, engine):
    with engines.pipeline() as p:
        halves = [
            p | name >> beam.Create(timed(X[part], TIMES[part]))
            for name, part in [("Odd", slice(1, None, 2)), ("Even", slice(0, None, 2))]
        ]
        rows = halves | beam.Flatten() | beam.WindowInto(FixedWindows(60))
        learned = rows | "One" >> LearnComponents(2)
        again = rows | "Other" >> LearnComponents(3, carry=False)  # twice in one pipeline
        _ = learned | "WriteOne" >> WriteCheckpoints(str(tmp_path / "one"))
        _ = again | "WriteOther" >> WriteCheckpoints(str(tmp_path / "other"))
    assert_equals_batch(CheckpointStore(tmp_path / "one").latest(), X)
    assert_equals_batch(CheckpointStore(tmp_path / "other").latest(), X[60:])
