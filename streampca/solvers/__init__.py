"""How A and B descend the nested loss on what is remembered: one file for each way.

The first-order solvers need torch, so they are imported when somebody asks for them.
"""

from typing import TYPE_CHECKING, Any

from streampca.solvers.exact import cold_start, solve
from streampca.solvers.invariants import ORTHONORMAL, ROUNDING, holds, within_total
from streampca.solvers.many import solve_many
from streampca.solvers.parallel import count_of_share, parallel_count, parallel_eigenvalues
from streampca.solvers.reduced_rank import Pairs, solve_pairs

if TYPE_CHECKING:
    from streampca.solvers.first_order import FirstOrder
    from streampca.solvers.first_order_pairs import FirstOrderPairs

__all__ = [
    "ORTHONORMAL",
    "ROUNDING",
    "FirstOrder",
    "FirstOrderPairs",
    "Pairs",
    "cold_start",
    "count_of_share",
    "holds",
    "parallel_count",
    "parallel_eigenvalues",
    "solve",
    "solve_many",
    "solve_pairs",
    "within_total",
]


def __getattr__(name: str) -> Any:
    if name == "FirstOrder":
        from streampca.solvers.first_order import FirstOrder

        return FirstOrder
    if name == "FirstOrderPairs":
        from streampca.solvers.first_order_pairs import FirstOrderPairs

        return FirstOrderPairs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
