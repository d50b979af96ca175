"""How things are said: tables for people, JSON for machines, one line on stderr for trouble."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from streampca.checkpoint.describe import plain, time_text

__all__ = ["as_json", "console", "plain", "say", "show", "table", "text", "time_text", "warn"]


def console(*, stderr: bool = False) -> Console:
    """Where people read."""
    return Console(file=sys.stderr if stderr else sys.stdout, highlight=False)


class Titled(Table):
    """A table with a line above it, which may be longer than the table is wide."""

    heading: str | None = None


def show(made: Titled) -> None:
    """Print a table; in a pipe without the blanks that fill its lines up."""
    if made.heading is not None:
        text(made.heading)
    if sys.stdout.isatty():
        console().print(made)
        return
    held = io.StringIO()
    Console(file=held, width=10_000, highlight=False).print(made)
    text("\n".join(line.rstrip() for line in held.getvalue().rstrip("\n").split("\n")))


def table(title: str | None, left: Sequence[str], right: Sequence[str] = ()) -> Titled:
    """An empty table with columns set to the left and then to the right."""
    made = Titled(box=SIMPLE_HEAD, show_edge=False)
    made.heading = title
    for name in left:
        made.add_column(name, no_wrap=True)
    for name in right:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def text(line: str) -> None:
    """A line on stdout."""
    sys.stdout.write(line + "\n")


def say(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(line + "\n")


def warn(line: str) -> None:
    """A warning in one line on stderr."""
    say("warning: " + " ".join(str(line).split()))


def as_json(value: Any) -> None:
    """One JSON value on one line of stdout; numbers that are not finite become null."""
    text(json.dumps(plain(value), ensure_ascii=False))
