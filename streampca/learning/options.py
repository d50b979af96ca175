"""Constructor parameters of StreamingPCA: their constraints as data, their defaults resolved."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from streampca.arrays import device_name
from streampca.learning import choice, cost
from streampca.moments import default_directions
from streampca.rows import is_whole

_FEW_FEATURES, _FRESH = 256, 512
"""Below so many features at most so many rows wait where the model of the minibatches before has a
say: it fills gaps, steps of a solver go on from it, and coordinates in River are as old as it."""

_NARROW, _LEAST_ROWS, _MOST_ROWS = 2**19, 2048, 2**14
"""Numbers of a minibatch of few features in dense memory, 2 or 4 MiB: they stay in the cache of a
core. And rows, at least and at most. Calls of a few microseconds each are what rows of 10 features
cost: in minibatches of 512 they take six times as long as bare X'X, in these once and a half."""

_LEAST_LEFT = float(np.finfo(np.float64).tiny)
"""Of a row; less is outside the normal range of float64, and counts as nothing."""

_SPARSE_ROWS, _ENTRIES_AT_ONCE = 2**13, 2**21
_FEW_ENTRIES = 0.03
"""Rows, and entries, of a minibatch of sparse rows in factored memory, at most: 24 MB. And the
share of entries stored up to which this is so."""

_ROWS_THERE, _NUMBERS_THERE = 16_384, 2**25
"""Rows, and numbers, of a minibatch on a device, which takes some 50 calls of a few microseconds
each for a minibatch, whatever its size."""


@dataclass(frozen=True)
class Constraint:
    """What a parameter may be, as a sentence and as a test."""

    accepts: Any
    sentence: str


def is_int(value: Any, least: int) -> bool:
    """Whether a value is a whole number, and no truth value, of at least so much."""
    return is_whole(value) and int(value) >= least


