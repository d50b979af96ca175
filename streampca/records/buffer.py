"""Rows that come as dictionaries wait here as a matrix; features are in no order and come and go.

Knows what a feature's name and a number are; knows nothing of components.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Callable, Hashable, ItemsView, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.records.layout import Layout, Record
from streampca.rows import LARGEST, number

Float64 = NDArray[np.float64]

_NOT_AS_USUAL = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, struct.error)
"""What reading a row at full speed raises where it is not like the others."""

# struct would take the real part of a complex numpy scalar, after a warning of numpy's; as an error
# in this module it sends the row to where it is named
warnings.filterwarnings("error", category=np.exceptions.ComplexWarning, module=re.escape(__name__))

_MADE_ANEW = ("_bytes", "_work", "_before")
"""Memory to work in, and how to take the last row back, which no copy has."""

_USUAL = LARGEST * LARGEST
"""A sum of squares below this comes from numbers that are finite and not too large."""


def too_large(where: str, feature: Hashable, value: float) -> str:
    """The message about a number above `LARGEST`, infinity included."""
    return (
        f"{where} {feature!r} is {value}, and numbers beyond {LARGEST:g} cannot be squared: "
        "leave the row out or rescale the feature"
    )


def _items(x: Any) -> ItemsView[Any, Any]:
    """The features of a row and their values; ValueError where it is no dictionary."""
    try:
        items: ItemsView[Any, Any] = x.items()
    except AttributeError:
        raise ValueError(f"got {x!r:.80} for a row: give a dictionary of numbers") from None
    return items


class Records:
    """A block of rows, NaN where a feature was absent.

    Parameters
    ----------
    room : callable
        How many rows make a minibatch, given the number of features.
    allow_missing : bool
        Whether None and NaN count as absent; otherwise they are errors.
    advice : str
        What to do about them besides leaving them out, as the end of a sentence.
    """

    layout: Layout
    _before: tuple[int, Layout]  # the row that brought the last features, and the layout until it
    _block: Float64  # (rows, n)
    _bytes: memoryview  # of the same memory
    _work: tuple[Float64, Float64, memoryview]  # a row (1, n), one and a 1 (n + 1,), its memory

    def __init__(
        self,
        room: Callable[[int], int],
        *,
        allow_missing: bool,
        advice: str = ", or use missing='impute'",
    ) -> None:
        self._room = room
        self._allow_missing = allow_missing
        self._advice = advice
        self.n_held = 0
        self.n_taken = 0
        self._change(Layout(()), np.empty((0, 0)), 0, (-1, Layout(())))

    def _change(
        self, layout: Layout, block: Float64, n_held: int, before: tuple[int, Layout]
    ) -> None:
        """Take over all of this at once: whoever is broken off has done all of it, or nothing."""
        held = block.data.cast("B") if block.size else memoryview(b"")
        spare, beside_one = np.empty((1, layout.n)), np.ones(layout.n + 1)
        work = spare, beside_one, beside_one.data
        # not by way of __dict__, which would make all attributes slower from then on
        self.layout, self._block, self._bytes, self._work, self._before, self.n_held = (
            layout, block, held, work, before, n_held,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k not in _MADE_ANEW}
        return state | {"_block": self._block[: self.n_held].copy(), "_rows": len(self._block)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held, rows = state.pop("_block"), state.pop("_rows")
        self.__dict__ |= state
        block = np.zeros((rows, held.shape[1]))
        block[: self.n_held] = held
        self._change(self.layout, block, self.n_held, (-1, self.layout))

    @property
    def is_full(self) -> bool:
        """Whether the rows that wait make a minibatch."""
        return self.n_held == len(self._block) > 0

    # --- in ------------------------------------------------------------------------------------

    def append(self, x: Record) -> bool:
        """Copy a row in; True if the block is full.

        Raises
        ------
        ValueError
            If a value is no number; it names row and feature, and nothing is kept.
        """
        layout, row = self.layout, self.n_held
        try:
            usual = len(x) == layout.n
            if usual:
                layout.pack_into(self._bytes, row * layout.n_bytes, *layout.values(x))
                # one product finds NaN, infinity and numbers that cannot be squared; unlike
                # `dot`, `vdot` does not warn of them
                values = self._block[row]
                usual = np.vdot(values, values) < _USUAL
        except _NOT_AS_USUAL:
            usual = False
        if usual:
            self.n_held = row + 1
            return self.n_held == len(self._block)
        return self._append_carefully(x)

    def _append_carefully(self, x: Record) -> bool:
        where = f"row {self.n_taken + self.n_held}, feature"
        values = {}
        for feature, value in _items(x):
            read = self._number(value, where, feature)
            if read == read:
                values[feature] = read
        if not values:
            return False  # nothing was observed
        layout, block = self._with_room_for(values)
        row = block[self.n_held]
        row[:] = np.nan
        for feature, read in values.items():
            row[layout.index[feature]] = read
        self._keep(1, layout, block)
        return self.n_held == len(self._block)

    def extend(self, X: Float64, features: Sequence[Hashable]) -> int:
        """Copy in as many of the rows (m, k) of checked numbers as there is room for; how many."""
        there = [f for j, f in enumerate(features) if not np.isnan(X[:, j]).all()]
        layout, block = self._with_room_for(there)
        count = min(len(X), len(block) - self.n_held)
        block[self.n_held : self.n_held + count] = self._aligned(X[:count], features, layout)
        self._keep(count, layout, block)
        return count

    def _keep(self, count: int, layout: Layout, block: Float64) -> None:
        """Have so many rows more, which stand in the block already."""
        if block is self._block:
            self.n_held += count
            return
        before = self.n_taken + self.n_held, self.layout
        if layout is self.layout:
            before = self._before
        self._change(layout, block, self.n_held + count, before)

    def _with_room_for(self, features: Iterable[Hashable]) -> tuple[Layout, Float64]:
        """A layout with these features, and a block with room for rows of it.

        Rows that wait did not have the new ones. The block is full if whoever was to take its rows
        was broken off.
        """
        new = [feature for feature in features if feature not in self.layout.index]
        if not new and not self.is_full:
            return self.layout, self._block
        for feature in new:
            if feature != feature:  # one NaN is not another: each row would bring a new feature
                raise ValueError(f"a feature is named {feature!r}, which is no name: rename it")
        layout = self.layout.with_features(new) if new else self.layout
        rows = max(self._room(layout.n), self.n_held + 1)
        block = np.zeros((rows, layout.n))
        held = self._block[: self.n_held]
        block[: self.n_held, : held.shape[1]] = held
        block[: self.n_held, held.shape[1] :] = np.nan
        return layout, block

    def drop_last(self) -> None:
        """Take the last row back, and features that came with it."""
        n_held, (row, layout) = self.n_held - 1, self._before
        if row != self.n_taken + n_held:
            self.n_held = n_held
            return
        block = np.zeros((len(self._block), layout.n))
        block[:n_held] = self._block[:n_held, : layout.n]
        self._change(layout, block, n_held, (-1, layout))

    # --- out -----------------------------------------------------------------------------------

    def take(self) -> Float64:
        """Return the rows that wait, a view valid until the next append, and become empty."""
        X = self._block[: self.n_held]
        self.n_taken += self.n_held
        self.n_held = 0
        return X

    def row(self, x: Record, n: int) -> tuple[Float64, bool]:
        """One row (n,) of the first n features, and whether it is complete (else NaN in gaps).

        A view that the next call overwrites.

        Raises
        ------
        ValueError
            If a value is no number; it names the feature.
        """
        layout, spare = self.layout, self._work[0][0]
        try:
            if len(x) == n == layout.n:
                layout.pack_into(spare.data, 0, *layout.values(x))
                if np.vdot(spare, spare) < _USUAL:
                    return spare, True
        except _NOT_AS_USUAL:
            pass
        spare[:] = np.nan
        for feature, value in _items(x):
            column = layout.index.get(feature)
            if column is not None:
                spare[column] = self._number(value, "feature", feature)
        row = spare[:n]
        return row, not np.isnan(row).any()

    def products(self, x: Record, W: Float64) -> list[float] | None:
        """Products of W (k + 1, n + 1) with a row of all n features and a 1, but for the last one.

        None where the row is to be read with care. The last row of W is to give the sum of all
        numbers: it is NaN or infinite where one of them is, and large where one is.
        """
        layout = self.layout
        try:
            if len(x) != layout.n or W.shape[1] != layout.n + 1:
                return None
            layout.pack_into(self._work[2], 0, *layout.values(x))
        except _NOT_AS_USUAL:
            return None
        products: list[float] = W.dot(self._work[1]).tolist()
        return products if -LARGEST < products.pop() < LARGEST else None

    def aligned(self, X: Float64, features: Sequence[Hashable]) -> Float64:
        """Rows (m, k) of some features as rows (m, n) of all, NaN where there are none."""
        return self._aligned(X, features, self.layout)

    @staticmethod
    def _aligned(X: Float64, features: Sequence[Hashable], layout: Layout) -> Float64:
        index = layout.index
        if tuple(features) == layout.features:
            return X
        known = [(index[f], j) for j, f in enumerate(features) if f in index]
        aligned = np.full((len(X), layout.n), np.nan)
        aligned[:, [i for i, _ in known]] = X[:, [j for _, j in known]]
        return aligned

    def _number(self, value: Any, where: str, feature: Hashable) -> float:
        try:
            read = number(value)
        except ValueError as error:
            raise ValueError(f"{where} {feature!r} {error}") from error
        if abs(read) > LARGEST:
            raise ValueError(too_large(where, feature, read))
        if math.isnan(read) and not self._allow_missing:
            raise ValueError(
                f"{where} {feature!r} is {'nan' if value is not None else 'None'}: leave the "
                f"feature out of this row{self._advice}"
            )
        return read
