"""Which feature is which column of rows that come as dictionaries. Knows no rows that wait."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Record = Mapping[Any, Any]


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
