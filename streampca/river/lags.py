"""The row transformer of dynamic PCA: dictionaries beside those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

from river import base

from streampca.monitor import check_lags, lagged_name


class Lags(base.Transformer):
    """Puts the rows before beside each row, as features ``name (t-1)``, ``name (t-2)``, ...

    Components of such rows are those of dynamic PCA (Ku, Storer and Georgakis 1995): they know
    how sensors follow each other in time, not only how they stand beside each other.

    Parameters
    ----------
    lags
        How many rows before each are put beside it.

    Notes
    -----
    Rows come in their order. A row before that has not come yet, or lacks a feature, leaves its
    features out; what follows takes them as it takes any absent feature.

    Examples
    --------
    >>> from streampca.river import Lags, PCAScorer
    >>> lags = Lags(1)
    >>> for x in ({"oil": 1.0, "air": 5.0}, {"oil": 2.0, "air": 6.0}):
    ...     lags.learn_one(x)
    >>> lags.transform_one({"oil": 3.0, "air": 7.0})
    {'oil': 3.0, 'air': 7.0, 'oil (t-1)': 2.0, 'air (t-1)': 6.0}
    >>> model = Lags(2) | PCAScorer(n_components=3)

    """

    def __init__(self, lags: int = 2) -> None:
        self.lags = check_lags(lags)
        # one more than are put beside: of a row that was learned, those before it count
        self._rows: deque[dict[Hashable, Any]] = deque(maxlen=self.lags + 1)
        self._last: Any = None  # the row learned last, itself

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_last": None}  # somebody else's dictionary: its copy is in the rows

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Remember a row for those that follow."""
        self._rows.append(dict(x))
        self._last = x

    def transform_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """The row beside those before it.

        A pipeline that learns gives a row to `learn_one` first, and then here: it is told by being
        the same dictionary, and is not put beside itself.
        """
        rows = list(self._rows)
        if x is self._last and rows and x == rows[-1]:
            rows.pop()
        found = dict(x)
        for lag, row in enumerate(reversed(rows[-self.lags :]), start=1):
            found |= {lagged_name(name, lag): value for name, value in row.items()}
        return found
