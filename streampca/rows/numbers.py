"""Is it a number? One Python object, or a column of them; and how messages call a column."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray


def label(column: int, names: Sequence[str] | None) -> str:
    """How messages call a column."""
    return f"feature {column}" if names is None else f"feature {names[column]!r}"


def numbers_of(column: Iterable[Any], name: str) -> NDArray[np.float64]:
    """Return a column of Python objects as float64, None as NaN.

    Raises
    ------
    ValueError
        Naming the first row that holds no number.
    """
    values = list(column)
    read = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            read[row] = number(value)
        except ValueError as error:
            raise ValueError(f"row {row}, {name} {error}") from error
    return read


def number(value: Any) -> float:
    """Return one Python object as a float; None and pandas.NA as NaN.

    Raises
    ------
    ValueError
        With the end of a sentence that begins with the name of the place.
    """
    if hasattr(value, "as_py"):  # pyarrow's scalars
        value = value.as_py()
    if value is None or type(value).__name__ == "NAType":
        return math.nan
    alone = getattr(value, "shape", None) == ()  # an array or a tensor of no dimension
    if alone and not isinstance(value, (np.generic, np.ma.MaskedArray)):
        value = value.item()
    real = isinstance(value, (numbers.Real, Decimal, np.bool_))
    if not real or isinstance(value, np.timedelta64):  # which numpy counts among the integers
        kind = "text" if isinstance(value, str) else type(value).__name__
        raise ValueError(
            f"is {short(value)} ({kind}), not a number: turn the feature into numbers first, or "
            "leave it out"
        )
    try:
        if isinstance(value, np.longdouble) and abs(value) > np.finfo("float64").max:
            return math.copysign(math.inf, value)  # float() would warn
        return float(value)
    except (OverflowError, ValueError) as error:  # 10**400, Decimal("sNaN")
        raise ValueError(
            f"is {short(value)}, too large for a float or no number at all: leave the row out"
        ) from error


def short(value: Any) -> str:
    """Show a value as messages do."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 1000:
        # Python refuses to write more than 4,300 digits
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
