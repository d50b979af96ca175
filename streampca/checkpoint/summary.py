"""What a history shows of each checkpoint, read without the rest.

Files of many have a checksum of these columns alone, by which they are trusted. Where it is missing
or wrong, complete checkpoints are read instead: that judges the file, and names what is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca import wire
from streampca.checkpoint.bundle import shown_checksum, shown_pages, tail
from streampca.checkpoint.bundle_index import Index, Name
from streampca.checkpoint.columns import SCHEMA, SHOWN, as_checkpoint_error, check_schema
from streampca.checkpoint.drift import Drift
from streampca.checkpoint.fields import Key, finite, freeze
from streampca.checkpoint.files import Opened, Unusable
from streampca.checkpoint.footer import check_bundle_footer
from streampca.checkpoint.places import Place, Places
from streampca.checkpoint.reading import read_each
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.table import flat, one
from streampca.checkpoint.values import key_of
from streampca.wire import WireError

__all__ = ["Summary", "summaries"]

_AT_ONCE = 2**12
_NUMBERS = ("sequence", "n_samples_seen", "weight", "total_variance")


class Summary(NamedTuple):
    """What a history shows of a checkpoint; the fields are those of `Checkpoint`."""

    key: Key
    window_start: int | None
    window_end: int | None
    sequence: int
    late: bool
    n_samples_seen: int
    weight: float
    explained_variance: NDArray[np.float64]
    explained_variance_ratio: NDArray[np.float64]
    total_variance: float
    drift: Drift | None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Summary:
        """That of a checkpoint."""
        return cls(*(getattr(checkpoint, name) for name in cls._fields))


def summaries(places: Places, which: Iterator[Place], most: int | None) -> list[Summary]:
    """What is in places, in their order: in all, or in the first so many that can be read."""
    found: list[Summary] = []
    while most is None or len(found) < most:
        some = list(islice(which, _AT_ONCE if most is None else most - len(found)))
        if not some:
            break
        found += _some(places, some)
    return found


def _some(places: Places, which: Sequence[Place]) -> list[Summary]:
    by_file: dict[str, list[Place]] = {}
    for place in which:
        if place.row is not None:
            by_file.setdefault(place.relative, []).append(place)
    found: dict[Place, Summary] = {}
    for relative, there in by_file.items():
        index = places.index_of(relative)
        with contextlib.suppress(FileNotFoundError, Unusable, WireError):
            if index is not None:
                with places.files.opened(relative) as file, as_checkpoint_error("file"):
                    found.update(_in_file(file, index, there))
    rest = [place for place in which if place not in found]
    for place, checkpoint in read_each(places, rest, moments=False):
        if checkpoint is not None:
            found[place] = Summary.of(checkpoint)
    return [found[place] for place in which if place in found]


def _in_file(file: Opened, index: Index, there: Sequence[Place]) -> dict[Place, Summary]:
    """What a file has in places; WireError where it cannot be trusted without the rest."""
    wanted: dict[int, list[Place]] = {}
    for place in there:
        wanted.setdefault((place.row or 0) // index.group_rows, []).append(place)
    parquet = _opened(file, index, wanted)
    found: dict[Place, Summary] = {}
    for group, places in wanted.items():
        table = parquet.read_row_group(group, list(SHOWN), use_threads=False)
        table.validate(full=True)
        rows = [(place.row or 0) - group * index.group_rows for place in places]
        first = min(rows)
        read = _rows(table.slice(first, max(rows) + 1 - first))
        for place, row in zip(places, rows, strict=True):
            found[place] = made = read[row - first]
            if place.which != (type(made.key), made.key, Name(made.window_end, made.sequence)):
                raise WireError(f"row {place.row} has another checkpoint than its index says")
    return found


def _opened(file: Opened, index: Index, groups: Iterable[int]) -> Any:
    """A file as Parquet, once the checksums of what is read of some groups are right."""
    import pyarrow.parquet as pq

    footer = tail(file).footer
    there = check_bundle_footer(footer, file.size, len(index))
    for group in groups:
        if not 0 <= group < len(there):
            raise WireError("its index names a row that it does not have")
        parts = [file.read_at(start, size) for start, size in shown_pages(there[group])]
        if shown_checksum(parts) != index.shown(group):
            raise WireError("the checksum of these columns is missing, or does not match")
    found = pq.ParquetFile(file.file, page_checksum_verification=True)
    check_schema(found.schema_arrow, lean=True)
    return found


def _rows(table: pa.Table) -> list[Summary]:
    """All rows; WireError where a checkpoint may not have such values."""
    columns = {name: one(table.column(name)) for name in SHOWN}
    for name, column in columns.items():
        if column.null_count and not SCHEMA.field(name).nullable:
            raise WireError(f"column {name!r} is empty in some row")
        if name in _NUMBERS:
            numbers = wire.numbers(column)
            if (numbers < 0).any() or not np.isfinite(numbers).all():
                raise WireError(f"column {name!r} has a number that no checkpoint has")
    values: dict[str, Sequence[Any]] = {}
    for name, column in columns.items():
        if pa.types.is_large_list(column.type):
            values[name] = _vectors(column, name)
        else:
            is_time = name.startswith("window_")
            values[name] = (column.view(pa.int64()) if is_time else column).to_pylist()
    angles, cosines = values.pop("drift_angle"), values.pop("drift_cosines")
    values["key"] = list(map(key_of, values["key"], values.pop("key_type")))
    values["drift"] = list(map(_drift, angles, cosines))
    found = [Summary(*row) for row in zip(*(values[name] for name in Summary._fields), strict=True)]
    pairs = zip(values["explained_variance"], values["explained_variance_ratio"], strict=True)
    if any(not 0 < len(variance) == len(share) for variance, share in pairs):
        raise WireError("some row has not one variance for each component")
    return found


def _vectors(column: pa.Array, name: str) -> list[NDArray[np.float64] | None]:
    valid, (ends,), values = flat(column, name, 1)
    own = freeze(values[ends[0] : ends[-1]].copy())
    if not finite(own):
        raise WireError(f"column {name!r} holds NaN or infinity")
    parts = pairwise((ends - ends[0]).tolist())
    return [own[a:b] if there else None for there, (a, b) in zip(valid, parts, strict=True)]


def _drift(angle: float | None, cosines: NDArray[np.float64] | None) -> Drift | None:
    if angle is None or cosines is None:
        return None
    if not 0 <= angle < np.inf:
        raise WireError("column 'drift_angle' has a number that no checkpoint has")
    return Drift(angle, cosines)
