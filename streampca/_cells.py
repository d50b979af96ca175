"""Whether a column of an Arrow type holds numbers: the one judge of it."""

from __future__ import annotations

import pyarrow as pa


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers.

    Examples
    --------
    >>> is_number(pa.decimal128(9, 2)), is_number(pa.string())
    (True, False)
    """
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )
