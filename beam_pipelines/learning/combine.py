"""Rows of a window reduced to moments, before they are shuffled.

Combiner lifting makes this parallel even for one hot key; order does not matter, and a retried
bundle cannot count a row twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import Coder

from beam_pipelines.learning.parameters import check
from beam_pipelines.rows import Block, Names, RowReader, moments_from_bytes, moments_to_bytes
from streampca.arrays import one_thread
from streampca.learning import resolve_parameters
from streampca.moments import Moments, make_moments
from streampca.rows import Minibatch

_FEWEST, _MOST = 128, 512
"""Rows that wait before they become one product, twice the number of features within these bounds:
a product of so many costs a row a tenth of what single rows do, and thousands of keys, each with
its rows that wait, still fit into memory."""


class Accumulator:
    """Moments, and the rows that wait to be folded into them."""

    __slots__ = ("blocks", "moments", "n_features", "n_waiting", "names")

    def __init__(self) -> None:
        self.moments: Moments | None = None
        self.names: Names = None
        self.n_features = 0  # 0: no row yet
        self.blocks: list[Any] = []
        self.n_waiting = 0

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


class AccumulatorCoder(Coder):
    """Accumulators between workers, as versioned Arrow bytes; an empty one is no bytes."""

    def __init__(self, fn: MomentsFn) -> None:
        self._fn = fn

    def encode(self, value: Accumulator) -> bytes:
        return self._fn.extract_output(value)

    def decode(self, encoded: bytes) -> Accumulator:
        accumulator = Accumulator()
        if encoded:
            accumulator.moments, accumulator.names = moments_from_bytes(encoded)
            accumulator.n_features = accumulator.moments.n_features
        return accumulator

    def estimate_size(self, value: Accumulator) -> int:
        """Bytes, roughly: Beam's own way is to encode once more what it only wants to count."""
        state = {} if value.moments is None else value.moments.state()
        arrays = [*value.blocks, *state.values()]
        return sum(array.nbytes for array in arrays)

    def is_deterministic(self) -> bool:
        return True


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
        self._spare: list[Any] = []  # scratch memory, while rows come in

    def create_accumulator(self) -> Accumulator:
        """Return an accumulator of no rows."""
        return Accumulator()

    def add_input(self, accumulator: Accumulator, element: Any) -> Accumulator:
        """Add an element: one row, or many."""
        block = element if type(element) is Block else self._read(element)
        values = block.values
        accumulator.check(block.names, values.shape[1])
        accumulator.blocks.append(values)
        accumulator.n_waiting += len(values)
        if accumulator.n_waiting >= min(max(_FEWEST, 2 * values.shape[1]), _MOST):
            self._fold(accumulator)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        """Merge; the order does not matter beyond rounding."""
        merged = Accumulator()
        for accumulator in accumulators:
            self._fold(accumulator)
            if accumulator.moments is None:
                continue
            merged.check(accumulator.names, accumulator.n_features)
            if merged.moments is None:
                merged.moments = accumulator.moments
            else:
                merged.moments.merge(accumulator.moments)
        return merged

    def compact(self, accumulator: Accumulator) -> Accumulator:
        """Fold what waits, before the accumulator is shuffled."""
        self._fold(accumulator)
        self._spare.clear()
        return accumulator

    def extract_output(self, accumulator: Accumulator) -> bytes:
        """Return the moments' bytes; no bytes if there was no row."""
        self._fold(accumulator)
        if accumulator.moments is None:
            return b""
        return moments_to_bytes(accumulator.moments, accumulator.names)

    def get_accumulator_coder(self) -> Coder:
        """Own bytes instead of pickles."""
        return AccumulatorCoder(self)

    def _fold(self, accumulator: Accumulator) -> None:
        blocks = accumulator.blocks
        if not blocks:
            return
        X = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if accumulator.moments is None:
            accumulator.moments = empty_moments(self._parameters, X.shape[1], X.dtype.name)
        moments = accumulator.moments
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
        accumulator.blocks, accumulator.n_waiting = [], 0


def empty_moments(parameters: dict[str, Any], n_features: int, dtype: str) -> Moments:
    """Empty moments of the kind that every part of a pipeline keeps, so that they merge.

    Where memory is open, dense is chosen beyond 1,024 features only where it is not slower: each
    key, window and pane has its own, and each is written to state and shuffled.
    """
    chosen = resolve_parameters(parameters, n_features, slower=1.0)
    return make_moments(
        chosen.memory,
        n_features,
        n_directions=chosen.n_directions,
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