def is_real(value: Any) -> bool:
    """Whether a value is a finite real number, and no truth value or time."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.timedelta64)
    return real and math.isfinite(value)


def is_open(n_components: Any) -> bool:
    """Whether eigenvalues say how many components: a share of variance, or parallel analysis."""
    share = isinstance(n_components, float) and 0 < n_components < 1
    return share or (isinstance(n_components, str) and n_components == "parallel")


def one_of(*values: Any) -> Constraint:
    """The constraint that a value is one of these."""
    return Constraint(lambda v: any(v is x or v == x for x in values), f"one of {values}")


CONSTRAINTS = {
    "n_components": Constraint(
        lambda v: v is None or is_int(v, 1) or is_open(v),
        'a whole number of at least 1, a share of variance between 0 and 1, "parallel" or None',
    ),
    "whiten": Constraint(lambda v: isinstance(v, bool), "True or False"),
    "scale": Constraint(lambda v: isinstance(v, bool), "True or False"),
    "batch_size": Constraint(
        lambda v: v is None or is_int(v, 1), "a whole number of at least 1, or None"
    ),
    "memory": one_of("auto", "dense", "factored", "minibatch"),
    "oversample": Constraint(
        lambda v: v is None or is_int(v, 0), "a whole number of at least 0, or None"
    ),
    "solver": one_of("exact", "first_order"),
    "optimizer": Constraint(
        lambda v: v is None or callable(v),
        "None or a function of a list of parameters that returns a torch optimizer",
    ),
    "forgetting_factor": Constraint(
        lambda v: is_real(v) and 0 < v <= 1, "a number above 0 and at most 1"
    ),
    "half_life": Constraint(
        lambda v: v is None or (is_real(v) and v > 0), "a number of rows above 0, or None"
    ),
    "center": Constraint(lambda v: isinstance(v, bool), "True or False"),
    "random_state": Constraint(
        lambda v: v is None or (is_int(v, 0) and v < 2**63),
        "a whole number of at least 0 that fits in 63 bits, or None",
    ),
    "missing": one_of("error", "impute"),
    "dtype": one_of(None, "float32", "float64"),
}


def check_parameters(
    parameters: dict[str, Any], constraints: dict[str, Constraint] = CONSTRAINTS
) -> None:
    """Raise ValueError naming the first parameter that is out of its constraint."""
    for name, constraint in constraints.items():
        value = parameters[name]
        if not constraint.accepts(value):
            raise ValueError(f"{name}={value!r} is not accepted: it must be {constraint.sentence}")
    if parameters["half_life"] is not None and parameters["forgetting_factor"] != 1.0:
        raise ValueError(
            "forgetting_factor and half_life both say how fast to forget: give one of them"
        )
    device_name(parameters["device"])


CHANGEABLE = (
    *("n_components", "whiten", "scale", "copy", "batch_size"),
    *("forgetting_factor", "half_life", "missing"),
)
"""Parameters of StreamingPCA that hold for what comes when they change between rows."""


def refuse_changes(
    before: dict[str, Any], now: dict[str, Any], changeable: tuple[str, ...] = ()
) -> None:
    """Raise ValueError if a parameter has changed that rows so far were learned with."""
    for name, value in now.items():
        if value is before[name] or value == before[name] or name in changeable:
            continue
        raise ValueError(
            f"{name} has changed from {before[name]!r} to {value!r} since the first rows, which "
            "were learned with it: set it back, or call fit, which forgets them"
        )


@dataclass(frozen=True)
class Resolved:
    """What the parameters mean for rows of n features."""

    memory: str
    why: str  # it is this one
    n_components: int  # p; n where it depends on the eigenvalues
    n_directions: int  # q = p + oversample, what factored moments remember
    batch_size: int  # rows to wait for
    largest: int  # rows folded in at once when more arrive together
    forgetting: float  # gamma, per row
    chosen: bool = False  # whether the size of minibatches was left open

    def largest_sparse(self, n_rows: int, n_features: int, n_entries: int) -> int:
        """Rows folded in at once of so many that store so many entries.

        A minibatch costs factored memory passes over all directions, however few entries it has,
        and room for entries alone, unless it may be made dense.
        """
        few = n_entries <= _FEW_ENTRIES * n_rows * n_features
        if self.memory != "factored" or not self.chosen or not few:
            return self.largest
        rows = _ENTRIES_AT_ONCE * n_rows // max(n_entries, 1)
        return max(self.largest, min(_SPARSE_ROWS, rows))


def resolve_parameters(
    parameters: dict[str, Any],
    n_features: int,
    device: str | None = None,
    *,
    memory: str | None = None,
    slower: float = choice.SLOWER,
) -> Resolved:
    """Choose what was left open, for n features; `device` is None where numpy computes.

    Where memory is open, it is `memory` if that is given: what moments that are there already
    have. Otherwise dense memory may take `slower` times as long as factored memory.

    Raises
    ------
    ValueError
        If there are fewer features than components, or the choices contradict each other.
    """
    p = parameters["n_components"]
    whole = p is None or is_open(p)
    if not whole and p > n_features:
        raise ValueError(
            f"n_components={p} is more than the {n_features} features of the rows: "
            f"use at most {n_features}"
        )
    if whole and parameters["solver"] != "exact":
        raise ValueError(f"n_components={p!r} needs solver='exact': give a whole number")
    count = n_features if whole else int(p)
    beyond = parameters["oversample"]
    q = default_directions(count) if beyond is None else count + int(beyond)
    q = min(n_features, q)
    scaled = bool(parameters.get("scale"))
    if scaled and parameters["solver"] != "exact":
        raise ValueError(
            "scale=True needs solver='exact': first-order steps descend in units that must not "
            "change; put a scaler in front of them"
        )
    found, why = _memory(parameters, n_features, whole or scaled, count, q, slower)
    exact = (found, memory) in (("dense", "factored"), ("factored", "dense"))
    if parameters["memory"] == "auto" and exact:
        found, why = str(memory), "as what was learned before"
    memory = found
    if whole and memory != "dense":
        raise ValueError(
            f"n_components={p!r} needs all eigenvalues, which {memory} memory does not hold "
            f"(rows have {n_features} features): give a whole number, or memory='dense'"
        )
    if scaled and memory != "dense":
        raise ValueError(
            f"scale=True needs all of the covariance, which {memory} memory does not hold (rows "
            f"have {n_features} features): give memory='dense', {8e-6 * n_features**2:,.0f} MB, or "
            "put a scaler in front and leave scale out"
        )
    given = parameters["batch_size"]
    batch_size = given or cost.batch_size(memory, n_features, q)
    if not given and n_features < _FEW_FEATURES:
        batch_size = min(batch_size, _FRESH)
        if memory == "dense" and parameters["solver"] == "exact" and _complete(parameters):
            batch_size = _narrow_rows(n_features)
    if device is not None and not given and memory != "minibatch":
        batch_size = max(batch_size, min(_ROWS_THERE, _NUMBERS_THERE // n_features))
    # dense minibatches are cut at fixed places of the stream, so that float32 sums are the same to
    # the bit however the rows arrive; factored ones gain more from folding in all that is there
    largest = 2 * batch_size if memory == "factored" and not given else batch_size
    return Resolved(memory, why, count, q, batch_size, largest, forgetting(parameters), not given)


def _complete(parameters: dict[str, Any]) -> bool:
    """Whether no gaps are filled."""
    return bool(parameters["missing"] == "error")


def _narrow_rows(n_features: int) -> int:
    """Rows of a minibatch of few features: a power of two."""
    rows = 1 << ((_NARROW // n_features).bit_length() - 1)
    return min(max(rows, _LEAST_ROWS), _MOST_ROWS)


def forgetting(parameters: dict[str, Any]) -> float:
    """What is left of a row's weight after one more row."""
    half_life = parameters["half_life"]
    left = 0.5 ** (1.0 / half_life) if half_life else float(parameters["forgetting_factor"])
    return left if left >= _LEAST_LEFT else 0.0


def _memory(
    parameters: dict[str, Any], n_features: int, whole: bool, p: int, q: int, slower: float
) -> tuple[str, str]:
    """Which memory, and why."""
    memory = str(parameters["memory"])
    if memory != "auto":
        return memory, "as asked for"
    if parameters["solver"] == "first_order":
        return "minibatch", "for first-order steps"
    if whole:  # which factored memory cannot answer
        dense = n_features <= choice.DENSE_LIMIT
        return ("dense", "all of the covariance is needed") if dense else ("factored", "too large")
    memory = "dense" if choice.dense_pays(n_features, p, q, slower=slower) else "factored"
    return memory, choice.reason(memory, n_features, p, q)
