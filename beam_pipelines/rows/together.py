"""Single rows that are good throughout become one matrix; this file cannot say what is wrong.

Checking a row by itself costs several times what it costs among others.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Names = tuple[str, ...] | None
Together = tuple[Names, NDArray[Any]]

_dtype = attrgetter("dtype")


def together(rows: list[Any], names: Names, width: int | None, largest: float) -> Together | None:
    """Return the names of the features and the rows as a matrix (m, n).

    Parameters
    ----------
    rows : list
        Vectors (n,), dictionaries, beam.Rows or NamedTuples, at least one.
    names : tuple of str, optional
        Of the features, in the order of the model; by default those of the rows, sorted.
    width : int, optional
        Number of features.
    largest : float
        Absolute value that a number may have.

    Returns
    -------
    tuple or None
        None if the rows are not all of one kind, or if one of them has to be read by itself.

    Examples
    --------
    >>> together([{"oil": 3.0, "air": 7}, {"air": 6, "oil": 2.0}], None, None, 1e99)
    (('air', 'oil'), array([[7., 3.],
           [6., 2.]]))
    >>> together([{"oil": 3.0, "air": 7}, {"air": "wet", "oil": 2.0}], None, None, 1e99)
    """
    kinds = set(map(type, rows))
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    try:
        if kind is np.ndarray:
            values = _vectors(rows)
        else:
            names = names or tuple(sorted(_mapping(rows[0])))
            if not all(isinstance(name, str) for name in names):
                return None
            values = _mappings(list(map(_mapping, rows)), names)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        UserWarning,
    ):  # the last: masked entries
        return None
    if values is None or values.ndim != 2 or values.shape[1] != (width or values.shape[1] or -1):
        return None
    # As floats: numpy would make `largest` a number of the rows' type. NaN compares as False.
    if not (float(values.max()) <= largest and float(values.min()) >= -largest):
        return None
    return names, values


def _vectors(rows: list[NDArray[Any]]) -> NDArray[Any] | None:
    dtypes = set(map(_dtype, rows))
    if len(dtypes) > 1 or next(iter(dtypes)).char not in "fd":
        return None
    if len(set(map(len, rows))) > 1:
        return None
    buffers: Any = rows
    try:
        joined = bytearray().join(buffers)  # half of what np.array takes
    except TypeError:  # of memory that is not contiguous, as a matrix's columns are
        return np.array(rows)
    dtype = dtypes.pop()
    values: NDArray[Any] = np.frombuffer(joined, dtype).reshape(len(rows), -1)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _mapping(row: Any) -> dict[str, Any]:
    # A plain tuple has no _asdict; a mapping of another kind is read by itself.
    found: dict[str, Any] = row if type(row) is dict else row._asdict()
    return found


def _mappings(rows: list[dict[str, Any]], names: tuple[str, ...]) -> NDArray[Any] | None:
    first = rows[0].keys()
    if len(names) < 2 or any(row.keys() != first for row in rows):
        return None
    values = np.array(list(map(itemgetter(*names), rows)))
    # not long doubles, which may be too large for a float
    if values.dtype.kind not in "fiub" or values.dtype.itemsize > 8:
        return None
    return values.astype("float64", copy=False)
