"""No public name goes without a word: programs of users go on to run."""

from pathlib import Path

import pytest
from extras import needs_torch
from public_names import names

LISTED = Path(__file__).with_name("public_names.txt").read_text().splitlines()

pytestmark = needs_torch


@pytest.fixture(scope="module")
def present():
    for extra in ("torch", "river", "apache_beam", "sklearn", "matplotlib", "starlette", "onnx"):
        pytest.importorskip(extra)
    return set(names())


def test_no_listed_name_is_missing(present):
    """A name that went needs a deprecation first; then its line goes too."""
    missing = [name for name in LISTED if name not in present]
    assert not missing


def test_the_list_is_sorted_by_module_without_repetition():
    assert len(LISTED) == len(set(LISTED)) > 500
