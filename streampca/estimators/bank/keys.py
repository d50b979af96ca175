"""Keys of rows: which of them are keys, and which rows belong together. Knows no models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import Key, check_key
from streampca.exceptions import UnknownKeyError
from streampca.rows import BadRow

Rows = NDArray[np.int64]


def read_keys(keys: Any, n_rows: int) -> tuple[list[Key], Rows]:
    """The keys of rows in the order in which they come first, and for each row which it is.

    Raises
    ------
    ValueError
        If there is not one for each row, or one is neither text nor a whole number nor None; it
        names the row.

    Examples
    --------
    >>> read_keys(["b", "a", "b"], 3)
    (['b', 'a'], array([0, 1, 0]))
    >>> read_keys(["b", 1.5], 2)
    Traceback (most recent call last):
        ...
    ValueError: row 1: key must be a str, an int or None, not 1.5: convert it to text
    """
    if isinstance(keys, str | bytes | set | frozenset) or not hasattr(keys, "__len__"):
        raise ValueError(f"keys={keys!r} is not accepted: give one key for each of the rows")
    if len(keys) != n_rows or getattr(keys, "ndim", 1) != 1:
        shape = getattr(keys, "shape", (len(keys),))
        raise ValueError(f"keys have shape {tuple(shape)}: give one for each of the {n_rows} rows")
    if isinstance(keys, np.ndarray) and keys.dtype.kind in "iuU" and not np.ma.is_masked(keys):
        return _of_array(keys)
    return _of_any(keys.tolist() if hasattr(keys, "tolist") else list(keys))


def listed(keys: Iterable[Key]) -> list[Key]:
    """Some keys of models; a single one is refused, whose characters might be keys, too."""
    if isinstance(keys, str | bytes) or not hasattr(keys, "__iter__"):
        raise ValueError(f"keys={keys!r} is not accepted: give a list of keys, [{keys!r}]")
    return list(keys)


def _of_array(keys: NDArray[Any]) -> tuple[list[Key], Rows]:
    distinct, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return [_checked(distinct[i].item(), first[i]) for i in order], place[codes.reshape(-1)]


def _of_any(keys: list[Any]) -> tuple[list[Key], Rows]:
    """Equal objects of different types are different keys: True is none, 1.0 is not 1."""
    seen: dict[tuple[type, Any], int] = {}
    found: dict[Key, int] = {}
    codes = np.empty(len(keys), np.int64)
    for row, given in enumerate(keys):
        given = given.as_py() if hasattr(given, "as_py") else given
        try:
            code = seen.get((type(given), given))
        except TypeError:  # a list is no key
            code = None
        if code is None:
            key = _checked(given, row)
            code = seen[type(given), given] = found.setdefault(key, len(found))
        codes[row] = code
    return list(found), codes


def _checked(key: Any, row: int) -> Key:
    try:
        return check_key(key)
    except ValueError as error:
        raise ValueError(f"row {row}: {error}") from None


@contextmanager
def naming_keys(keys: Any) -> Iterator[None]:
    """Where a row cannot be used, say whose it is."""
    try:
        yield
    except BadRow as error:
        row, rest = error.args
        each = keys.tolist() if hasattr(keys, "tolist") else keys
        try:
            whose = f", key {each[row]!r}"
        except (TypeError, LookupError):  # that these are no keys of these rows is said later
            raise error from None
        raise type(error)(row, whose + rest) from None


def known(keys: list[Key], codes: Rows, models: Mapping[Key, int]) -> Rows:
    """The models of these keys.

    Raises
    ------
    UnknownKeyError
        Naming the first row whose key has no model.
    """
    numbers = np.array([models.get(key, -1) for key in keys], np.int64)
    if (numbers < 0).any():
        missing = np.flatnonzero(numbers < 0)
        row = int(np.isin(codes, missing).argmax())
        more = f" ({len(missing)} of {len(keys)} keys have none)" if len(missing) > 1 else ""
        raise UnknownKeyError(
            f"row {row}: key {keys[codes[row]]!r} has no model: no row of it has been learned"
            f"{more}; leave its rows out, or call partial_fit with them"
        )
    return numbers


def groups(
    codes: Rows, n_keys: int, most_rows: int, cut: int | None = None
) -> Iterator[tuple[Rows, Rows]]:
    """Which keys have rows (k,), and these (k, m), m alike; in parts of about so many rows.

    Rows of a key stand in their order, and where they are more than that, or than `cut`, its parts
    come in order.
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=n_keys)
    starts = np.cumsum(sizes) - sizes
    cut = most_rows if cut is None else min(cut, most_rows)
    for m in np.unique(sizes[sizes > 0]):
        some = np.flatnonzero(sizes == m)
        for first in range(0, m, cut):
            count = min(cut, m - first)
            together = max(1, most_rows // int(count))
            for at in range(0, len(some), together):
                part = some[at : at + together]
                yield part, order[starts[part][:, None] + first + np.arange(count)]
