"""Which columns of a frame are features, and in which order.

Knows names only. A column of vectors `v` stands for the features `v_0`, `v_1`, ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHOWN = 5


class Chosen(NamedTuple):
    """Columns of a frame that are features."""

    columns: list[int]
    """Their positions in the frame."""
    names: tuple[str, ...] | None
    """Their names; None where columns are not named by strings."""


def choose(
    names: Sequence[Any], wanted: Sequence[str] | None, holds_vectors: Callable[[int], bool]
) -> Chosen:
    """The columns with the features that are wanted; all columns where none are.

    Raises
    ------
    ValueError
        If features are missing, or if it cannot be known which column is meant.
    """
    texts = [isinstance(name, str) for name in names]
    if not any(texts):
        return Chosen(list(range(len(names))), None)
    if wanted is None:
        if not all(texts):
            other = names[texts.index(False)]
            raise ValueError(
                f"some column names are text, but {other!r} is not: rename the columns"
            )
        _once(names)
        return Chosen(list(range(len(names))), tuple(map(str, names)))
    known = set(wanted)
    _once([name for name in names if name in known])
    places: dict[Any, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    found = [_place(name, places, holds_vectors) for name in wanted]
    missing = [name for name, place in zip(wanted, found, strict=True) if place is None]
    columns = list(dict.fromkeys(place for place in found if place is not None))
    if missing:
        taken = set(columns)
        others = [str(name) for place, name in enumerate(names) if place not in taken]
        unexpected = f"; unexpected: {_listed(others)}" if others else ""
        raise ValueError(
            f"the features are not those seen before (missing: {_listed(missing)}{unexpected}): "
            f"give a frame with these {len(wanted)} columns, in any order; others beside them are "
            "left out"
        )
    taken_names = {names[place] for place in columns}
    _once([name for name in names if name in taken_names])
    return Chosen(columns, tuple(names[place] for place in columns))


def _place(name: str, places: dict[Any, int], holds_vectors: Callable[[int], bool]) -> int | None:
    if name in places:
        return places[name]
    vector, _, number = name.rpartition("_")
    place = places.get(vector)
    if place is not None and number.isdecimal() and holds_vectors(place):
        return place
    return None


def _once(names: Sequence[Any]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"two features are named {twice!r}: give each a name of its own")


def side_by_side(
    parts: Sequence[NDArray[Any]], names: Sequence[str] | None, wanted: Sequence[str] | None
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Columns (m,) and vectors (m, k) as one matrix, and the names of its columns.

    Column-major: each is copied as it stands.
    """
    widths = [1 if part.ndim == 1 else part.shape[1] for part in parts]
    kinds = np.result_type(*(_float_for(part.dtype) for part in parts))
    values = np.empty((sum(widths), len(parts[0])), kinds)
    at = 0
    for part, width in zip(parts, widths, strict=True):
        values[at : at + width] = part.T
        at += width
    if names is None:
        return values.T, None
    every = expanded(names, [part.shape[1] if part.ndim == 2 else None for part in parts])
    _once(every)
    if wanted is None or every == tuple(wanted):
        return values.T, every
    for name, part in zip(names, parts, strict=True):
        expected = [w for w in wanted if w not in names and w.rpartition("_")[0] == name]
        if part.ndim == 2 and name in wanted:
            raise ValueError(f"column {name!r} has vectors where one number is expected")
        if part.ndim == 2 and part.shape[1] != len(expected):
            raise ValueError(
                f"column {name!r} has vectors of {part.shape[1]} numbers, but {len(expected)} are "
                "expected"
            )
    position = {name: place for place, name in enumerate(every)}
    return values[[position[name] for name in wanted]].T, tuple(wanted)


def expanded(names: Sequence[Any], widths: Sequence[int | None]) -> tuple[str, ...]:
    """Names of the features of columns; widths are None where a column is one number wide.

    Examples
    --------
    >>> expanded(["oil", "bands"], [None, 3])
    ('oil', 'bands_0', 'bands_1', 'bands_2')
    """
    every: list[str] = []
    for name, width in zip(names, widths, strict=True):
        every += [name] if width is None else [f"{name}_{i}" for i in range(width)]
    return tuple(every)


def _float_for(dtype: np.dtype[Any]) -> np.dtype[Any]:
    small = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float32 if small else np.float64)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
