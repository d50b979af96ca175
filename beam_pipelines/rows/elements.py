"""Elements of a pipeline as checked blocks of rows; what cannot be used, with its reason.

This runs before anything touches state, so a bad row cannot spoil a model.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from apache_beam.pvalue import Row
from numpy.typing import NDArray

from beam_pipelines.rows.block import Block
from beam_pipelines.rows.together import together
from streampca.rows import LARGEST, InputRows, expanded, is_list, is_vector, read_rows
from streampca.rows import number as read_number

BAD_ROWS = "bad_rows"


class BadRow(NamedTuple):
    """An element that could not be used."""

    key: Any
    element: Any
    reason: str


_quoted = functools.lru_cache(maxsize=10_000)(json.dumps)  # of text: 1 and True are the same key


def key_text(key: Any) -> str:
    """Return a key as JSON text: deterministic on every runner, and the same after an update.

    Raises
    ------
    ValueError
        If the key is neither text, a whole number nor None.

    Examples
    --------
    >>> key_text("press 4"), key_text(4), key_text(None)
    ('"press 4"', '4', 'null')
    """
    if type(key) is str:
        return _quoted(key)
    if isinstance(key, np.integer):
        key = int(key)
    if key is not None and (isinstance(key, bool) or not isinstance(key, (str, int))):
        raise ValueError(
            f"key {key!r} is a {type(key).__name__}: keys must be text, whole numbers or None"
        )
    return json.dumps(key)


def without_shard(text: str) -> str:
    """Return the text of a key without the number of its shard.

    Examples
    --------
    >>> without_shard('3|"press 4"'), without_shard('"press 4"')
    ('"press 4"', '"press 4"')
    """
    shard, bar, rest = text.partition("|")
    return rest if bar and shard.isdecimal() else text  # JSON of text begins with a quote


def keyed(element: Any) -> tuple[Any, Any]:
    """Return (key, row): a plain pair is one already, anything else is a row of key None.

    Examples
    --------
    >>> keyed(("press 4", {"oil": 3.0}))
    ('press 4', {'oil': 3.0})
    >>> keyed({"oil": 3.0})
    (None, {'oil': 3.0})
    """
    if type(element) is tuple and len(element) == 2:
        return element
    return None, element


class RowReader:
    """Turns elements into blocks: mappings, beam.Row, NamedTuples, vectors, matrices, Arrow.

    Parameters
    ----------
    features : sequence of str or int, optional
        Names of the features, in the order of the model; or how many there are where rows have
        no names. By default every feature that the row has, names sorted.
    missing : {"error", "impute"}
        Whether NaN, None and features that a mapping lacks are gaps to be filled.
    largest : float
        Larger numbers have squares that cannot be summed.

    Examples
    --------
    >>> RowReader(None)({"oil": 3.0, "air": 7.0}).values
    array([[7., 3.]])
    >>> RowReader(["oil", "air"])({"oil": 3.0, "air": "wet"})
    Traceback (most recent call last):
        ...
    ValueError: feature 'air' is 'wet', not a finite number: correct the row or leave it out
    """

    def __init__(
        self,
        features: Sequence[str] | int | None,
        missing: str = "error",
        largest: float = LARGEST,
    ) -> None:
        self._gaps = missing == "impute"
        self._largest = largest
        self._enough = min(largest, LARGEST) ** 2
        self._names = None if features is None or isinstance(features, int) else tuple(features)
        self._width = features if isinstance(features, int) else None
        if self._names is not None:
            self._width = len(self._names)
        # Rows of one stream have the same names again and again: sort them once.
        self._orders: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, element: Any) -> Block:
        """Return the rows of an element.

        Raises
        ------
        ValueError
            If a row cannot be used; the message names the feature, and the row if there are many.
        """
        if type(element) is np.ndarray and element.ndim == 1:
            return self._from_vector(element)
        if isinstance(element, Row):
            element = element.as_dict()
        elif isinstance(element, tuple) and hasattr(element, "_asdict"):
            element = element._asdict()
        if isinstance(element, Mapping):
            return self._from_mapping(element)
        if len(getattr(element, "shape", ())) == 1:  # a tensor, a masked vector, a Series
            labels = getattr(element, "index", None) if hasattr(element, "to_dict") else None
            if labels is not None and all(isinstance(label, str) for label in labels):
                return self._from_mapping(element.to_dict())
            element = _vector(element)[None]
        if element is None or isinstance(element, (str, bytes, int, float, tuple)):
            raise ValueError(
                f"got {short(element)} for a row: give a mapping, beam.Row, NamedTuple, numpy "
                "vector or matrix, or an Arrow record batch"
            )
        if isinstance(element, list) and not (element and hasattr(element[0], "__len__")):
            element = [element]
        if isinstance(element, (pa.RecordBatch, pa.Table)):
            return self._from_arrow(element)
        read = self._checked(element, self._names)
        values: Any = read.values
        values = np.asarray(_dense(values.cpu() if hasattr(values, "cpu") else values))
        return Block(self._names or read.feature_names, values)

    def together(self, rows: list[Any]) -> Block | None:
        """Return single rows as one block; None if they have to be read one by one."""
        if self._gaps:
            return None
        found = together(rows, self._names, self._width, self._largest)
        return None if found is None else Block(*found)

    def _checked(self, rows: Any, names: tuple[str, ...] | None) -> InputRows:
        return read_rows(
            rows,
            feature_names=names,
            n_features=self._width,
            allow_missing=self._gaps,
            largest=self._largest,
            least=0,
        )

    def _from_vector(self, vector: NDArray[Any]) -> Block:
        # The hot path, a third of what read_rows costs; it is left to say what is wrong.
        if (
            vector.dtype.char not in "fd"
            or not vector.dtype.isnative
            or len(vector) != (self._width or len(vector) or -1)
            # One call tells that all is finite and can be squared (dot would warn); NaN is False.
            or not float(np.vdot(vector, vector)) <= self._enough
        ):
            return Block(self._names, np.asarray(self._checked(vector[None], self._names).values))
        return Block(self._names, vector[None])

    def _from_mapping(self, row: Mapping[str, Any]) -> Block:
        names = self._names or self._sorted(tuple(row))
        lacks = self._gaps and not all(name in row for name in names)
        if lacks and (spread := self._spread(row)) is not row:
            return self._from_mapping(spread)
        try:
            values = [row.get(name) for name in names] if self._gaps else [row[n] for n in names]
        except KeyError as error:
            if (spread := self._spread(row)) is not row:
                return self._from_mapping(spread)
            raise ValueError(f"feature {error.args[0]!r} is missing from the row") from None
        if not values:
            raise ValueError("the row is empty: it has no feature")
        try:
            vector = np.array(values)
            # not long doubles, which may be too large for a float
            fine = vector.ndim == 1 and vector.dtype.kind in "fiub" and vector.dtype.itemsize <= 8
        except (ValueError, UserWarning):  # the latter of masked entries, where it is an error
            fine = False
        if fine:
            vector = vector.astype("float64", copy=False)
            if float(np.abs(vector).max()) <= self._largest:
                return Block(names, vector[None])
        if (spread := self._spread(row)) is not row:
            return self._from_mapping(spread)
        vector = np.array([self._number(*pair) for pair in zip(names, values, strict=True)])
        return Block(names, vector[None])

    def _spread(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row with each number of its vectors by a name of its own; itself if it has none."""
        wanted = self._names or ()
        vectors = [name for name, value in row.items() if is_vector(value) and name not in wanted]
        if not vectors:
            return row
        spread = {name: value for name, value in row.items() if name not in vectors}
        for name in vectors:
            spread |= zip(expanded([name], [len(row[name])]), list(row[name]), strict=True)
        return spread

    def _number(self, name: str, value: Any) -> float:
        number = _as_float(value)
        if self._gaps and number is not None and math.isnan(number):
            return math.nan
        if number is None or not math.isfinite(number):
            raise ValueError(
                f"feature {name!r} is {short(value)}, not a finite number: correct the row or "
                "leave it out"
            )
        if abs(number) > self._largest:
            raise ValueError(
                f"feature {name!r} is {short(value)}: entries above {self._largest:.3g} cannot be "
                "squared and summed here; leave the row out or rescale the feature"
            )
        return number

    def _from_arrow(self, rows: Any) -> Block:
        vectors = [is_list(kind) for kind in rows.schema.types]
        if self._names is None and any(vectors):
            read = self._checked(rows, None)
            if read.feature_names is None:  # a single column of rows
                return Block(None, np.asarray(read.values))
            names = self._sorted(read.feature_names)
            order = [read.feature_names.index(name) for name in names]
            return Block(names, np.asarray(read.values)[:, order])
        names = self._names or self._sorted(tuple(rows.schema.names))
        read = self._checked(rows, names)
        return Block(names, np.asarray(read.values))

    def _sorted(self, names: tuple[str, ...]) -> tuple[str, ...]:
        order = self._orders.get(names)
        if order is None:
            for name in names:
                if not isinstance(name, str):
                    raise ValueError(
                        f"feature {name!r} is named by a {type(name).__name__}: names must be text"
                    )
            order = tuple(sorted(names))
            if len(self._orders) < 1000:
                self._orders[names] = order
        return order


def _vector(element: Any) -> Any:
    """A single row as an array: what is masked stays so, a tensor is taken to the host."""
    element = _dense(element)
    return element.detach().cpu() if hasattr(element, "detach") else np.asanyarray(element)


def _dense(rows: Any) -> Any:
    """Rows of scipy as an array; others as they are."""
    return rows.toarray() if hasattr(rows, "tocsr") else rows


def _as_float(value: Any) -> float | None:
    """A number; NaN where it is missing, None where it is no number."""
    try:
        return read_number(value)
    except ValueError:
        return None


def short(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
