"""torch for tests: None where it is not installed, and the mark of what needs it."""

import importlib
import importlib.util

import pytest

torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
needs_torch = pytest.mark.needs_torch


def torch_for(values, which):
    """Values of a parameter, those of which `which` is true marked as in need of torch."""
    return [pytest.param(v, marks=needs_torch) if which(v) else v for v in values]
