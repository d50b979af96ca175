"""The store as the server reads it: each question once for all that ask it, and failures said once.

Uses the store's public methods alone. What a store cannot answer is status 503; the reason stays
in the server's log.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from starlette.exceptions import HTTPException

from streampca.checkpoint import Checkpoint, CheckpointStore, Key

__all__ = ["Key", "Name", "Reader", "Shared"]

Name = tuple[int | None, int]
T = TypeVar("T")

_LOG = logging.getLogger("streampca.serve")
_MOST_KEYS = 1_024
_SHARE = 20
"""A question that takes a second is asked again after 20 at the earliest: listings of a large store
take at most a twentieth of one thread, however many pages are open."""
_AGAIN = 600.0
"""Seconds until the same failure is said again."""


class Shared(Generic[T]):
    """A value that is read again only where a reader needs a newer one.

    Readers that come while it is read wait, and share the next reading: all that ask at the same
    time cost two readings at most, and none gets a value from before it asked.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._begun, self._took = float("-inf"), 0.0
        self._value: T

    def now(self) -> T:
        """As it is now."""
        return self._since(time.monotonic())

    def lately(self, seconds: float) -> T:
        """As it was some seconds ago at the earliest; longer ago where reading takes long."""
        return self._since(time.monotonic() - max(seconds, _SHARE * self._took))

    def glance(self, seconds: float) -> T | None:
        """The same if nothing has to be read; it never waits."""
        old = self._begun < time.monotonic() - max(seconds, _SHARE * self._took)
        return None if old else self._value

    def _since(self, moment: float) -> T:
        with self._lock:
            if self._begun < moment:
                begun = time.monotonic()
                value = self._read()
                # The same object while nothing has changed, so that comparing it costs nothing.
                if not hasattr(self, "_value") or self._value != value:
                    self._value = value
                self._begun, self._took = begun, time.monotonic() - begun
            return self._value


class Reader:
    """A store for many readers."""

    def __init__(self, store: CheckpointStore) -> None:
        self.store = store
        self.keys: Shared[list[Key]] = Shared(lambda: self._asked(store.keys))
        self.listing: Shared[list[tuple[Key, int, Name | None]]] = Shared(self._listing)
        self._written: OrderedDict[tuple[type, Key], Shared[list[Name]]] = OrderedDict()
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def written(self, key: Key) -> Shared[list[Name]]:
        """Window end and sequence of each checkpoint of a key, oldest first."""
        identity = (type(key), key)
        with self._lock:
            if identity not in self._written:
                read = functools.partial(self._asked, _names, self.store, key)
                self._written[identity] = Shared(read)
            self._written.move_to_end(identity)
            while len(self._written) > _MOST_KEYS:
                self._written.popitem(last=False)
            return self._written[identity]

    def has(self, key: Key) -> bool:
        """Whether there is such a key: by its own files first, listing all keys takes longer."""
        if self.written(key).now():
            return True
        return any(type(key) is type(each) and key == each for each in self.keys.now())

    def read(self, key: Key, name: Name, *, moments: bool) -> Checkpoint | None:
        """`CheckpointStore.read`."""
        return self._asked(self.store.read, key, *name, moments=moments)

    def at(self, time: int, key: Key) -> Checkpoint | None:
        """`CheckpointStore.at`, without moments."""
        return self._asked(self.store.at, time, key, moments=False)

    def latest(self, key: Key) -> Checkpoint | None:
        """`CheckpointStore.latest`, without moments."""
        return self._asked(self.store.latest, key, moments=False)

    def _listing(self) -> list[tuple[Key, int, Name | None]]:
        """Each key with the number of its checkpoints, and the last."""
        listed = []
        for key in self.keys.now():
            names = self.written(key).lately(1.0)
            listed.append((key, len(names), names[-1] if names else None))
        return listed

    def _asked(self, question: Callable[..., T], *args: Any, **options: Any) -> T:
        try:
            return question(*args, **options)
        except (OSError, ValueError) as error:  # a ValueError: a file where the folder was
            self._tell(f"the store cannot be read: {type(error).__name__}: {error}")
            raise HTTPException(
                503, "the store could not be read; the server's log says why"
            ) from None

    def _tell(self, said: str) -> None:
        """Into the log, but not once for each second that a page is open."""
        now = time.monotonic()
        if now - self._told.get(said, float("-inf")) < _AGAIN:
            return
        if len(self._told) > _MOST_KEYS:
            self._told.clear()
        self._told[said] = now
        _LOG.error(said)


def _names(store: CheckpointStore, key: Key) -> list[Name]:
    """`CheckpointStore.written`; nothing for a text or number that can be no key."""
    try:
        return store.written(key)
    except ValueError:  # half a surrogate pair, or thousands of digits: JSON can hold them
        return []
