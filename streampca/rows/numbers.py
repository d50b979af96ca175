"""Whether something is a number: a Python object or a column; names of columns in messages."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray


class BadRow(ValueError):
    """A row that cannot be used: its number, and the rest of the sentence.

    Whoever reads rows part by part knows better which number the row has.
    """

    def __str__(self) -> str:
        row, rest = self.args
        return f"row {row}{rest}"

    def moved(self, first: int) -> BadRow:
        """The same of the row that stands so many rows later."""
        row, rest = self.args
        return type(self)(row + first, rest)


class NoNumber(ValueError, TypeError):
    """A value is not a number, which numpy and scikit-learn call a TypeError."""


class BadKind(BadRow, NoNumber):
    """The same of a row's entry."""


def label(column: int, names: Sequence[str] | None) -> str:
    """The name of a column in messages."""
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
            kind = BadKind if isinstance(error, NoNumber) else BadRow
            raise kind(row, f", {name} {error}") from error
    return read


def number(value: Any) -> float:
    """Return one Python object as a float; None, pandas.NA and what is masked as NaN.

    Raises
    ------
    ValueError
        With the end of a sentence that begins with the name of the place.
    """
    if hasattr(value, "as_py"):  # pyarrow's scalars
        value = value.as_py()
    if value is None or type(value).__name__ == "NAType":
        return math.nan
    if getattr(value, "shape", None) == () and not isinstance(value, np.generic):
        if np.ma.is_masked(value):
            return math.nan
        value = value.item()  # an array or a tensor of no dimension
    real = isinstance(value, (numbers.Real, Decimal, np.bool_)) or _is_small(value)
    if not real or isinstance(value, np.timedelta64):  # which numpy counts among the integers
        kind = "text" if isinstance(value, str) else type(value).__name__
        # in Python's own words, by which scikit-learn's users and checks know the mistake
        known = f" (float() argument must be a string or a real number, not {kind!r})"
        raise NoNumber(
            f"is {short(value)} ({kind}), not a number: turn the feature into numbers first, or "
            f"leave it out{'' if kind == 'text' else known}"
        )
    try:
        if isinstance(value, np.longdouble) and abs(value) > np.finfo("float64").max:
            return math.copysign(math.inf, value)  # float() would warn
        return float(value)
    except (OverflowError, ValueError) as error:  # 10**400, Decimal("sNaN")
        raise ValueError(
            f"is {short(value)}, too large for a float or no number at all: leave the row out"
        ) from error


def is_whole(value: Any) -> bool:
    """Whether an object is a whole number, Python's or numpy's; truth and times are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.timedelta64)


def is_float_of_others(dtype: np.dtype[Any]) -> bool:
    """Whether a numpy type is a real number that another package has added, such as bfloat16."""
    added = dtype.kind == "V" and dtype.names is None and dtype.type is not np.void
    return added and dtype.subdtype is None and "complex" not in dtype.name


def _is_small(value: Any) -> bool:
    return isinstance(value, np.generic) and is_float_of_others(value.dtype)


def short(value: Any) -> str:
    """Show a value as messages do."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 1000:
        # Python refuses to write more than 4,300 digits
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
