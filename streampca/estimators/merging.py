"""merge_all: what many workers have learned, folded into one estimator, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pyarrow as pa

from streampca.checkpoint import Checkpoint, Part
from streampca.estimators.pca import StreamingPCA
from streampca.estimators.regression import StreamingReducedRankRegression
from streampca.wire import WireError

Estimator: TypeAlias = StreamingPCA | StreamingReducedRankRegression

_ESTIMATORS = (StreamingPCA, StreamingReducedRankRegression)
_TAKEN = (
    "merge_all takes an iterable of parts: bytes of part() or of Checkpoint.to_bytes(), "
    "checkpoints, estimators, None"
)


def merge_all(parts: Iterable[Any]) -> Any:
    """One estimator that has learned what all parts have, as if their rows had come to it.

    Parts are folded one at a time, in their order, so that a generator needs memory for one of
    them beside the result; the same parts in the same order give the same bits on every machine
    of a kind. None of them is changed.

    Parameters
    ----------
    parts : iterable
        Of bytes (what `part` returned, or `Checkpoint.to_bytes`; in whatever holds bytes: a
        bytearray, an Arrow scalar), of checkpoints, of estimators, mixed as they come. None, no
        bytes, and parts without rows are passed over.

    Returns
    -------
    StreamingPCA or StreamingReducedRankRegression
        With the parameters of the first part that has rows, on the CPU where that is bytes or a
        checkpoint. A new one; of no rows if no part has any. Nothing has been solved.

    Raises
    ------
    TypeError
        If a part is something else, or parts are of different estimators.
    ValueError
        If parts do not fit each other, bytes cannot be read (a `WireError`), or there is no part.
        The message counts parts from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> X = np.random.default_rng(0).normal(size=(100, 3)) * [3.0, 2.0, 1.0]
    >>> parts = [StreamingPCA(2).partial_fit(X[i::4]).part() for i in range(4)]
    >>> pca = merge_all([None, *parts, b""])
    >>> pca.n_samples_seen_, bool(np.allclose(pca.var_, X.var(axis=0, ddof=1)))
    (100, True)

    A tree, where the parts are many: what `part` gives of a merged model is a part again.

    >>> halves = [merge_all(parts[:2]).part(), merge_all(parts[2:]).part()]
    >>> merge_all(halves).n_samples_seen_
    100
    """
    total: Estimator | None = None
    place = 0
    for given in _iterated(parts):
        with _told(place):
            total = _folded(total, given)
        del given  # not two at once, while the next one comes; enumerate would keep it, too
        place += 1  # noqa: SIM113
    if total is None:
        raise ValueError("there is no part to merge: an estimator without rows has a part(), too")
    return total


def _iterated(parts: Any) -> Iterator[Any]:
    single = (*_ESTIMATORS, Checkpoint, bytes, bytearray, memoryview, str, Mapping)
    if isinstance(parts, single) or not isinstance(parts, Iterable):
        raise TypeError(f"{_TAKEN}; got {type(parts).__name__}: give a list of them")
    return iter(parts)


def _folded(total: Estimator | None, given: Any) -> Estimator | None:
    """The total with one part more."""
    part = _read(given)
    if part is None:
        return total
    if part.settings.get("solver") == "first_order":
        raise ValueError(
            "solver='first_order' has its solution in its steps, and moments alone do not give it: "
            "merge into one of the estimators, copy.deepcopy(one).merge(other)"
        )
    if total is None or (total._learner is None and part.moments is not None):
        return _begun(given, part)
    return total._add_part(part)


@contextmanager
def _told(place: int) -> Iterator[None]:
    """Say which part an error is of."""
    try:
        yield
    except WireError as error:
        raise WireError(f"part {place}: {error}") from error
    except TypeError as error:
        raise TypeError(f"part {place}: {error}") from error
    except ValueError as error:
        raise ValueError(f"part {place}: {error}") from error


def _read(given: Any) -> Part | None:
    """The part in what was given; None where that is nothing."""
    if isinstance(given, pa.Scalar):
        given = given.as_py()
    if given is None:
        return None
    if isinstance(given, _ESTIMATORS):
        return given._part()
    if isinstance(given, Checkpoint):
        return _of_checkpoint(given)
    if isinstance(given, (bytes, bytearray, memoryview, pa.Buffer)):
        data = memoryview(given)
        return _of_bytes(data) if data.nbytes else None
    if callable(getattr(type(given), "part", None)):  # a face of an estimator
        return Part.from_bytes(given.part())
    raise TypeError(f"{_TAKEN}; got {type(given).__name__}")


def _of_bytes(data: memoryview) -> Part:
    try:
        return Part.from_bytes(data)
    except WireError as error:
        try:
            checkpoint = Checkpoint.from_bytes(data)
        except WireError:
            raise error from None
    return _of_checkpoint(checkpoint)


def _of_checkpoint(checkpoint: Checkpoint) -> Part:
    if not checkpoint.moments_kind:
        raise ValueError(
            f"{checkpoint!r} was stored without moments, which merging needs: take it as "
            "checkpoint() gives it"
        )
    return Part.of_checkpoint(checkpoint)


def _begun(given: Any, part: Part) -> Estimator:
    """An estimator that has learned the first part and nothing else."""
    if isinstance(given, _ESTIMATORS):
        fresh = given._blank()
    else:
        kind = StreamingReducedRankRegression if part.of_targets else StreamingPCA
        unknown = set(part.settings) - set(kind().get_params())
        if unknown:
            raise WireError(
                f"this streampca knows no parameter {min(unknown)!r} of {kind.__name__}: upgrade it"
            )
        fresh = kind(**{**part.settings, "device": None})
    return fresh._add_part(part)
