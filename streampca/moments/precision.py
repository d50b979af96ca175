"""What float32 can hold: whether sums of squares, and weights, are well inside its range.

Knows numbers alone.
"""

from __future__ import annotations

from streampca.arrays import Array


def weighs_as_rows(weight: float) -> bool:
    """Whether roots of weights are far inside float32, which ends at 1e-38 and 3e38."""
    return weight == 0 or 1e-30 < weight < 1e30


def fits(squares: float) -> bool:
    """Whether a sum of squares is well inside float32.

    It ends at 3.4e38 and loses digits below 1e-38; the limits leave room for what many
    minibatches add up to, and for single entries far below the largest. Asked on the CPU alone:
    on a device the answer would cost a wait.
    """
    return 1e-24 < squares < 1e30


def all_fit(squares: float, entries: Array) -> bool:
    """Whether products of the entries with each other can be formed in float32."""
    return fits(squares) or (squares == 0 and not entries.any())
