"""How far a command is: rows, rows a second, time left; only where somebody can see it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streampca.files import Source


@contextmanager
def watching(sources: Sequence[Source], *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function that takes the rows and the bytes read, and shows them on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda rows, bytes_: None
        return
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    bar = Progress(
        TextColumn("{task.fields[rows]} rows"),
        BarColumn(),
        TextColumn("{task.fields[speed]} rows/s"),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr, highlight=False),
    )
    started = time.monotonic()
    with bar:
        task = bar.add_task("rows", total=total, rows="0", speed="-")

        def watch(rows: int, done: int) -> None:
            seconds = max(time.monotonic() - started, 1e-3)
            bar.update(task, completed=done, rows=f"{rows:,}", speed=f"{rows / seconds:,.0f}")

        yield watch


class Course:
    """Counts rows and bytes over all sources, for `watching`."""

    def __init__(self, watch: Callable[[int, int], None]) -> None:
        self._watch = watch
        self._n_rows = self._behind = 0  # of the sources before

    def of(self, source: Source, chunks: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """The chunks of a source, rows and what goes with them, as they are."""
        for rows, more in chunks:
            yield rows, more
            self._n_rows += len(rows.values)
            self._watch(self._n_rows, self._behind + rows.done)
        self._behind += source.size_read or 0
