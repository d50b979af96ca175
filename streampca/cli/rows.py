"""The last rows of files, with the numbers and the times that the files give them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.cli.using import Using
from streampca.files import BadRows, no_rows

_NONE = np.zeros(0, int)


class LastRows(NamedTuple):
    """Rows that a figure needs all at once."""

    values: NDArray[Any]  # (m, n)
    numbers: NDArray[np.int64]  # (m,) within their file; counted on where there are several
    times: NDArray[np.datetime64] | None  # (m,) UTC


def last_rows(using: Using, sources: Any, bad_rows: str, last: int) -> LastRows:
    """The last rows of the files, in constant memory."""
    kept: list[LastRows] = []
    behind = 0  # rows of the files before
    with BadRows(bad_rows) as bad:
        for source in sources:
            chosen, count = using.columns(source), 0
            for rows, groups in using.read(source, chosen, bad):
                places = np.arange(len(rows.values))
                at = np.concatenate([_NONE, *(places[each.at] for each in groups)])
                numbers = behind + rows.chunk.start.record + rows.record[at]
                count = int(rows.chunk.start.record) + rows.chunk.n_records
                times = None if rows.times is None else rows.times[at].astype("datetime64[us]")
                if len(at):
                    kept.append(LastRows(rows.values[at], numbers, times))
                while sum(len(each.values) for each in kept[1:]) >= last:
                    kept.pop(0)
            behind += count
        if not kept and using.of_one_key and behind:
            raise ValueError(f"there is no row of key {using.first.key!r} in these files")
        if not kept:
            raise ValueError(no_rows(sources, bad.count))
    times = [each.times for each in kept if each.times is not None]
    return LastRows(
        np.concatenate([each.values for each in kept])[-last:],
        np.concatenate([each.numbers for each in kept])[-last:],
        np.concatenate(times)[-last:] if times else None,
    )
