"""What a device is asked and told, by a simulated one: see tests/device."""

import os
import subprocess
import sys

from extras import needs_torch


@needs_torch
def test_on_a_simulated_device():
    folder = os.path.join(os.path.dirname(__file__), "device")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        env=os.environ | {"STREAMPCA_SIMULATED_DEVICE": "1"},
        cwd=os.path.dirname(os.path.dirname(__file__)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert " passed" in done.stdout
