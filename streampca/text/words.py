"""How messages say things: numbers of something, the name that was meant, which version this is."""

from __future__ import annotations

import functools
from collections.abc import Iterable

__all__ = ["counted", "nearest", "version"]


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


@functools.cache
def version() -> str:
    """The installed version; "unknown" for a source tree that is not installed."""
    import importlib.metadata  # a tenth of what `import streampca` takes

    try:
        return importlib.metadata.version("streampca")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
