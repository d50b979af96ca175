"""The picture of the wings: ``make house`` draws docs/images/house.svg from the imports.

Each wing stands one floor above the highest that it imports. An arrow that a longer way replaces
is left out. Arrows over several floors are led between the boxes of the floors on their way.
"""

from __future__ import annotations

from itertools import pairwise

import house

PICTURE = house.ROOT / "docs" / "images" / "house.svg"

WIDTH, STEP, BOX, MARGIN = 980, 62, 26, 24
COLOURS = {"streampca": "#e3edf9", "beam_pipelines": "#fbe9d3"}
TITLE = (
    "Wings of streampca (blue) and of beam_pipelines (orange). Arrows point to what is imported."
)

TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a8a8a"/></marker></defs>'
)

Graph = dict[str, set[str]]
Places = dict[str, tuple[float, float]]


def direct(graph: Graph) -> Graph:
    """Only the arrows that no longer way replaces."""
    reached: Graph = {}
    for node in sorted(graph, key=house.floors(graph).__getitem__):
        reached[node] = graph[node].union(*(reached[other] for other in graph[node]))
    return {
        node: {o for o in others if not any(o in reached[p] for p in others)}
        for node, others in graph.items()
    }


def ways(graph: Graph, floor: dict[str, int]) -> list[list[str]]:
    """Each arrow as its nodes, with a point of its own on every floor that it passes."""
    return [
        [node, *(f"{node}>{other}>{f}" for f in range(floor[node] - 1, floor[other], -1)), other]
        for node, others in sorted(graph.items())
        for other in sorted(others)
    ]


def arranged(floor: dict[str, int], ways: list[list[str]]) -> list[list[str]]:
    """The nodes and points of each floor from left to right: near those that they are joined to."""
    joined: Graph = {node: set() for node in floor}
    height = dict(floor)
    for way in ways:
        for i, (a, b) in enumerate(pairwise(way)):
            height.setdefault(b, floor[way[0]] - i - 1)
            joined.setdefault(a, set()).add(b)
            joined.setdefault(b, set()).add(a)
    rows = [sorted(n for n in height if height[n] == f) for f in range(max(height.values()) + 1)]
    for sweep in range(24):
        down = sweep % 2 == 1
        for f in range(len(rows) - 2, -1, -1) if down else range(1, len(rows)):
            nearby = rows[f + 1] if down else rows[f - 1]
            at = {node: (i + 0.5) / len(nearby) for i, node in enumerate(nearby)}
            own = {node: (i + 0.5) / len(rows[f]) for i, node in enumerate(rows[f])}

            def middle(node: str, at: dict[str, float] = at, own: dict[str, float] = own) -> float:
                ends = [at[other] for other in sorted(joined[node]) if other in at]
                return sum(ends) / len(ends) if ends else own[node]

            rows[f] = sorted(rows[f], key=lambda node: (middle(node), node))
    return rows


def label(node: str) -> str:
    """What stands in the box of a wing."""
    name = node.partition("/")[2]
    return node if name in ("__init__.py", "*.py") else name


def width(node: str) -> float:
    """The width of a box; a point where an arrow passes takes little."""
    return 20 if ">" in node else 7.2 * len(label(node)) + 20


def placed(rows: list[list[str]]) -> Places:
    """The middle of each box, the ground at the bottom: what is left of the width is shared out."""
    places: Places = {}
    for floor, nodes in enumerate(rows):
        gap = (WIDTH - 2 * MARGIN - sum(map(width, nodes))) / (len(nodes) + 1)
        x = MARGIN + gap
        for node in nodes:
            places[node] = (x + width(node) / 2, (len(rows) - 1 - floor) * STEP + 3 * MARGIN)
            x += width(node) + gap
    return places


def line(way: list[str], places: Places) -> str:
    """An arrow, curved between floors and straight along those that it passes."""
    x, y = places[way[0]]
    path = f"M{x:.0f} {y + BOX / 2:.0f}"
    for node in way[1:]:
        u, v = places[node]
        start, end = y + BOX / 2, v - BOX / 2
        bend = (end - start) / 2
        path += f" C{x:.0f} {start + bend:.0f} {u:.0f} {end - bend:.0f} {u:.0f} {end:.0f}"
        if ">" in node:
            path += f" L{u:.0f} {v + BOX / 2:.0f}"
        x, y = u, v
    return f'<path d="{path}" fill="none" stroke="#8a8a8a" marker-end="url(#tip)"/>'


def box(node: str, x: float, y: float) -> str:
    """A wing, in the colour of its package."""
    fill = COLOURS[node.partition("/")[0]]
    return (
        f'<rect x="{x - width(node) / 2:.0f}" y="{y - BOX / 2:.0f}" width="{width(node):.0f}" '
        f'height="{BOX}" rx="4" fill="{fill}" stroke="#444"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}">{label(node)}</text>'
    )


def draw() -> str:
    """The picture as SVG."""
    graph = direct(house.between_wings())
    floor = house.floors(graph)
    arrows = ways(graph, floor)
    places = placed(arranged(floor, arrows))
    height = max(y for _, y in places.values()) + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            'font-family="sans-serif" font-size="13" text-anchor="middle">',
            TIP,
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
            f'<text x="{WIDTH / 2:.0f}" y="{MARGIN}">{TITLE}</text>',
            *(line(way, places) for way in arrows),
            *(box(node, *places[node]) for node in sorted(floor)),
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
