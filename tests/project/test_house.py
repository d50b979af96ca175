"""The layout that CONTRIBUTING.md shows: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import house
import house_picture
import pytest

LONGEST_FILE, LONGEST_FUNCTION = 300, 60
PLACE = {wing: i for i, wing in enumerate(house.WINGS)}
ABROAD = [
    each for each in house.imports() if house.wing(each.importer) != house.wing(each.imported)
]
"""Imports from one wing into another."""

MAP = (house.ROOT / "CONTRIBUTING.md").read_text()


def said(imports: list[house.Import]) -> list[str]:
    return [f"{each.importer}:{each.line} imports {each.module}" for each in imports]


OPEN = {f"streampca.files.{name}" for name in ("atomic", "formats", "names", "options")} | {
    "streampca.estimators.bank",
    "streampca.text.html",
    "beam_pipelines.run.job_options",
    "beam_pipelines.scoring.alarms",
    "beam_pipelines.scoring.score",
}
"""Files that are used as modules, so that it is said where a word such as `find` comes from."""


def test_a_wing_imports_only_from_wings_below_it() -> None:
    """A file that has no place is below nothing and above all, so it is named here too."""
    upwards = [
        each
        for each in ABROAD
        if PLACE.get(house.wing(each.imported), len(PLACE))
        >= PLACE.get(house.wing(each.importer), -1)
    ]
    assert said(upwards) == []


def test_every_wing_has_its_place_and_every_place_its_wing() -> None:
    wings = {house.wing(path) for path in house.sources()}
    assert wings == set(house.WINGS)


def test_no_circle_between_wings_or_between_files() -> None:
    house.floors(house.between_wings())
    house.floors(house.between_files())


def test_wings_are_entered_by_the_front() -> None:
    """What other wings need of a wing is in its ``__init__``, or in a file that is named here."""
    behind = [each for each in ABROAD if each.module.count(".") >= 2 and each.module not in OPEN]
    assert said(behind) == []


@pytest.mark.parametrize("path", house.sources(), ids=str)
def test_no_file_and_no_function_is_too_long(path: Path) -> None:
    """A function's length is that of its code: its docstring is as long as its users need."""
    text = (house.ROOT / path).read_text()
    n_lines = len(text.splitlines())
    assert n_lines <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            code = node.body[1:] if ast.get_docstring(node) else node.body
            length = (code[-1].end_lineno or 0) - code[0].lineno + 1 if code else 0
            assert length < LONGEST_FUNCTION, node.name


def test_the_picture_is_of_these_imports() -> None:
    assert house_picture.PICTURE.read_text() == house_picture.draw(), "make house draws it anew"


def test_the_table_names_the_wings_in_their_order() -> None:
    """From the ground up, as in ``house.WINGS``; a row may name several."""
    table = MAP.split("| wing |")[1].split("\n\n")[0]
    named = re.findall(
        r"`([\w/*.]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:])
    )
    assert [name.rstrip("/") for name in named] == list(house.WINGS)


def test_what_the_map_names_is_there() -> None:
    folders = ("", "streampca", "streampca/solvers")  # the guides leave these out where they can
    paths = set(re.findall(r"`([\w./]+(?:/|\.py))`", MAP))
    assert len(paths) > 60
    assert [
        p for p in sorted(paths) if not any((house.ROOT / f / p).exists() for f in folders)
    ] == []


def test_the_reader_sees_imports_wherever_they_stand() -> None:
    """The claims above are true only if no import escapes: late, for types, relative, aliased."""
    text = """
import streampca.wire as w
if TYPE_CHECKING:
    from streampca.rows import check_entries
def late():
    from streampca.moments import dense, Moments
    from . import landing
    from ..checkpoint import Checkpoint
    import numpy
"""
    path = Path("streampca/learning/learner.py")
    modules = dict.fromkeys(
        f"streampca.{m}"
        for m in ("wire", "rows", "moments", "moments.dense", "learning.landing", "checkpoint")
    )
    seen = {module for _, module in house.imported(ast.parse(text), path, modules)}
    assert seen == set(modules)


def test_a_circle_is_named_by_its_nodes() -> None:
    with pytest.raises(ValueError, match="a circle: b -> c -> b"):
        house.floors({"a": {"b"}, "b": {"c"}, "c": {"b"}})
