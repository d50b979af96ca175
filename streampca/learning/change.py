"""Whether a change came to its end: sums that hold some rows in part must not be read in silence.

Sums are changed in place, so whatever breaks in between (Ctrl-C, no memory) leaves them between two
models. This does not know what is changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from streampca.exceptions import TornError
from streampca.learning.lock import Lock

__all__ = ["Change", "Changeable", "unfinished"]


class Change:
    """Used as ``with change:`` around what changes sums; refuses to go on once one has been torn.

    A ValueError tears nothing: what is refused is refused before anything is changed. The mark is
    set before and taken away after, so that an interruption of this code itself leaves it, too.
    Changes are not nested; a copy of a sound one is sound, and there is none of a torn one.

    Examples
    --------
    >>> change = Change()
    >>> with change:
    ...     raise MemoryError
    Traceback (most recent call last):
        ...
    MemoryError
    >>> with change:
    ...     pass
    Traceback (most recent call last):
        ...
    streampca.exceptions.TornError: learning was broken off by MemoryError, ...
    """

    __slots__ = ("_torn_by",)

    def __init__(self) -> None:
        self._torn_by = ""

    def __enter__(self) -> None:
        if self._torn_by:
            raise TornError.by(self._torn_by)
        self._torn_by = "an error"

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if kind is None or (
            issubclass(kind, ValueError) and not issubclass(kind, np.linalg.LinAlgError)
        ):
            self._torn_by = ""
        else:
            self._torn_by = kind.__name__

    def check(self) -> None:
        """Raise if a change has been torn; for who reads."""
        if self._torn_by:
            raise TornError.by(self._torn_by)

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        self.check()
        return type(self), ()


class _Unfinished:
    """Stands where something is while that is changed: if the change is broken off, it says so."""

    def __getattr__(self, name: str) -> Any:
        raise TornError.by("an error")

    def __reduce__(self) -> Any:
        raise TornError.by("an error")


@contextmanager
def unfinished(owner: Any, name: str) -> Iterator[Any]:
    """What an attribute holds, to be changed; nobody has it meanwhile, or once that is broken off.

    A ValueError, as of rows that are refused, leaves it there.
    """
    held = getattr(owner, name)
    setattr(owner, name, _Unfinished())
    try:
        yield held
    except ValueError:
        setattr(owner, name, held)
        raise
    setattr(owner, name, held)


class Changeable:
    """What one thread changes while others read it or copy it."""

    def __init__(self) -> None:
        self.lock = Lock()  # held while anything is changed, read, or copied
        self.change = Change()

    def __getstate__(self) -> dict[str, Any]:
        # A copy: what pickles this reads the arrays after the lock is gone.
        with self.lock:
            return copy.deepcopy({k: v for k, v in self.__dict__.items() if k != "lock"})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self.lock = Lock()
