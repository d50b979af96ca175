"""Tables: in a pipe what rich draws, a hundred times faster; on a terminal what fits."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from streampca.cli.table import Table, printable, width

SHOWN = st.text(
    st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=12
).filter(lambda text: text.isprintable() and text == text.strip())


@given(
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(st.lists(SHOWN, min_size=7, max_size=7), min_size=1, max_size=6),
)
def test_a_pipe_gets_what_rich_draws(n_left, n_right, cells):
    names, *rows = [row[: n_left + n_right] for row in cells]
    table = Table(None, names[:n_left], names[n_left:])
    drawn = RichTable(box=SIMPLE_HEAD, show_edge=False)
    for i, name in enumerate(names):
        drawn.add_column(Text(name), justify="left" if i < n_left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
        drawn.add_row(*map(Text, row))
    written = io.StringIO()
    Console(file=written, width=10_000).print(drawn)
    lines = written.getvalue().split("\n")[:-1]
    assert table.text() == "\n".join(line.rstrip() for line in lines)


def test_what_reads_like_markup_is_text():
    table = Table("[b]heading", ["[red]name"])
    table.add_row("[link=x]oil[/]")
    assert table.text().split("\n")[0::3] == ["[b]heading", " [link=x]oil[/]"]


@given(st.lists(st.text(max_size=20), min_size=3, max_size=3), st.integers(20, 200))
def test_every_row_is_one_line_of_signs_that_move_no_cursor(cells, most):
    table = Table(cells[0], ["a", "b"], ["c"])
    table.add_row(*cells)
    for text in (table.text(), table.text(most)):
        lines = text.split("\n")
        assert len(lines) == 4
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", "".join(lines))


def test_letters_of_all_scripts_stay():
    for text in ("Öl °C", "圧力", "فشار‌سنج", "1\u202f000\u00a0kPa", "👩‍🔬"):
        assert printable(text) == text


@given(
    st.lists(SHOWN, min_size=1, max_size=3),
    st.lists(st.integers(-(10**9), 10**9), max_size=20),
    st.integers(40, 160),
)
def test_a_terminal_gets_lines_that_fit_and_numbers_that_are_complete(names, numbers, most):
    left = [f"name {i}" for i in range(len(names))]
    table = Table(None, left, [f"c{i}" for i in range(len(numbers))])
    table.add_row(*(name * 9 for name in names), *map(str, numbers))
    text = table.text(most)
    least = 15 * len(names) + 2 * 13 + 4  # names of 12 cells, two numbers, the sign between
    if most >= least:
        assert all(width(line) <= most for line in text.split("\n")[:3])
    cells = text.split("\n")[2][1:].split("   ")
    right = [cell for cell in map(str.strip, cells) if re.fullmatch(r"-?\d+|…", cell)]
    hidden = re.search(r"\((\d+) columns? (?:is|are) left out", text)
    if hidden is None:
        assert right[len(right) - len(numbers) :] == list(map(str, numbers))
        return
    first = len(numbers) - int(hidden[1]) - 1
    expected = [*map(str, numbers[:first]), "…", str(numbers[-1])]
    assert right[len(right) - len(expected) :] == expected


@pytest.mark.skipif(not hasattr(pty, "openpty"), reason="needs a terminal of Unix")
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_itself(tmp_path, variables):
    program = (
        "from streampca.cli.table import Table\n"
        "table = Table('Heading', ['name'], [f'share {i}' for i in range(9)])\n"
        "table.add_row('oil ' * 9, *(f'{i / 9:.1%}' for i in range(9)))\n"
        "table.show()\n"
    )
    ours, theirs = pty.openpty()
    given = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    given |= {"COLUMNS": "60", "TERM": "xterm"} | variables
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=given, check=True)
    os.close(theirs)
    text = b""
    try:
        while more := os.read(ours, 4096):
            text += more
    except OSError:  # its other end is closed
        pass
    os.close(ours)
    lines = text.decode().replace("\r", "").split("\n")
    heading, names, rule, row, said, end = lines
    assert (heading, end, set(rule)) == ("Heading", "", {"─"})
    colours = re.findall(r"\x1b\[[\d;]*m", names)
    assert all(colour in ("\x1b[1m", "\x1b[0m") for colour in colours)
    assert bool(colours) == (variables.get("TERM") != "dumb")
    assert "88.9%" in row
    assert "…" in row
    assert max(map(len, (rule, row))) <= 60
    assert "columns are left out" in said
