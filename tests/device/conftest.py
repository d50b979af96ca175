"""These tests make torch know a device more, for good: they run in a process of their own."""

import os

import pytest

ALONE = "STREAMPCA_SIMULATED_DEVICE"

if ALONE not in os.environ:  # see tests/learning/test_device.py
    collect_ignore_glob = ["*.py"]
else:
    from simulated import DEVICE, Simulation

    @pytest.fixture(params=[0, float("inf")], ids=["prompt", "late"])
    def simulation(request):
        with Simulation(lag=request.param) as simulation:
            yield simulation

    @pytest.fixture
    def device():
        return DEVICE
