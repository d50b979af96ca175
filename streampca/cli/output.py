"""How things are said: tables for people, JSON for machines, one line on stderr for trouble."""

from __future__ import annotations

import json
import sys
from typing import Any

from streampca.checkpoint import plain, time_text
from streampca.cli.table import Table, printable

__all__ = ["Table", "as_json", "plain", "say", "text", "time_text", "warn"]


def text(line: str) -> None:
    """A line on stdout."""
    sys.stdout.write(line + "\n")


def say(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(printable(line) + "\n")


def warn(line: str) -> None:
    """A warning in one line on stderr."""
    say("warning: " + " ".join(line.split()))


def as_json(value: Any) -> None:
    """One JSON value on one line of stdout; numbers that are not finite become null."""
    everything = (sys.stdout.encoding or "ascii").lower().startswith("utf")
    text(json.dumps(plain(value), ensure_ascii=not everything))
