"""How large what travels and waits is: runners take elements and state up to a size only."""

from __future__ import annotations

import functools
import logging
import warnings
from typing import Any

from beam_pipelines.learning.parameters import check
from streampca.learning import resolve_parameters

LIMIT = 80_000_000
"""Bytes of one element, and of one value of state, that Dataflow takes."""

_log = logging.getLogger(__name__)


class SizeWarning(UserWarning):
    """What a key remembers is larger than runners take; the message says what to do."""


def element_bytes(parameters: dict[str, Any], n_features: int) -> int:
    """Bytes of the moments of one window and key, in an element and in the state of open windows.

    Dense ones of fewer rows than half the features are these rows, and smaller.

    Examples
    --------
    >>> from beam_pipelines.learning.parameters import check
    >>> element_bytes(check({"n_components": 10}), 1000)
    8008000
    """
    chosen = resolve_parameters(parameters, n_features)
    n, number = n_features, 4 if parameters["dtype"] == "float32" else 8
    if chosen.memory == "dense":
        return 8 * n * n + 8 * n  # Sigma, mean
    if chosen.memory == "minibatch":
        return number * n * chosen.batch_size
    q = chosen.n_directions
    return number * n * q + 8 * q + 8 * 2 * n  # directions, eigenvalues; mean, squares


def state_bytes(parameters: dict[str, Any], n_features: int) -> int:
    """Bytes of a key's model in state: its moments, components, decoder and encoder.

    Examples
    --------
    >>> from beam_pipelines.learning.parameters import check
    >>> state_bytes(check({"n_components": 10}), 1000)
    8264000
    """
    p = resolve_parameters(parameters, n_features).n_components
    number = 4 if parameters["dtype"] == "float32" else 8
    variances = 8 * 2 * n_features
    return element_bytes(parameters, n_features) + 3 * number * p * n_features + variances


def warn(parameters: dict[str, Any], n_features: int) -> None:
    """Warn, where the pipeline is built, of what is too large for some runners."""
    size = state_bytes(parameters, n_features)
    if size <= LIMIT:
        return
    warnings.warn(
        f"the model of a key of {n_features:,} features is {_megabytes(size)} MB in state, and its "
        f"moments {_megabytes(element_bytes(parameters, n_features))} MB in an element: Dataflow "
        f"takes up to {_megabytes(LIMIT)} MB. {_way_out(parameters, n_features)}",
        SizeWarning,
        stacklevel=4,
    )


def _way_out(parameters: dict[str, Any], n_features: int) -> str:
    if resolve_parameters(parameters, n_features).memory == "dense":
        factored = parameters | {"memory": "factored"}
        try:
            size = state_bytes(factored, n_features)
        except ValueError:  # it does not go with a share of the variance
            return "Give a whole number of components and memory='factored', or fewer features."
        if size <= LIMIT:
            return f"Use memory='factored' ({_megabytes(size)} MB), or fewer features."
    return "Use fewer components, a smaller oversample, dtype='float32', or fewer features."


@functools.cache
def say_once(size: int) -> None:
    """Log once on a worker that state is too large for some runners."""
    _log.warning(
        "A model takes %s MB of state; Dataflow takes up to %s MB. Use memory='factored', fewer "
        "components, or fewer features.",
        _megabytes(size),
        _megabytes(LIMIT),
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}"


def table() -> str:
    """The table of docs/deploy.md: sizes by number of features and memory, with 10 components."""
    lines = ["| features | memory | element, MB | state, MB | Dataflow |", "|---|---|---|---|---|"]
    for n_features in (100, 1000, 2000, 3000, 4096, 10_000, 100_000, 1_000_000):
        for memory in ("dense", "factored"):
            if memory == "dense" and n_features > 10_000:
                continue
            parameters = check({"n_components": 10, "memory": memory})
            sizes = element_bytes(parameters, n_features), state_bytes(parameters, n_features)
            shown = " | ".join(f"{size / 1e6:,.2f}" for size in sizes)
            fits = "yes" if sizes[1] <= LIMIT else "no"
            lines.append(f"| {n_features:,} | {memory} | {shown} | {fits} |")
    return "\n".join(lines)
