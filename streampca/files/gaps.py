"""Which cells of a file stand for a number that is missing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ANY = "*"
"""Stands for every text that cannot be a number, among texts for missing numbers."""

_LIKE_NUMBER = re.compile(r"\s*[-+(]?\s*[.,]?\d")

NULLS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null", "<NA>", "None",
))  # fmt: skip
"""Texts that stand for a missing number: Arrow's, and those of pandas and Python."""

NUMBER = r"^\+?[-+]?(?i:\d+\.?\d*(e[-+]?\d+)?|\.\d+(e[-+]?\d+)?|inf|infinity)$"
"""A number as Arrow's CSV reader takes it."""


class Missing(NamedTuple):
    """What stands for a missing number: texts, numbers such as -9999, or every text.

    Every text is not what looks like a number: 1.003,5 or 8,5 is one that was read in a wrong way,
    and a gap in its place would be an error that nobody sees.
    """

    texts: frozenset[str]
    numbers: tuple[float, ...]
    every_text: bool

    @classmethod
    def of(cls, na: Collection[str] = ()) -> Self:
        """Texts that are always gaps, and those that the user named."""
        numbers = tuple(float(text) for text in na if re.fullmatch(NUMBER, text))
        return cls(NULLS | set(na), tuple(filter(math.isfinite, numbers)), ANY in na)

    def holds(self, value: Any) -> bool:
        """Whether a cell is missing."""
        if isinstance(value, str):
            text = value.strip()
            return text in self.texts or text.lower() == "nan" or self._is_text_that(text)
        return value is None or value != value or value in self.numbers

    def _is_text_that(self, text: str) -> bool:
        return self.every_text and not like_number(text) and not re.fullmatch(NUMBER, text)

    def without(self, values: NDArray[Any]) -> NDArray[Any]:
        """Numbers with NaN for those that stand for nothing."""
        if self.numbers:
            at = np.isin(values, np.array(self.numbers, values.dtype))
            if at.any():
                values = np.where(at, np.array(np.nan, values.dtype), values)
        return values

    def taken(self, columns: Iterable[Any]) -> Counter[str]:
        """The texts of columns that were taken for missing numbers without being named."""
        found: Counter[str] = Counter()
        if not self.every_text:
            return found
        for column in columns:
            for text, count in _texts(column):
                if text.strip() not in self.texts and self._is_text_that(text.strip()):
                    found[text.strip()] += count
        return found


def _texts(column: Any) -> Iterable[tuple[str, int]]:
    if not isinstance(column, pa.Array):
        return Counter(value for value in column if isinstance(value, str)).items()
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not is_text(kind):
        return ()
    some = column.filter(pc.invert(pc.match_substring_regex(column, NUMBER)))
    counts = pc.value_counts(some.drop_null())
    return [(each["values"].as_py(), each["counts"].as_py()) for each in counts]


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def like_number(text: str) -> bool:
    """Whether a cell begins as a number does, whatever its signs are: 1.003,5 or 8,5."""
    return _LIKE_NUMBER.match(text) is not None
