"""The wings of the source tree and the imports between them, read from the files; their picture.

``make house`` draws docs/images/house.svg. A wing is a folder directly below a package, or a single
file there. Imports for types and inside functions count: who names a type depends on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "house.svg"
PACKAGES = ("streampca", "beam_pipelines")

WINGS = (
    "streampca/exceptions.py",
    "streampca/loss.py",
    "streampca/arrays",
    "streampca/metrics.py",
    "streampca/wire",
    "streampca/rows",
    "streampca/moments",
    "streampca/solvers",
    "streampca/learning",
    "streampca/checkpoint",
    "streampca/fitted.py",
    "streampca/layer.py",
    "streampca/estimator.py",
    "streampca/regression.py",
    "streampca/given.py",
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
)
"""From the ground up: a wing imports only from those above it in this list. The files at the root
of beam_pipelines stand on all of them, and import each other without a circle."""


class Import(NamedTuple):
    """One import statement between two files of the packages."""

    importer: Path
    line: int
    module: str
    imported: Path


def sources() -> list[Path]:
    """All source files, relative to the root."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


def wing(path: Path) -> str:
    """The wing that a file belongs to."""
    return "/".join(path.parts[:2])


def imports() -> list[Import]:
    """Every import between source files, also inside functions and for types."""
    modules = {".".join(f.with_suffix("").parts).removesuffix(".__init__"): f for f in sources()}
    return [
        Import(path, line, module, modules[module])
        for path in sources()
        for line, module in _imported(ast.parse((ROOT / path).read_text()), modules)
        if modules[module] != path
    ]


def _imported(tree: ast.AST, modules: dict[str, Path]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            inner = {f"{node.module}.{a.name}" for a in node.names}
            of_modules = inner & modules.keys()
            yield from ((node.lineno, name) for name in of_modules)
            if inner - of_modules:
                yield node.lineno, node.module


def between_wings() -> dict[str, set[str]]:
    """For each wing those that it imports."""
    graph: dict[str, set[str]] = {wing(path): set() for path in sources()}
    for each in imports():
        if wing(each.importer) != wing(each.imported):
            graph[wing(each.importer)].add(wing(each.imported))
    return graph


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """How high each node stands: one above the highest that it needs.

    Raises
    ------
    ValueError
        Where nodes need each other in a circle.
    """
    heights: dict[str, int] = {}

    def height(node: str, on_the_way: tuple[str, ...]) -> int:
        if node in on_the_way:
            raise ValueError("a circle: " + " -> ".join((*on_the_way, node)))
        if node not in heights:
            below = (height(other, (*on_the_way, node)) for other in graph[node])
            heights[node] = 1 + max(below, default=-1)
        return heights[node]

    for node in graph:
        height(node, ())
    return heights


def _direct(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Only the arrows that no longer way replaces."""

    def reached(node: str) -> set[str]:
        return graph[node].union(*(reached(other) for other in graph[node]))

    return {
        node: {o for o in others if not any(o in reached(p) for p in others if p != o)}
        for node, others in graph.items()
    }


def draw() -> str:
    """The wings as an SVG picture, each on its floor.

    Arrows that a longer way replaces are left out.
    """
    graph = between_wings()
    heights = floors(graph)
    rows: dict[int, list[str]] = {}
    for node in sorted(graph):
        rows.setdefault(heights[node], []).append(node)
    width, box, step = 1180, 24, 66
    top = max(rows)
    place: dict[str, tuple[float, float]] = {}
    for floor, nodes in rows.items():
        for i, node in enumerate(nodes):
            place[node] = ((i + 0.5) * width / len(nodes), (top - floor) * step + 30)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top * step + 60}" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        f'<rect width="{width}" height="{top * step + 60}" fill="white"/>',
    ]
    for node, others in sorted(_direct(graph).items()):
        (x, y) = place[node]
        for other in sorted(others):
            (u, v) = place[other]
            parts.append(
                f'<path d="M{x:.0f} {y + box / 2:.0f} C{x:.0f} {y + step / 2:.0f} {u:.0f} '
                f'{v - step / 2:.0f} {u:.0f} {v - box / 2:.0f}" fill="none" stroke="#9a9a9a"/>'
            )
    for node, (x, y) in sorted(place.items()):
        package, _, name = node.partition("/")
        fill = "#e8f0fa" if package == "streampca" else "#fbeedd"
        size = 7.4 * len(name) + 14
        parts.append(
            f'<rect x="{x - size / 2:.0f}" y="{y - box / 2:.0f}" width="{size:.0f}" height="{box}" '
            f'rx="4" fill="{fill}" stroke="#444"/><text x="{x:.0f}" y="{y + 5:.0f}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw())
