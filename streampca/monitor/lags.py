"""Rows beside the rows before them, so that components see how a process moves.

Knows nothing of models: what comes out are rows like any others, with more features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca.arrays import is_tensor, to_numpy
from streampca.rows import is_whole, read_rows


class Lags:
    """Rows with time lags, [x(t), x(t-1), ..., x(t-l)]: the features of dynamic PCA.

    PCA takes rows for independent of each other. With the rows before beside it, a row also shows
    how sensors follow each other in time, and SPE rises where they no longer do.

    Parameters
    ----------
    lags : int, default=2
        How many rows before each are put beside it, l.

    Notes
    -----
    Rows come in their order, as many at once as one likes: the last l are kept, for those that
    follow. The first l have not enough rows before them, and are not given out. Use one for each
    key, and `reset` it where rows are missing in between. Missing entries stay missing.

    References
    ----------
    W. Ku, R. H. Storer and C. Georgakis, *Disturbance detection and isolation by dynamic principal
    component analysis*, Chemometrics and Intelligent Laboratory Systems 30 (1995) 179-196.

    Examples
    --------
    >>> lags = Lags(1)
    >>> lags.transform([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    array([[ 2., 20.,  1., 10.],
           [ 3., 30.,  2., 20.]])
    >>> lags.transform([[4.0, 40.0]])
    array([[ 4., 40.,  3., 30.]])
    >>> lags.get_feature_names_out(["oil", "air"])
    ('oil', 'air', 'oil (t-1)', 'air (t-1)')
    """

    def __init__(self, lags: int = 2) -> None:
        self.lags = check_lags(lags)
        self._before: NDArray[Any] | None = None
        self._names: tuple[str, ...] | None = None

    def transform(self, X: Any) -> Any:
        """The rows that follow, each beside those before it.

        Parameters
        ----------
        X : array-like of shape (m, n)

        Returns
        -------
        ndarray of shape (m, n (1 + l)), or a frame
            l rows fewer the first time. A frame of pandas or polars where X is one, an Arrow table
            of any other with names; columns of lagged features are called ``name (t-1)``.

        Raises
        ------
        ValueError
            If a row cannot be used, naming the row and the feature, or has other features than
            those before; nothing is kept of it then.
        """
        before = self._before
        read = read_rows(
            X,
            feature_names=self._names,
            n_features=None if before is None else before.shape[1],
            allow_missing=True,
            least=0,
        )
        values: Any = to_numpy(read.values) if is_tensor(read.values) else read.values
        if hasattr(values, "toarray"):
            values = values.toarray()
        if before is None:
            before = values[:0]
            if len(values):  # no rows change nothing
                self._names = read.feature_names
        rows = np.concatenate([before, values]) if len(before) else values
        count = max(len(rows) - self.lags, 0)
        steps = [rows[self.lags - i : self.lags - i + count] for i in range(self.lags + 1)]
        if len(values):
            self._before = rows[max(len(rows) - self.lags, 0) :].copy()
        made = np.concatenate(steps, axis=1)
        if read.feature_names is None:
            return made
        return _framed(X, made, self.get_feature_names_out(read.feature_names))

    def reset(self) -> None:
        """Forget the rows before: what comes next does not follow them."""
        self._before = self._names = None

    def get_feature_names_out(self, input_features: Sequence[str]) -> tuple[str, ...]:
        """The names of the features after the transformation, from those before it."""
        return tuple(
            lagged_name(name, i) for i in range(self.lags + 1) for name in map(str, input_features)
        )


def check_lags(lags: Any) -> int:
    """The number of rows before each; ValueError if it is not accepted."""
    if not is_whole(lags) or not 1 <= int(lags) <= 10_000:
        raise ValueError(f"lags={lags!r} is not accepted: give a whole number of at least 1")
    return int(lags)


def lagged_name(name: Any, lag: int) -> Any:
    """The name of a feature so many rows before."""
    return f"{name} (t-{lag})" if lag else name


def _framed(X: Any, values: NDArray[Any], names: tuple[str, ...]) -> Any:
    """Columns as the kind of frame that X is, pandas' index with them."""
    columns = dict(zip(names, values.T, strict=True))
    package = type(X).__module__.partition(".")[0]
    if package == "pandas":
        index = X.index[len(X) - len(values) :]
        return type(X)(columns, index=index, columns=list(names))
    return type(X)(columns) if package == "polars" else pa.table(columns)
