"""Which memory, where that is left open: by the cost model, by time and by bytes.

Nothing is measured at run time: the same shape gets the same memory on every machine, so that
models learned anywhere merge.
"""

from __future__ import annotations

from typing import NamedTuple

from streampca.learning import cost

_SMALL = 8 * 1024**2
"""Bytes that dense memory may always take: 1,024 features. It is exact, and factored memory is not;
this is worth the time: at 1,024 features and p = 10 it takes about five times as long."""

_MIDDLE = 4096
"""Features up to which dense memory may take longer than factored memory: 128 MiB."""

SLOWER = 5.0
"""How many times as long it may take there: what it does at the 1,024 features where it always
pays, so that one feature more does not turn an exact answer into another."""

DENSE_LIMIT = 8192
"""Features up to which dense memory is thought of at all: 512 MB."""

_BYTES_RATIO = 4
"""How many times the bytes of factored memory dense memory may take where it is not slower."""

_READING = 2**16
"""Rows to each reading of the components that the choice reckons with."""


class Comparison(NamedTuple):
    """Dense memory beside factored memory, for one shape."""

    held: int  # bytes
    their_held: int
    slower: float  # times as long; with the reading that spectra like 1 / i need
    at_worst: float  # the same, with the reading that any spectrum allows


def compared(n: int, p: int, q: int, prices: cost.Work | None = None) -> Comparison:
    """Dense memory beside factored memory with q directions, for n features."""
    seconds = {
        memory: cost.seconds_a_row(
            memory, n, q, cost.batch_size(memory, n, q, prices), prices=prices
        )
        for memory in ("dense", "factored")
    }
    theirs = seconds["factored"] + cost.reading_seconds("factored", n, p, q, prices) / _READING
    usual, worst = (
        cost.reading_seconds("dense", n, p, q, prices),
        cost.direct_solution(n).seconds(prices),
    )
    return Comparison(
        cost.remembered_bytes("dense", n, q),
        cost.remembered_bytes("factored", n, q),
        (seconds["dense"] + min(usual, worst) / _READING) / theirs,
        (seconds["dense"] + worst / _READING) / theirs,
    )


def dense_pays(
    n: int, p: int, q: int, prices: cost.Work | None = None, *, slower: float = SLOWER
) -> bool:
    """Whether dense memory is the better one for n features.

    It is exact, so it is chosen wherever it takes up to 8 MiB, that is up to 1,024 features; up to
    4,096 features (128 MiB) where it takes at most `slower` times as long as factored memory with
    q directions; with more features where it takes no longer and at most four times the bytes.
    """
    if 8 * n * n <= _SMALL:
        return True
    if n > DENSE_LIMIT:
        return False
    found = compared(n, p, q, prices)
    if n <= _MIDDLE and slower > 1.0 and found.slower <= slower:
        return True
    return found.at_worst <= 1.0 and found.held <= _BYTES_RATIO * found.their_held


def reason(memory: str, n: int, p: int, q: int) -> str:
    """Why this memory was chosen, in a few words."""
    size = cost.remembered_bytes("dense", n, q)
    held = f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{max(size / 2**10, 1):.0f} KiB"
    if n > DENSE_LIMIT:
        return f"dense would take {held}"
    slower = compared(n, p, q).slower
    longer = f", {slower:.1f} times the time of factored memory" if slower > 1 else ""
    return f"exact; {held}{longer}" if memory == "dense" else f"dense would take {held}{longer}"
