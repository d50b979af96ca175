"""Fixtures for tests of pipelines."""

import pytest
import streams


@pytest.fixture
def told(monkeypatch):
    """What counters are told from now on, by name, on runners that lose some of it."""
    for module in ("rows.blocks", "learning.pending", "learning.carry"):
        monkeypatch.setattr(f"beam_pipelines.{module}.Metrics", streams.Metrics)
    streams.TOLD.clear()
    return streams.TOLD
