"""What a device is asked and told, by a simulated one: see tests/device."""

import os
import subprocess
import sys
from pathlib import Path

from extras import needs_torch


@needs_torch
def test_on_a_simulated_device():
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests / "device")],
        env=os.environ | {"STREAMPCA_SIMULATED_DEVICE": "1"},
        cwd=tests.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert " passed" in done.stdout
