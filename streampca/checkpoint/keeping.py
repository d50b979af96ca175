"""Which checkpoints hold what is only for going on: one meaning for every face."""

from __future__ import annotations

from typing import Any

from streampca.rows import is_whole

__all__ = ["keeps_moments", "which_moments"]


def which_moments(value: Any) -> str | int:
    """Which checkpoints hold what is only for going on.

    Raises
    ------
    ValueError
        If it says none of the things that can be said.

    Examples
    --------
    >>> which_moments("last"), which_moments(24), which_moments("24")
    ('last', 24, 24)
    """
    if value in ("all", "last", "none"):
        return str(value)
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if is_whole(value) and int(value) >= 1:
        return int(value)
    raise ValueError(
        f"moments={value!r} is not accepted: give 'all', 'last', 'none', or a number k for the "
        "last and every k-th"
    )


def keeps_moments(which: str | int, sequence: int, *, last: bool) -> bool:
    """Whether the checkpoint of this sequence holds moments; `last` is the newest of its key.

    Examples
    --------
    >>> [keeps_moments(3, n, last=n == 6) for n in range(7)]
    [False, False, True, False, False, True, True]
    """
    if isinstance(which, int):
        return last or (sequence + 1) % which == 0
    return {"all": True, "last": last, "none": False}[which]
