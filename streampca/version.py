"""Which version this is, as the installed package says."""

from __future__ import annotations

import functools

__all__ = ["version"]


@functools.cache
def version() -> str:
    """The installed version; "unknown" for a source tree that is not installed."""
    import importlib.metadata  # a tenth of what `import streampca` takes

    try:
        return importlib.metadata.version("streampca")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
