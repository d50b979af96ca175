"""What a command line asks for in words, for `streampca` and for the Beam job alike."""

from __future__ import annotations

import re


def number_or_share(text: str) -> int | float:
    """How many components, or the share of the variance to explain.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> number_or_share("4"), number_or_share("0.95")
    (4, 0.95)
    """
    try:
        number: int | float = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        number = 0
    if (isinstance(number, int) and number >= 1) or 0 < number < 1:
        return number
    raise ValueError(
        f"{text}: give a whole number of at least 1, or a share of the variance between 0 and 1"
    )


def column_names(text: str) -> list[str]:
    """The names in a list with commas.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> column_names("oil, air")
    ['oil', 'air']
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ValueError(f"{text!r} names no column")
    return found
