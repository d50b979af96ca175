"""Rows of a window reduced to moments, before they are shuffled.

Combiner lifting makes this parallel even for one hot key; order does not matter, and a retried
bundle cannot count a row twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder, Coder, IterableCoder

from beam_pipelines.learning.folding import Folding, described, enough
from beam_pipelines.learning.parameters import check
from beam_pipelines.rows import (
    MAGIC,
    Block,
    Names,
    PlacedSum,
    RowReader,
    is_moments,
    moments_from_wire,
    moments_to_bytes,
    names_of,
)
from streampca.moments import Moments, pays
from streampca.wire import decode


class Accumulator:
    """Moments, and the rows that wait to be folded into them; or the sum of a source's parts.

    To a runner it is an iterable of one piece of sealed bytes, which it becomes when it crosses
    workers: Beam's own coders carry it, on every runner and through every update.
    """

    __slots__ = ("_fn", "blocks", "data", "moments", "n_features", "n_waiting", "names", "placed")

    def __init__(self, fn: MomentsFn | None = None) -> None:
        self._fn = fn
        self.placed: PlacedSum | None = None
        self.moments: Moments | None = None
        self.names: Names = None
        self.n_features = 0  # 0: no row yet
        self.blocks: list[Any] = []
        self.n_waiting = 0
        self.data = b""  # moments that have crossed workers, and are still to be read

    def check(self, names: Names, n_features: int) -> None:
        """Raise if features differ from those seen before."""
        if not self.n_features:
            self.names, self.n_features = names, n_features
        elif self.n_features != n_features or names != self.names:
            known, new = described(self.names, self.n_features), described(names, n_features)
            raise ValueError(
                f"rows of one key have different features, {known} and {new}: give features=[...], "
                "or features=<how many> where rows have no names"
            )

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        assert self._fn is not None
        yield self._fn._to_bytes(self)


class MomentsFn(beam.CombineFn):
    """Rows -> moments, as the bytes that `coders.moments_from_bytes` reads.

    Parameters
    ----------
    features : sequence of str or int, optional
        Names of the features in the order of the model, or how many there are.
    **options
        Those of `StreamingPCA` that say what is remembered: `n_components`, `memory`,
        `oversample`, `center`, `dtype`, `device`.

    Examples
    --------
    >>> from beam_pipelines.rows.coders import moments_from_bytes
    >>> fn = MomentsFn(n_components=1)
    >>> accumulator = fn.create_accumulator()
    >>> for row in ({"oil": 3.0, "air": 7.0}, {"oil": 5.0, "air": 7.0}):
    ...     accumulator = fn.add_input(accumulator, row)
    >>> moments, names = moments_from_bytes(fn.extract_output(accumulator))
    >>> names, moments.mean
    (('air', 'oil'), array([7., 4.]))
    """

    def __init__(self, *, features: Sequence[str] | int | None = None, **options: Any) -> None:
        self._features = features
        self._options = options
        self._read = RowReader(features)
        self._folding = Folding(check(options))

    def create_accumulator(self) -> Accumulator:
        """Return an accumulator of no rows."""
        return Accumulator(self)

    def add_input(self, accumulator: Any, element: Any) -> Accumulator:
        """Add an element: one row, or many."""
        accumulator = self._opened(accumulator)
        block = Block.opened(element) or self._read(element)
        values = block.values
        accumulator.check(block.names, values.shape[1])
        if block.place is not None:
            if accumulator.placed is None:
                accumulator.placed = PlacedSum(self._folding.alone, enough)
            accumulator.placed.add(block.place, values)
            return accumulator
        self._wait(accumulator, [values])
        return accumulator

    def _wait(self, accumulator: Accumulator, blocks: list[Any]) -> None:
        accumulator.blocks += blocks
        accumulator.n_waiting += sum(map(len, blocks))
        if accumulator.n_waiting >= enough(accumulator.n_features):
            self._fold(accumulator)

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Accumulator:
        """Merge; the order does not matter, beyond rounding where rows have no places."""
        given = iter(accumulators)
        some = list(itertools.islice(given, 2))
        if len(some) == 1:  # which most keys with small windows are
            return self._alone(some[0])
        merged = Accumulator(self)
        for accumulator in map(self._opened, itertools.chain(some, given)):
            if not accumulator.n_features:
                continue
            merged.check(accumulator.names, accumulator.n_features)
            if self._takes_rows(accumulator) and not merged.moments:
                self._wait(merged, accumulator.blocks)
                continue
            self._fold(accumulator)
            if accumulator.placed is not None:
                if merged.placed is None:
                    merged.placed = accumulator.placed
                else:
                    merged.placed.merge(accumulator.placed)
            if accumulator.moments is None:
                continue
            if merged.moments is None:
                merged.moments = accumulator.moments
            else:
                merged.moments.merge(accumulator.moments)
        return merged

    def _alone(self, given: Any) -> Accumulator:
        """One accumulator; what has crossed workers is left as it is, apart from places."""
        if type(given) is not Accumulator:
            (data,) = given
            if data and (data.startswith(MAGIC) or is_moments(data)):
                found = Accumulator(self)
                found.data = data
                return found
        return self.compact(given)

    def compact(self, accumulator: Any) -> Accumulator:
        """Fold what waits, but for a few rows, before the accumulator is shuffled."""
        accumulator = self._opened(accumulator)
        if not self._takes_rows(accumulator):
            self._fold(accumulator)
            self._folding.tidy()
        return accumulator

    def extract_output(self, accumulator: Any) -> bytes:
        """Return the moments' bytes; no bytes if there was no row."""
        if type(accumulator) is Accumulator and accumulator.data and is_moments(accumulator.data):
            return accumulator.data
        accumulator = self._opened(accumulator)
        self._fold(accumulator)
        moments = accumulator.moments
        if accumulator.placed is not None:
            total = accumulator.placed.total()
            if moments is not None:
                total.merge(moments)
            moments = total
        return b"" if moments is None else moments_to_bytes(moments, accumulator.names)

    def get_accumulator_coder(self) -> Coder:
        """Beam's own, for sealed bytes: see `Accumulator`."""
        return IterableCoder(BytesCoder())

    def _to_bytes(self, accumulator: Accumulator) -> bytes:
        """Return an accumulator as sealed bytes; an empty one is no bytes."""
        if accumulator.data:
            return accumulator.data
        if self._takes_rows(accumulator):
            return _block_of(accumulator).to_bytes()
        if accumulator.placed is None:
            return MomentsFn.extract_output(self, accumulator)
        if accumulator.moments is not None or accumulator.blocks:
            raise ValueError("rows of one key come from files and from elsewhere: use one source")
        return accumulator.placed.to_bytes(accumulator.names)

    def _opened(self, accumulator: Any) -> Accumulator:
        """Return an accumulator, also where it has crossed workers.

        Raises
        ------
        WireError
            If its bytes are torn, foreign or from a newer version.
        """
        if type(accumulator) is Accumulator and not accumulator.data:
            return accumulator
        found = Accumulator(self)
        (data,) = (accumulator.data,) if type(accumulator) is Accumulator else accumulator
        if not data:
            return found
        if data.startswith(MAGIC):
            block = Block.from_bytes(data)
            found.check(block.names, block.values.shape[1])
            self._wait(found, [block.values])
            return found
        wire = decode(data)
        if wire.kind == PlacedSum.KIND:
            found.placed = PlacedSum.from_wire(wire, self._folding.alone, enough)
            found.names, found.n_features = names_of(wire), found.placed.n_features
            return found
        found.moments, found.names = moments_from_wire(wire)
        found.n_features = found.moments.n_features
        return found

    def _fold(self, accumulator: Accumulator) -> None:
        if accumulator.blocks:
            accumulator.moments = self._folding(accumulator.moments, accumulator.blocks)
            accumulator.blocks, accumulator.n_waiting = [], 0

    def _takes_rows(self, accumulator: Accumulator) -> bool:
        """Whether all that there is are rows, and so few that they are smaller than moments."""
        return (
            accumulator.moments is None
            and accumulator.placed is None
            and accumulator.n_waiting > 0
            and pays(accumulator.n_waiting, accumulator.n_features)
        )


class RowsOrMomentsFn(MomentsFn):
    """The same, but a few rows come out as the bytes of a `Block`: windows may have six.

    Making moments of them, and writing and reading these, takes ten times as long.
    """

    def extract_output(self, accumulator: Any) -> bytes:
        if type(accumulator) is Accumulator and accumulator.data:
            return accumulator.data
        accumulator = self._opened(accumulator)
        if accumulator.placed is not None and not (accumulator.moments or accumulator.blocks):
            rows = accumulator.placed.rows()
            if rows is not None and pays(len(rows), accumulator.n_features):
                return Block(accumulator.names, rows).to_bytes()
        if self._takes_rows(accumulator):
            return _block_of(accumulator).to_bytes()
        return super().extract_output(accumulator)


def _block_of(accumulator: Accumulator) -> Block:
    """The rows that wait as one block."""
    blocks = accumulator.blocks
    return Block(accumulator.names, blocks[0] if len(blocks) == 1 else np.concatenate(blocks))
