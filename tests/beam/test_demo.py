"""`make run` without its installation: real rows, tables, a picture, and checkpoints to trust."""

import engines
import numpy as np
import pytest
from streams import assert_equals_batch

from beam_pipelines import demo
from streampca import CheckpointStore

datasets = pytest.importorskip("river.datasets")


def test_every_hour_of_shuttle_is_batch_pca_of_the_rows_so_far(
    tmp_path, capsys, monkeypatch, engine
):
    monkeypatch.chdir(tmp_path)
    assert demo.main(engines.flags()) == 0
    X = np.array([list(sensors.values()) for sensors, _ in datasets.Shuttle()])
    history = CheckpointStore(tmp_path / "out/shuttle/checkpoints").history()
    assert len(history) == 14
    for hour, checkpoint in enumerate(history, start=1):
        assert_equals_batch(checkpoint, X[: 3600 * hour])
    shown = capsys.readouterr().out
    assert "2026-01-01 14:00    49,097" in shown
    assert f"{history[-1].explained_variance_ratio[0]:.1%}" in shown
    assert (tmp_path / "out/shuttle/components.png").read_bytes().startswith(b"\x89PNG")
