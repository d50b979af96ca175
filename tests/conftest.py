"""What holds for every test."""

import pytest
from hypothesis import settings

# No test is timed: how long an example takes says more about the machine than about the code.
# The suite draws the same examples every time, so that a failure belongs to the change that made
# it; `make test ARGS=--hypothesis-profile=random` looks further.
settings.register_profile("random", deadline=None)
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile("same")

# Their import adds cases: as test modules of another name they would add them twice.
collect_ignore_glob = ["support/made_*.py"]


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits, 1,797 rows of 64 features."""
    from sklearn.datasets import load_digits

    return load_digits().data.astype("float64")
