"""Rows that come as dictionaries wait here as a matrix; features are in no order and come and go.

Knows what a feature's name and a number are; knows nothing of components.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Callable, Hashable, ItemsView, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.rows import LARGEST, number

Float64 = NDArray[np.float64]
Record = Mapping[Any, Any]

_NOT_AS_USUAL = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, struct.error)
"""What reading a row at full speed raises where it is not like the others."""

# struct would take the real part of a complex numpy scalar, after a warning of numpy's; as an error
# in this module it sends the row to where it is named
warnings.filterwarnings("error", category=np.exceptions.ComplexWarning, module=re.escape(__name__))

_MADE_ANEW = ("_bytes", "_spare", "_beside_one", "_beside_one_bytes")
"""Memory to work in, which no copy has."""

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


class Layout:
    """Which feature is which column, and the fastest way from a dictionary to doubles.

    Measured at 100 / 784 features: `pack_into` takes 1.2 / 8 us, `np.fromiter` 1.6 / 12,
    assigning a list 2.3 / 19; `itemgetter` 1.3 / 14, the price of features in any order.
    """

    def __init__(self, features: tuple[Hashable, ...]) -> None:
        self.features = features
        self.index = {feature: i for i, feature in enumerate(features)}
        self.n = len(features)
        self.n_bytes = 8 * self.n
        self.pack_into: Callable[..., None] = struct.Struct(f"{self.n}d").pack_into
        self.values: Callable[[Record], Sequence[Any]] = (
            itemgetter(*features) if self.n > 1 else self._few
        )

    def _few(self, x: Record) -> list[Any]:
        return [x[feature] for feature in self.features]  # itemgetter gives no tuple here

    def __reduce__(self) -> tuple[type[Layout], tuple[tuple[Hashable, ...]]]:
        return Layout, (self.features,)  # a Struct cannot be pickled

    def named(self, row: Float64) -> dict[Hashable, float]:
        """The entries of a row (n,) by their features; those that came later are not in it."""
        return dict(zip(self.features, row.tolist(), strict=False))

    def with_features(self, new: Iterable[Hashable]) -> Layout:
        """A layout with new features behind the others.

        They are sorted, so that the order within a dictionary does not change a single bit.
        """
        added: list[Any] = list(new)
        try:
            added.sort()
        except TypeError:
            added.sort(key=repr)
        return Layout(self.features + tuple(added))


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
        self.layout = Layout(())
        self.n_held = 0
        self.n_taken = 0
        self._place(np.empty((0, 0)))

    def _place(self, block: Float64) -> None:
        self._block = block
        self._bytes = block.data.cast("B") if block.size else memoryview(b"")
        self._spare = np.empty((1, self.layout.n))
        self._beside_one = np.ones(self.layout.n + 1)
        self._beside_one_bytes = self._beside_one.data

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k not in _MADE_ANEW}
        return state | {"_block": self._block[: self.n_held].copy(), "_rows": len(self._block)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held, rows = state.pop("_block"), state.pop("_rows")
        self.__dict__ |= state
        block = np.zeros((rows, held.shape[1]))
        block[: self.n_held] = held
        self._place(block)

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
        self.make_known(values)
        row = self._block[self.n_held]
        row[:] = np.nan
        for feature, read in values.items():
            row[self.layout.index[feature]] = read
        self.n_held += 1
        return self.n_held == len(self._block)

    def extend(self, X: Float64, features: Sequence[Hashable]) -> int:
        """Copy in as many of the rows (m, k) of checked numbers as there is room for; how many."""
        self.make_known(f for j, f in enumerate(features) if not np.isnan(X[:, j]).all())
        count = min(len(X), len(self._block) - self.n_held)
        self._block[self.n_held : self.n_held + count] = self.aligned(X[:count], features)
        self.n_held += count
        return count

    def make_known(self, features: Iterable[Hashable]) -> None:
        """Add columns for features not seen before; rows that wait did not have them."""
        new = [feature for feature in features if feature not in self.layout.index]
        if not new:
            return
        for feature in new:
            if feature != feature:  # one NaN is not another: each row would bring a new feature
                raise ValueError(f"a feature is named {feature!r}, which is no name: rename it")
        self.layout = self.layout.with_features(new)
        rows = max(self._room(self.layout.n), self.n_held + 1)
        block = np.zeros((rows, self.layout.n))
        held = self._block[: self.n_held]
        block[: self.n_held, : held.shape[1]] = held
        block[: self.n_held, held.shape[1] :] = np.nan
        self._place(block)

    def drop_last(self, layout: Layout) -> None:
        """Take the last row back, and features that came with it: `layout` was that before it."""
        self.n_held -= 1
        if layout is not self.layout:
            block = np.zeros((len(self._block), layout.n))
            block[: self.n_held] = self._block[: self.n_held, : layout.n]
            self.layout = layout
            self._place(block)

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
        layout, spare = self.layout, self._spare[0]
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
            layout.pack_into(self._beside_one_bytes, 0, *layout.values(x))
        except _NOT_AS_USUAL:
            return None
        products: list[float] = W.dot(self._beside_one).tolist()
        return products if -LARGEST < products.pop() < LARGEST else None

    def aligned(self, X: Float64, features: Sequence[Hashable]) -> Float64:
        """Rows (m, k) of some features as rows (m, n) of all, NaN where there are none."""
        index = self.layout.index
        if tuple(features) == self.layout.features:
            return X
        known = [(index[f], j) for j, f in enumerate(features) if f in index]
        aligned = np.full((len(X), self.layout.n), np.nan)
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
