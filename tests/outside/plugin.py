"""A pytest plugin: runs a suite that somebody else wrote with our class in the place of theirs.

`-p outside.plugin --suite NAME`, with tests/ on the path. The suite's own files are run as they are
installed; what cannot pass is a strict xfail with its reason, in excused.py.
"""

import importlib

import pytest
from outside.excused import EXCUSED
from outside.stand_in import PCA

from streampca.sklearn import IncrementalPCA

PLACES = {
    "IncrementalPCA": ("sklearn.decomposition", "sklearn.decomposition._incremental_pca"),
    "PCA": ("sklearn.decomposition", "sklearn.decomposition._pca"),
}
OURS = {"IncrementalPCA": IncrementalPCA, "PCA": PCA}


def pytest_addoption(parser):
    parser.addoption("--suite", help="which table of excused.py holds")
    parser.addoption("--replace", action="append", default=[], choices=sorted(PLACES))


def pytest_configure(config):
    for name in config.getoption("--replace"):
        for place in PLACES[name]:
            setattr(importlib.import_module(place), name, OURS[name])


def pytest_collection_modifyitems(config, items):
    excused = EXCUSED.get(config.getoption("--suite"), {})
    unused = set(excused)
    for item in items:
        for pattern, reason in excused.items():
            if item.name == pattern or item.originalname == pattern:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
                unused.discard(pattern)
    if unused:
        raise pytest.UsageError(f"excused.py names tests that are not there: {sorted(unused)}")
