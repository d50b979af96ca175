"""The wings of the source tree and the imports between them, read from the files.

A wing is a folder directly below a package, or a single file there. Imports for types and inside
functions count: who names a type depends on it. What it knows of the wings is drawn by
house_picture.py.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streampca", "beam_pipelines")

WINGS = (
    "streampca/exceptions.py",
    "streampca/text",
    "streampca/arrays",
    "streampca/loss.py",
    "streampca/metrics.py",
    "streampca/wire",
    "streampca/rows",
    "streampca/moments",
    "streampca/solvers",
    "streampca/learning",
    "streampca/layer.py",
    "streampca/checkpoint",
    "streampca/estimators",
    "streampca/__init__.py",
    "streampca/files",
    "streampca/monitor",
    "streampca/records",
    "streampca/plots",
    "streampca/sklearn",
    "streampca/river",
    "streampca/serve",
    "streampca/cli",
    "streampca/__main__.py",
    "beam_pipelines/rows",
    "beam_pipelines/stores",
    "beam_pipelines/learning",
    "beam_pipelines/transforms.py",
    "beam_pipelines/sources",
    "beam_pipelines/scoring",
    "beam_pipelines/anomaly.py",
    "beam_pipelines/run",
    "beam_pipelines/beam_yaml",
    "beam_pipelines/*.py",
)
"""From the ground up: a wing imports only from those above it in this list."""


class Import(NamedTuple):
    """One import statement between two files of the packages."""

    importer: Path
    line: int
    module: str
    imported: Path


def sources() -> list[Path]:
    """All source files, relative to the root."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in files)


def wing(path: Path) -> str:
    """The wing of a file. Public names and programs of Beam on top of the others are one."""
    if path.parent == Path("beam_pipelines") and str(path) not in WINGS:
        return "beam_pipelines/*.py"
    return "/".join(path.parts[:2])


def imports() -> list[Import]:
    """Every import between source files, also inside functions and for types."""
    modules = {".".join(f.with_suffix("").parts).removesuffix(".__init__"): f for f in sources()}
    return [
        Import(path, line, module, modules[module])
        for path in sources()
        for line, module in imported(ast.parse((ROOT / path).read_text()), path, modules)
        if modules[module] != path
    ]


def imported(tree: ast.AST, path: Path, modules: Collection[str]) -> Iterator[tuple[int, str]]:
    """The line and the module of each import: a submodule where one is named, else its package."""
    known = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name in known)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names = {f"{module}.{a.name}" for a in node.names}
            yield from ((node.lineno, name) for name in sorted(names & known))
            if module in known and names - known:
                yield node.lineno, module


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """The module that is imported from, also where dots stand for the package."""
    package = path.parts[: len(path.parts) - node.level] if node.level else ()
    return ".".join([*package, *([node.module] if node.module else [])])


def between_wings() -> dict[str, set[str]]:
    """For each wing those that it imports."""
    graph: dict[str, set[str]] = {wing(path): set() for path in sources()}
    for each in imports():
        if wing(each.importer) != wing(each.imported):
            graph[wing(each.importer)].add(wing(each.imported))
    return graph


def between_files() -> dict[str, set[str]]:
    """For each file those that it imports."""
    graph: dict[str, set[str]] = {str(path): set() for path in sources()}
    for each in imports():
        graph[str(each.importer)].add(str(each.imported))
    return graph


def floors(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """How high each node stands: one above the highest that it needs.

    Raises
    ------
    ValueError
        Where nodes need each other in a circle.
    """
    heights: dict[str, int] = {}

    def height(node: str, on_the_way: tuple[str, ...]) -> int:
        if node in on_the_way:
            circle = (*on_the_way[on_the_way.index(node) :], node)
            raise ValueError("a circle: " + " -> ".join(circle))
        if node not in heights:
            below = (height(other, (*on_the_way, node)) for other in sorted(graph[node]))
            heights[node] = 1 + max(below, default=-1)
        return heights[node]

    for node in graph:
        height(node, ())
    return heights
