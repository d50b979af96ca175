"""How things are said: numbers of something, names that were meant, times, the version."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Sequence

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another, if one is.

    Examples
    --------
    >>> nearest("exlude", ["columns", "exclude"])
    'exclude'
    """
    import difflib  # only where a name is wrong

    by_fold = {each.lower().replace("-", "_"): each for each in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), by_fold, 1, 0.6)
    return by_fold[found[0]] if found else None


def counted(n: int, what: str) -> str:
    """So many of something, as people write it.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


def twice_in(names: Sequence[str]) -> str | None:
    """The first name that comes again, if one does."""
    if len(set(names)) == len(names):
        return None
    return next(name for i, name in enumerate(names) if name in names[:i])


def zoned(time: datetime.datetime) -> datetime.datetime:
    """A time with its zone: UTC where it names none."""
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def micros(time: datetime.datetime) -> int:
    """A time in microseconds since 1970, UTC."""
    return int((zoned(time) - _EPOCH) // datetime.timedelta(microseconds=1))


@functools.cache
def version() -> str:
    """The installed version; "unknown" for a source tree that is not installed."""
    import importlib.metadata  # a tenth of what `import streampca` takes

    try:
        return importlib.metadata.version("streampca")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
