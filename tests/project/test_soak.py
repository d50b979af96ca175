"""A long run in short: memory stays, and the decoder stays orthonormal (`make soak`: 10^7 rows)."""

import json

import children

from benchmarks import soak


def alone(run):
    """Readings of a run in a process of its own.

    In one that has run other tests memory may grow all the same: Python looks for cycles to free
    only when they are a quarter of all that lives, and much lives there.
    """
    code = f"import json; from benchmarks import soak; print(json.dumps(list(soak.{run})))"
    return [soak.Reading(*each) for each in json.loads(children.run(code))]


def test_a_stream_through_river_leaves_no_trace_in_memory():
    readings = alone("through_river(200_000)")
    assert soak.verdict(readings, speed=False) == []
    assert readings[-1].rows == 200_000
    assert readings[-1].angle < 1e-6  # the pool ten times: batch PCA of it


def test_a_stream_through_beam_leaves_no_trace_in_memory():
    readings = alone("through_beam(1_000_000, windows=40)")
    source, checkpoints = soak.phases(readings)
    for phase in (source, checkpoints):
        assert soak.verdict(phase, speed=False) == []
    assert checkpoints[-1].rows == 1_000_000
    assert checkpoints[-1].angle < 1e-5


def reading(rows, seconds, resident, orthogonality=0.0):
    return soak.Reading(rows, seconds, resident, orthogonality, 0.0)


def test_what_would_be_wrong_is_said():
    steady = [reading(i, i, 100.0) for i in range(1, 21)]
    assert soak.verdict(steady) == []
    grown = [reading(i, i, 100.0 + 2 * i) for i in range(1, 21)]
    assert "memory grew by 28 MiB" in soak.verdict(grown)[0]
    slower = [reading(i, i**1.5, 100.0) for i in range(1, 21)]
    assert "speed fell" in soak.verdict(slower)[0]
    skewed = [*steady[:-1], reading(20, 20, 100.0, 2e-5)]
    assert "orthogonality 2.0e-05 is above" in soak.verdict(skewed)[0]
