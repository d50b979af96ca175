"""A model for figures."""

import pytest
from plotted import named

from streampca import StreamingPCA


@pytest.fixture(scope="session")
def model():
    return StreamingPCA(8).fit(named()).checkpoint()
