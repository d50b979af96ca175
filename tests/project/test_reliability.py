"""docs/reliability.md names tests that exist, and says which of them are expected to fail."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| promise") and "::" in line
]
PROMISES = [line for line in PAGE.splitlines() if re.match(r"\| (?!promise)", line)]


def functions(file):
    """The test functions of a file, with the source of their decorators."""
    tree = ast.parse((TESTS / file).read_text())
    return {
        node.name: " ".join(map(ast.unparse, node.decorator_list))
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGE))), ids=str)
def test_every_test_that_the_page_names_exists(file, name):
    assert (TESTS / file).is_file()
    assert name in functions(file)
    assert name.startswith("test_")


def test_the_page_names_many_and_a_test_for_each_promise():
    assert len(set(NAMED.findall(PAGE))) > 50
    unheld = [
        line
        for line in PROMISES
        if not NAMED.search(line) and not re.match(r"\| *-+|\| (River|Beam|10)", line)
    ]
    assert unheld == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_a_promise_is_marked_not_yet_just_as_long_as_its_tests_are(row):
    expected_to_fail = any(
        re.search(r"UNSAFE|xfail", functions(file)[name]) for file, name in NAMED.findall(row)
    )
    assert expected_to_fail == ("*not yet*" in row)
