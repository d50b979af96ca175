"""Rows of a window reduced to moments, before they are shuffled.

Combiner lifting makes this parallel even for one hot key; order does not matter, and a retried
bundle cannot count a row twice.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder, Coder, IterableCoder

from beam_pipelines.learning.parameters import check
from beam_pipelines.rows import (
    Block,
    Names,
    PlacedSum,
    RowReader,
    is_moments,
    moments_from_wire,
    moments_to_bytes,
    names_of,
)
from streampca.arrays import one_thread
from streampca.learning import resolve_parameters
from streampca.moments import Moments, make_moments
from streampca.rows import Minibatch
from streampca.wire import decode

_FEWEST, _MOST = 128, 512
"""Rows that wait before they become one product, twice the number of features within these bounds:
a product of so many costs a row a tenth of what single rows do, and thousands of keys, each with
its rows that wait, still fit into memory."""


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
        self._parameters = check(options)
        self._read = RowReader(features)
        self._chosen: dict[int, tuple[str, int | None]] = {}
        self._spare: list[Any] = []  # scratch memory, while rows come in

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
                accumulator.placed = PlacedSum(self._moments_of, _few)
            accumulator.placed.add(block.place, values)
            return accumulator
        accumulator.blocks.append(values)
        accumulator.n_waiting += len(values)
        if accumulator.n_waiting >= _few(values.shape[1]):
            self._fold(accumulator)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Accumulator:
        """Merge; the order does not matter, beyond rounding where rows have no places."""
        given = iter(accumulators)
        some = list(itertools.islice(given, 2))
        if len(some) == 1:  # which most keys with small windows are
            return self._alone(some[0])
        merged = Accumulator(self)
        for accumulator in map(self._opened, itertools.chain(some, given)):
            self._fold(accumulator)
            if not accumulator.n_features:
                continue
            merged.check(accumulator.names, accumulator.n_features)
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
        """One accumulator; moments that have crossed workers are left as they are."""
        if type(given) is not Accumulator:
            (data,) = given
            if data and is_moments(data):
                found = Accumulator(self)
                found.data = data
                return found
        accumulator = self._opened(given)
        self._fold(accumulator)
        return accumulator

    def compact(self, accumulator: Any) -> Accumulator:
        """Fold what waits, before the accumulator is shuffled."""
        accumulator = self._opened(accumulator)
        self._fold(accumulator)
        self._spare.clear()
        return accumulator

    def extract_output(self, accumulator: Any) -> bytes:
        """Return the moments' bytes; no bytes if there was no row."""
        if type(accumulator) is Accumulator and accumulator.data:
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
        if accumulator.placed is None:
            return self.extract_output(accumulator)
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
        wire = decode(data)
        if wire.kind == PlacedSum.KIND:
            found.placed = PlacedSum.from_wire(wire, self._moments_of, _few)
            found.names, found.n_features = names_of(wire), found.placed.n_features
            return found
        found.moments, found.names = moments_from_wire(wire)
        found.n_features = found.moments.n_features
        return found

    def _fold(self, accumulator: Accumulator) -> None:
        if accumulator.blocks:
            accumulator.moments = self._folded(accumulator.moments, accumulator.blocks)
            accumulator.blocks, accumulator.n_waiting = [], 0

    def _empty(self, n_features: int, dtype: str) -> Moments:
        # chosen once, since choosing takes as long as adding up a few rows
        if n_features not in self._chosen:
            self._chosen[n_features] = _choice(self._parameters, n_features)
        return _made(self._parameters, self._chosen[n_features], n_features, dtype)

    def _moments_of(self, rows: list[Any]) -> Moments:
        return self._folded(None, rows)

    def _folded(self, moments: Moments | None, blocks: list[Any]) -> Moments:
        """Moments with rows added to them."""
        X = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if moments is None:
            moments = self._empty(X.shape[1], X.dtype.name)
        # Scratch memory goes from one accumulator to the next: with many keys and open windows it
        # would take far more than the moments do. pop is atomic: threads may share this object.
        with contextlib.suppress(IndexError):
            moments.give_scratch(self._spare.pop())
        # Workers share a machine. Beside others, two threads were seen to take 4 times as long for
        # 256 rows of 100 features as one, and up to 40 times where all cores were busy.
        with one_thread():
            for start in range(0, len(X), 4 * _MOST):  # sums of float32 products stay short
                moments.update(Minibatch(X[start : start + 4 * _MOST]))
        scratch = moments.take_scratch()
        if scratch is not None:
            self._spare.append(scratch)
        return moments


def _few(n_features: int) -> int:
    """How many rows wait before they become one product."""
    return min(max(_FEWEST, 2 * n_features), _MOST)


def empty_moments(parameters: dict[str, Any], n_features: int, dtype: str) -> Moments:
    """Empty moments of the kind that every part of a pipeline keeps, so that they merge.

    Where memory is open, dense is chosen beyond 1,024 features only where it is not slower: each
    key, window and pane has its own, and each is written to state and shuffled.
    """
    return _made(parameters, _choice(parameters, n_features), n_features, dtype)


def _choice(parameters: dict[str, Any], n_features: int) -> tuple[str, int | None]:
    chosen = resolve_parameters(parameters, n_features, slower=1.0)
    return chosen.memory, chosen.n_directions


def _made(
    parameters: dict[str, Any], choice: tuple[str, int | None], n_features: int, dtype: str
) -> Moments:
    memory, n_directions = choice
    return make_moments(
        memory,
        n_features,
        n_directions=n_directions,
        center=parameters["center"],
        dtype=parameters["dtype"] or dtype,
        device=parameters["device"],
    )


def described(names: Names, n_features: int) -> str:
    """How many features, and the first of their names."""
    if names is None:
        return f"{n_features} without names"
    shown = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
    return f"{n_features} ({shown})"
