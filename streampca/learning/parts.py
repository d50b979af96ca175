"""Learning part by part, as one call: all of the parts are learned, or none.

Knows nothing of what parts are made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from streampca.rows import number_of_rows, read_weights, renumbered, that_count


class Estimator(Protocol):
    """What learns from parts: it reads rows, and learns from them."""

    _learner: Any
    _feature_names: tuple[str, ...] | None

    def _read(self, X: Any) -> Any: ...
    def partial_fit(self, X: Any, *, sample_weight: Any = None) -> Any: ...


def learn_parts(pca: Estimator, parts: Iterable[Any], sample_weight: Any) -> None:
    """Learn from rows part by part, each with its share of the weights.

    Raises
    ------
    ValueError
        If a row of any part cannot be used, by its number among all; nothing is learned.
    """
    weights = None if sample_weight is None else read_weights(sample_weight, None)
    if weights is None or len(weights):
        that_count(weights)  # raises if all are zero

    def learn(part: Any, first: int) -> int:
        stop = first + number_of_rows(part)
        if weights is None:
            pca.partial_fit(part)
        elif stop <= len(weights) and not weights[first:stop].any():
            pca._read(part)  # rows of weight 0 are checked, too
        elif stop <= len(weights):
            pca.partial_fit(part, sample_weight=weights[first:stop])
        else:
            raise ValueError(
                f"sample_weight has shape ({len(weights)},): give one weight for each of the rows, "
                f"of which there are at least {stop}"
            )
        return stop - first

    with _unchanged_on_error(pca):
        n_rows = renumbered(parts, learn)
        if weights is not None:
            read_weights(weights, n_rows)


@contextmanager
def _unchanged_on_error(pca: Estimator) -> Iterator[None]:
    """Whatever is learned inside is forgotten again if an error comes.

    The learner is not locked meanwhile: loading a part may take long, and may start processes.
    """
    learner, names = pca._learner, pca._feature_names
    before = None if learner is None else learner.__getstate__()
    try:
        yield
    except BaseException:
        pca._learner, pca._feature_names = learner, names
        if learner is not None and before is not None:
            with learner.lock:
                learner.__dict__ |= before
        raise
