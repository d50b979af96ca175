"""Each bad row leaves a running pipeline with its own reason, whatever windows and options."""

import apache_beam as beam
import engines
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from streams import assert_equals_batch, counters, timed

from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

X = np.random.default_rng(0).normal(size=(60, 2)) * [3.0, 1.0] + 5
BAD = {
    "too few": ({"air": 1.0}, "feature 'oil' is missing from the row"),
    "too wide": (np.ones(3), "rows have 3 features, but 2 are expected"),
    "too narrow": (np.ones(1), "rows have 1 features, but 2 are expected"),
    "NaN": ({"air": 1.0, "oil": float("nan")}, "feature 'oil' is nan, not a finite number"),
    "NaN in a vector": (np.array([np.nan, 1.0]), "row 0, feature 'air' is nan"),
    "infinity": ({"air": float("inf"), "oil": 1.0}, "feature 'air' is inf, not a finite number"),
    "infinity in a vector": (np.array([1.0, -np.inf]), "row 0, feature 'oil' is -inf"),
    "text": ({"air": 1.0, "oil": "wet"}, "feature 'oil' is 'wet', not a finite number"),
    "text as a row": ("1,2", "got '1,2' for a row: give a mapping"),
    "None": ({"air": None, "oil": 1.0}, "feature 'air' is None, not a finite number"),
    "None as a row": (None, "got None for a row: give a mapping"),
    "empty": ({}, "feature 'air' is missing from the row"),
    "an empty vector": (np.array([]), "Found array with 0 feature(s)"),
    "text in a batch": (
        pa.record_batch({"air": ["x"], "oil": [1.0]}),
        "row 0, feature 'air' is 'x'",
    ),
    "null in a batch": (pa.record_batch({"air": [None], "oil": [1.0]}), "row 0, feature 'air' is "),
    "NaN in a matrix": (np.array([[1.0, np.nan]]), "row 0, feature 'oil' is nan"),
}
SETTINGS = {
    "fixed": (FixedWindows(20), {}),
    "sliding": (SlidingWindows(40, 20), {}),
    "sessions": (Sessions(15), {"carry": False}),
    "global": (GlobalWindows(), {}),
    "sharded": (FixedWindows(20), {"hot_key_shards": 3}),
    "in order": (FixedWindows(20), {"forgetting_factor": 0.9}),
}


def elements(keyed):
    """Good rows, one a second, and each bad one at second 30; all out of order."""
    rows = [*X, *(bad for bad, _ in BAD.values())]
    times = [*range(60), *[30] * len(BAD)]
    return timed([("press 4", row) for row in rows] if keyed else rows, times)


@pytest.mark.parametrize(
    ("setting", "keyed"), [*((name, True) for name in SETTINGS), ("fixed", False)]
)
def test_each_has_its_reason_and_the_good_ones_are_learned(tmp_path, setting, keyed, engine):
    windowfn, options = SETTINGS[setting]
    start = "key 'press 4': " if keyed else ""

    def check(found):
        reasons = sorted(reason for _, reason, _ in found)
        assert len(reasons) == len(BAD)
        for name, (_, message) in BAD.items():
            assert any(reason.startswith(start + message) for reason in reasons), (name, reasons)
        assert {key for key, _, _ in found} == {"press 4" if keyed else None}
        assert {time for _, _, time in found} == {30}

    with engines.pipeline() as p:
        rows = p | beam.Create(elements(keyed)) | beam.WindowInto(windowfn)
        learned = rows | LearnComponents(1, features=["air", "oil"], bad_rows=True, **options)
        _ = learned.checkpoints | WriteCheckpoints(str(tmp_path))
        found = learned.bad_rows | beam.Map(
            lambda bad, time=beam.DoFn.TimestampParam: (bad.key, bad.reason, int(time))
        )
        assert_that(found, check)
    last = CheckpointStore(tmp_path).latest("press 4" if keyed else None)
    if "forgetting_factor" in options:
        assert last.n_samples_seen == 60
        assert abs(last.weight - sum(0.9**i for i in range(60))) < 1e-9
    else:
        assert_equals_batch(last, X)
    counted = counters(p.result)
    assert (counted["rows"], counted["bad_rows"]) == (60, len(BAD))
    assert counted["learned_rows"] == 60


@pytest.mark.parametrize("bad", BAD)
def test_without_that_output_the_pipeline_fails_with_the_same_reason(tmp_path, bad, engine):
    element, message = BAD[bad]
    p = engines.pipeline()
    rows = p | beam.Create([("press 4", X[0]), ("press 4", element), ("press 4", X[1])])
    learned = rows | LearnComponents(1, features=["air", "oil"])
    _ = learned | WriteCheckpoints(str(tmp_path))
    with pytest.raises(Exception, match="press 4") as failed:
        p.run().wait_until_finish()
    assert f"key 'press 4': {message}" in str(failed.value)
    assert CheckpointStore(tmp_path).keys() == []


def test_of_many_rows_together_only_the_bad_ones_leave(tmp_path, engine):
    matrix, batch = X[:20].copy(), pa.record_batch({"air": X[20:40, 0], "oil": X[20:40, 1]})
    matrix[3, 0], matrix[7, 1] = np.nan, np.inf
    batch = batch.set_column(0, "air", pa.array([*X[20:39, 0], None]))

    def check(found):
        assert sorted(reason.partition("feature ")[2][:8] for reason in found) == [
            "'air' is",
            "'air' is",
            "'oil' is",
        ]

    with engines.pipeline() as p:
        rows = p | beam.Create([matrix, batch, X[40:]])
        learned = rows | LearnComponents(1, features=["air", "oil"], bad_rows=True)
        _ = learned.checkpoints | WriteCheckpoints(str(tmp_path))
        assert_that(learned.bad_rows | beam.Map(lambda bad: bad.reason), check)
    assert_equals_batch(CheckpointStore(tmp_path).latest(), np.delete(X, [3, 7, 39], axis=0))
    assert counters(p.result)["rows"] == 57
