"""The tables of docs/performance.md, from the CSV file: regions between marks are replaced.

A region begins with <!-- begin NAME --> and ends with <!-- end NAME -->; all else on the page is
written by hand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers.methods import limit_of
from benchmarks.peers.results import Figure

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def render(figures: Sequence[Figure], source: str, page: Path = PAGE) -> None:
    """Replace every region of the page.

    Raises
    ------
    ValueError
        If the page lacks the marks of a region.
    """
    text = page.read_text()
    for name, make in TABLES.items():
        marks = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        if not re.search(marks, text, re.DOTALL):
            raise ValueError(
                f"{page} has no region {name!r}: add <!-- begin {name} --> and its end"
            )
        table = f"\n{make(figures, source)}\n\n"
        text = re.sub(marks, lambda m, t=table: m[1] + t + m[2], text, flags=re.DOTALL)
    page.write_text(text)


def _markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    align = ["---", *["---:"] * (len(titles) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [titles, align, *rows])


def by_data(figures: Sequence[Figure], part: str) -> dict[str, list[Figure]]:
    """Figures of a part, by what they were measured on."""
    groups: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.part == part:
            groups.setdefault(figure.data, []).append(figure)
    return groups


def by_method(figures: Sequence[Figure]) -> dict[str, dict[str, Figure]]:
    found: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        found.setdefault(figure.method, {})[figure.measure] = figure
    return found


def best_of_oja(
    methods: dict[str, dict[str, Figure]], measure: str
) -> dict[str, dict[str, Figure]]:
    """Of the rates of Oja's rule only the best one: more than a user of a stream could know."""
    rates = [name for name in methods if name.startswith("Oja")]
    if not rates:
        return methods
    best = min(rates, key=lambda name: methods[name][measure].value)
    kept = {k: v for k, v in methods.items() if k not in rates or k == best}
    return {
        k.replace("Oja,", "Oja, best of 3:") if len(rates) > 1 else k: v for k, v in kept.items()
    }


def small(value: float) -> str:
    """An error in two digits; what is rounding is called so."""
    if not math.isfinite(value):
        return "-"
    return "< 1e-14" if value < 1e-14 else f"{value:.1e}"


def speed(figures: Sequence[Figure], _: str) -> str:
    tables = []
    for data, group in by_data(figures, "speed").items():
        methods = best_of_oja(by_method(group), "excess")
        base = methods.get("scikit-learn IncrementalPCA", {}).get("rows/s")
        rows = []
        for name, of in methods.items():
            rate = of["rows/s"]
            if not math.isfinite(rate.value):
                rows.append([name, "-", "-", "-", "-", "-", "-", rate.note])
                continue
            ratio = f"{rate.value / base.value:.1f}" if base else "-"
            spread = f"{rate.low:,.0f} to {rate.high:,.0f}" if rate.high > 0 else "-"
            cells = [f"**{name}**" if name.startswith("streampca") else name, f"{rate.value:,.0f}"]
            if "excess" not in of:
                rows.append([*cells, spread, ratio, "-", "-", "1.0", rate.note])
                continue
            limit = of[f"times {limit_of(name)}"].value
            accuracy = [small(of["excess"].value), f"{of['ordered'].value:.0%}"]
            rows.append([*cells, spread, ratio, *accuracy, f"{limit:.1f}", rate.note])
        titles = ["", "rows/s", "slowest to fastest", "ratio", "excess", "ordered", "limits", ""]
        first = group[0]
        head = (
            f"**{data}**: {first.rows:,} rows of {first.n:,} features in minibatches of {first.m:,}"
        )
        tables.append(f"{head}\n\n{_markdown(titles, rows)}")
    return "\n\n".join(tables)


def efficiency(figures: Sequence[Figure], _: str) -> str:
    groups = by_data(figures, "efficiency")
    tables = []
    for measure, said in (
        ("R_ex", "R_ex, mean over streams (lowest to highest)"),
        ("directions", "Ratio of squared sines, median direction (best to worst direction)"),
    ):
        names = list(by_method([f for g in groups.values() for f in g]))
        rows = []
        for name in names:
            cells = []
            for group in groups.values():
                found = by_method(group).get(name, {}).get(measure)
                cells.append(
                    ""
                    if found is None
                    else f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"
                )
            if any(cells):
                rows.append([name, *cells])
        tables.append(f"{said}\n\n{_markdown(['', *groups], rows)}")
    checks = [f for group in groups.values() for f in group if f.measure == "excess over formula"]
    told = ", ".join(f"{f.data}: {f.value:.3f}" for f in checks)
    return "\n\n".join([*tables, f"Batch PCA's excess over the closed form's, {told}."])


def change(figures: Sequence[Figure], _: str) -> str:
    (group,) = by_data(figures, "change").values()
    seen = sorted({figure.rows for figure in group})
    rows = []
    for name, of in by_method(group).items():
        by_rows = {figure.rows: figure for figure in of.values()}
        rows.append([name, *[f"{by_rows[k].value:.1f}" for k in seen]])
    return _markdown(["rows after the change", *[f"{k:,}" for k in seen]], rows)


def shards(figures: Sequence[Figure], _: str) -> str:
    rows = []
    for data, group in by_data(figures, "shards").items():
        for figure in group:
            value = small(figure.value) if "excess" in figure.measure else f"{figure.value:.4f}"
            spread = "" if math.isnan(figure.low) else f"{figure.low:.4f} to {figure.high:.4f}"
            rows.append([f"{data}, {figure.method}", figure.measure, value, spread])
    return _markdown(["", "", "", "over streams"], rows)


def profile(figures: Sequence[Figure], _: str) -> str:
    from benchmarks.peers.profile import KINDS

    rows = []
    for data, group in by_data(figures, "profile").items():
        for name, of in by_method(group).items():
            rate = of["rows/s"]
            if "products" not in of:
                rows.append([f"{data}, {name}", rate.note, *["-"] * (len(KINDS) + 1)])
                continue
            cells = [f"{of[kind].value:.0%}" for kind in KINDS]
            note = f" ({rate.note})" if rate.note else ""
            cost = f"{of['overhead'].value:.0%}"
            rows.append([f"{data}, {name}{note}", f"{rate.value:,.0f}", *cells, cost])
    return _markdown(["", "rows/s", *KINDS, "cost of watching"], rows)


def machine(figures: Sequence[Figure], source: str) -> str:
    (figure,) = (figure for figure in figures if figure.part == "machine")
    return f"Measured on {source[6:16]}: {figure.note}. All figures: `benchmarks/results/{source}`."


TABLES = {
    "machine": machine,
    "speed": speed,
    "efficiency": efficiency,
    "change": change,
    "shards": shards,
    "profile": profile,
}
