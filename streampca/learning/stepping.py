"""A model that a first-order solver moves with each minibatch: what it keeps, and how it goes on.

Knows nothing of what the model is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from streampca.learning.solver import M, Solver
from streampca.moments import Moments

if TYPE_CHECKING:
    from streampca.solvers import FirstOrder


class Stepped(Solver[M]):
    """One step after each minibatch; what the solver keeps goes into checkpoints."""

    def __init__(self, first_order: FirstOrder) -> None:
        self._first_order = first_order

    def step(self, moments: Moments) -> None:
        self._first_order.step(moments)

    def state(self) -> dict[str, NDArray[Any]]:
        return self._first_order.state()

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._first_order.load(state)
