"""Who may use the server how much at once, so that one address cannot shut out the others.

Counts requests, not connections; connections.py has those. Knows nothing of what is answered.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

T = TypeVar("T")
_BODIES, _BODIES_EACH, _BODY_SECONDS = 64, 16, 15.0
"""Bodies that are waited for at once, in all and of one address, and how long each."""
_THREADS = 8
"""Of one address at once: the rest of its requests wait for each other, not for others' threads."""


def network(address: str) -> str:
    """Who an address belongs to: itself, or the /64 of IPv6, of which one customer has all.

    Examples
    --------
    >>> network("10.0.0.7"), network("2001:db8::1:2:3:4"), network("::ffff:10.0.0.7")
    ('10.0.0.7', '2001:db8::', '10.0.0.7')
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_address(int(known) >> 64 << 64))
    return str(known)


def gives_way(addresses: Sequence[str], most: int, most_each: int) -> int | None:
    """Which of those that wait, oldest first, has to go; None while there are not too many.

    The oldest of whoever has most: who opens connections and never says anything loses those,
    and somebody else's are kept however many there are.

    Examples
    --------
    >>> gives_way(["a", "b", "b"], 2, 2), gives_way(["a", "b", "b"], 3, 2)
    (1, None)
    """
    if not addresses:
        return None
    address, count = Counter(addresses).most_common(1)[0]
    if count > most_each or len(addresses) > most:
        return addresses.index(address)
    return None


def address_of(request: Request) -> str:
    """Whose request it is."""
    return network(request.client.host) if request.client else ""


class Slots:
    """So many at once, and of one address; those beyond are told to come again.

    Parameters
    ----------
    what : str
        What is counted, for the message.
    most, most_each : int
        In all, and of one address.
    """

    def __init__(self, what: str, most: int, most_each: int) -> None:
        self._what, self._most, self._most_each = what, most, most_each
        self._counts: Counter[str] = Counter()

    def take(self, request: Request) -> Callable[[], None]:
        """One of them; what is returned gives it back."""
        address = address_of(request)
        if self._counts[address] >= self._most_each:
            raise self._refused(429, f"{self._most_each} {self._what} of your address")
        if self._counts.total() >= self._most:
            raise self._refused(503, f"{self._most} {self._what}")
        self._counts[address] += 1
        return functools.partial(self._give_back, address)

    def _give_back(self, address: str) -> None:
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    @staticmethod
    def _refused(status: int, shown: str) -> HTTPException:
        message = f"{shown} are under way already: ask again in a moment"
        return HTTPException(status, message, headers={"retry-after": "2"})


class Work:
    """Answers that take a thread: many may wait, few of one address run at once."""

    def __init__(self) -> None:
        self._slots = Slots("requests", 256, 128)
        self._limiters: dict[str, tuple[anyio.CapacityLimiter, int]] = {}

    async def run(self, request: Request, function: Callable[..., T], *args: Any) -> T:
        """What a function gives, computed in a thread."""
        give_back = self._slots.take(request)
        try:
            with self._limiter(address_of(request)) as limiter:
                return await anyio.to_thread.run_sync(function, *args, limiter=limiter)
        finally:
            give_back()

    @contextlib.contextmanager
    def _limiter(self, address: str) -> Iterator[anyio.CapacityLimiter]:
        """The address's own; forgotten with its last request."""
        limiter, users = self._limiters.get(address) or (anyio.CapacityLimiter(_THREADS), 0)
        self._limiters[address] = limiter, users + 1
        try:
            yield limiter
        finally:
            users = self._limiters[address][1]
            if users == 1:
                del self._limiters[address]
            else:
                self._limiters[address] = limiter, users - 1


class Turns:
    """Blocks that wait for a client; where too many do, the oldest of the busiest is cancelled."""

    def __init__(self) -> None:
        self.seconds = _BODY_SECONDS
        self._waiting: list[tuple[str, anyio.CancelScope]] = []

    @contextlib.asynccontextmanager
    async def taken(self, request: Request) -> AsyncIterator[None]:
        """One of them; TimeoutError if it took too long, or gave way to newer ones."""
        with anyio.move_on_after(self.seconds) as scope:
            entry = (address_of(request), scope)
            self._waiting.append(entry)
            late = gives_way([each for each, _ in self._waiting], _BODIES, _BODIES_EACH)
            if late is not None:
                self._waiting.pop(late)[1].cancel()
            try:
                yield
            finally:
                if entry in self._waiting:
                    self._waiting.remove(entry)
        if scope.cancelled_caught:
            raise TimeoutError
