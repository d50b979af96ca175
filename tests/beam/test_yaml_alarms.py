"""A plant's rows in a YAML pipeline: learned, scored, told as events."""

import json

import numpy as np
import pyarrow as pa
import pytest
from beam_yaml_files import chain, run

from beam_pipelines import yaml_alarms
from streampca import CheckpointStore, StreamingPCA
from streampca.monitor import Watch

NAMES = ["oil", "air", "heat", "load"]
RULES = {"k": 2, "n": 3, "hold_off": 5}

PIPELINE = chain(
    """\
    - type: Score
      config:
        store: {folder}/store
        key: press
        columns: [oil, air, heat, load]
        rules: {{k: 2, n: 3, hold_off: 5}}
    - type: Alarms
      config:
        rules: {{k: 2, n: 3, hold_off: 5}}
        every: 10
""",
    "' '.join([key, str(start_time), str(end_time), sensors[0], str(is_over)])",
    Score="beam_pipelines.yaml_alarms.Score",
    Alarms="beam_pipelines.yaml_alarms.Alarms",
)


def test_a_yaml_file_tells_events_of_each_press(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 1)) @ np.ones((1, 4)) + 0.2 * rng.normal(size=(600, 4))
    store = CheckpointStore(tmp_path / "store")
    wanted = []
    rows = []
    for press in ("a", "b"):
        table = pa.table(dict(zip(NAMES, X[:500].T, strict=True)))
        checkpoint = StreamingPCA(1, scale=True).fit(table).checkpoint(key=press)
        store.write(checkpoint)
        new = X[500:].copy()
        new[20:40, NAMES.index("heat")] += 3.0 if press == "a" else 0.0
        rows += [
            {"press": press, "second": i, **dict(zip(NAMES, row, strict=True))}
            for i, row in enumerate(new.tolist())
        ]
        watch = Watch(checkpoint, RULES, key=press)
        events = watch.add(new, np.arange(100) * 1_000_000)
        wanted += [
            f"{press} {e.start_time} {e.end_time} {e.sensors[0]} {e.is_over}"
            for e in events + watch.finish()
        ]
    assert any("heat True" in line for line in wanted)
    run(PIPELINE.format(folder=tmp_path, rows=json.dumps(rows)))
    lines = "".join(path.read_text() for path in tmp_path.glob("found*")).splitlines()
    assert sorted(lines) == sorted(wanted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: yaml_alarms.Score("store", rules={"hold": 1}), "did you mean hold_off"),
        (lambda: yaml_alarms.Alarms(rules={"k": 5}), "k=5 of n=1"),
    ],
)
def test_rules_that_are_none_are_said_when_the_file_is_read(make, message):
    with pytest.raises(ValueError, match=message):
        make()
