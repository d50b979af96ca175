"""What waits for the end of its window: moments, or rows where their order matters.

These steps stand between the windows of the input, where Beam groups rows by key, and the one
stateful DoFn per key in the global window.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder, TupleCoder, VarIntCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.window import WindowFn
from apache_beam.utils.windowed_value import PaneInfoTiming

from beam_pipelines.learning.combine import Accumulator
from beam_pipelines.rows import BLOCKS, Block, Span, covering, n_samples_of, without_shard

KEPT, ON_TIME = 1, 2


class Pending(NamedTuple):
    """Rows of one window, or nothing where a window only has to report the running model."""

    last: int  # last instant of the window, microseconds
    start: int  # of the window
    size: int  # of the window; 0 for the global one
    kept: int  # KEPT: has been in a checkpoint, and is kept for rows that come late.
    # ON_TIME: came before its window was closed, and has been learned once that has been.
    # 0: came late, or to an older streampca, and is there until it is learned.
    order: int  # of parts with rows in them, by event time
    data: bytes  # moments, a block of rows, or nothing

    @property
    def window(self) -> tuple[int, int, int]:
        """Which window this belongs to."""
        return self[:3]

    @property
    def span(self) -> Span:
        """The window in the terms of a checkpoint."""
        return Span(self.start + self.size, self.start) if self.size else Span(None, None)

    def waits(self, closed: int | None) -> bool:
        """Whether it is still to be learned, where `closed` is the newest instant closed."""
        return self.kept == 0 or (self.kept == ON_TIME and (closed is None or self.last > closed))

    def within(self, other: Pending) -> bool:
        """Whether this window is the other's, or a session that has become part of it."""
        if not self.size or not other.size:
            return self.window == other.window
        return other.start <= self.start and self.last <= other.last


class Entries(NamedTuple):
    """What a bag of a key has that counts."""

    waiting: list[Pending]
    """To be learned, in order."""
    kept: list[Pending]
    stored: int
    """How many there are in the bag, with those that have been learned."""

    @classmethod
    def read(cls, bag: Any, closed: int | None) -> Entries:
        """Read all of a bag; `closed` is the newest instant that has been closed."""
        found = [Pending(*entry) for entry in bag.read()]
        waiting = sorted(entry for entry in found if entry.waits(closed))
        return cls(waiting, sorted(entry for entry in found if entry.kept == KEPT), len(found))

    def due(self, now: int) -> list[Pending]:
        """What is to be learned of windows that have ended by now."""
        return self.waiting[: bisect.bisect_right(self.waiting, now, key=_last)]

    def without(self, learned: list[Pending], kept: list[Pending], bag: Any) -> Entries:
        """The rest, once the first of what waits has been learned; the bag is written if need be.

        Not each time: a key with thousands of windows would have all of them written for each.
        What came on time and has been learned is known by its window.
        """
        waiting, kept = self.waiting[len(learned) :], sorted(kept)
        left = self._replace(waiting=waiting, kept=kept)
        n_left = len(waiting) + len(kept)
        on_time = all(entry.kept == ON_TIME for entry in learned)
        if on_time and kept == self.kept and self.stored < 2 * n_left:
            return left
        bag.clear()
        for entry in (*waiting, *kept):
            bag.add(tuple(entry))
        return left._replace(stored=n_left)


def _last(entry: Pending) -> int:
    return entry.last


PENDING_CODER = TupleCoder([VarIntCoder()] * 5 + [BytesCoder()])

Arrived = tuple[bool, tuple[int, int, int, int, int, bytes]]
"""Whether it comes from an early pane, whose window is to be reported at once; a Pending."""


class TagWindow(beam.DoFn):
    """(key text, moments) of a slot -> (key text, Arrived) of the windows that it belongs to."""

    def __init__(self, windowfn: WindowFn, carry: bool) -> None:
        self._windowfn = windowfn
        self._carry = carry
        self._learned = Metrics.counter("streampca", "learned_rows")

    def process(
        self,
        element: tuple[str, Any],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[tuple[str, Arrived]]:
        text, grouped = element
        # Prism gives merged windows a pane that has never been filled in: EARLY, of index -1. It is
        # the only one of its window, and taken at its word it would close the window twice.
        early = pane.timing == PaneInfoTiming.EARLY and pane.index >= 0
        slot = Span.of(window)
        spans = covering(slot, self._windowfn) if self._carry else [slot]
        for order, data in self._parts(grouped):
            for i, span in enumerate(spans):
                size = 0 if span.end is None else span.end - (span.start or 0)
                part = (span.last, span.start or 0, size, 0, order, b"" if i else data)
                yield without_shard(text), (early and i == 0, part)

    def _parts(self, grouped: Any) -> Iterator[tuple[int, bytes]]:
        if grouped:
            self._learned.inc(n_samples_of(grouped))
        yield 0, grouped


class TagRows(TagWindow):
    """The same for rows with times, grouped by key: they become blocks in event-time order."""

    _MOST = 4096
    """Rows in a block: small against what a worker may send at once, large against its header."""

    def _parts(self, grouped: Iterable[Any]) -> Iterator[tuple[int, bytes]]:
        # Rows of one time are ordered by what they hold: runners deliver them in any order.
        rows = sorted(map(_opened, grouped), key=lambda block: (block.micros, _bytes(block)))
        seen = Accumulator()
        for block in rows:
            seen.check(block.names, block.values.shape[1])
        values = np.concatenate([block.values for block in rows])
        self._learned.inc(len(values))
        for start in range(0, len(values), self._MOST):
            part = Block(seen.names, values[start : start + self._MOST])
            yield (rows[0].micros or 0) + start, part.to_bytes()


def _opened(element: Any) -> Block:
    block = Block.opened(element)
    assert block is not None
    return block


def _bytes(block: Block) -> bytes:
    return block.values.tobytes()


class Grouped(beam.PTransform):
    """The rows of a key and window together, by steps of the names that CombinePerKey has.

    So no step has another name, or other coders, because an option asks for rows in order.
    """

    def expand(self, blocks: Any) -> Any:
        """Build the steps."""
        return blocks | beam.GroupByKey() | "Combine" >> _AsTheyAre()


class _AsTheyAre(beam.PTransform):
    def expand(self, grouped: Any) -> Any:
        rows = tuple[str, Iterable[BLOCKS]]
        return grouped | "ParDo(CombineValuesDoFn)" >> beam.Map(_same).with_output_types(rows)


def _same(element: Any) -> Any:
    return element
