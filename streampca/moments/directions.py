"""How many directions factored moments keep, and through how many of them rows are read.

Knows numbers alone; what becomes of the directions stands in factored.py.
"""

from __future__ import annotations

PROBES = 4
"""Random combinations of rows, in which directions show that no row had before."""

_COLUMNS = 16
"""Products with the rows have a multiple of so many columns: 40 cost OpenBLAS nearly what 48 do."""


def sketched_directions(q: int) -> int:
    """How many of q directions take part in products; the last only stand guard.

    Measured with MNIST at p = 10 (excess; sorted by digit): 40 of 40 directions 8e-7 and 1e-4,
    28 of 40 3e-6 and 3e-4 at two thirds of the price, 28 of 28 5e-6 and 7e-4.
    """
    looking = _COLUMNS * (q // _COLUMNS) - PROBES
    return looking if looking >= 0.7 * q else q


def default_directions(p: int) -> int:
    """How many directions to remember for p components, if nobody says.

    Twice p take part, and at least 18 more than p; eight more stand guard. By MNIST sorted
    by digit at p = 10: excess 4e-3 with 10 beyond p, 7e-4 with 18, 3e-4 with 18 and guards.
    """
    looking = p + max(p, 18) + PROBES
    return _COLUMNS * -(-looking // _COLUMNS) + _COLUMNS // 2
