"""How many of a model's components a monitor uses: SPE needs something that they leave out.

The first k components of a model are the best model of k components, so that any k may be taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.monitor.spectrum import independent_rows
from streampca.rows import is_whole
from streampca.solvers import count_of_share, parallel_count, parallel_eigenvalues

Float64 = NDArray[np.float64]


def no_rest(model: Any) -> str:
    """Why there is no limit of SPE, and what to do."""
    p, n = np.asarray(model.components).shape
    said = f"the model has {p} components for {n} features, which leave nothing for SPE: "
    if n == 1:
        return said + "learn two features or more, or use t2, which needs no more than one"
    if p == 1:
        return said + "the features are multiples of each other; use t2, or learn others, too"
    return said + (
        'every row would alarm by rounding. Give Monitor(model, n_components="parallel"), a number '
        f"below {p} or a share such as 0.9; or learn fewer components"
    )


def leaves_a_rest(model: Any) -> bool:
    """Whether the components of a model leave out more variance than rounding.

    Where nothing varied at all they do: whatever comes that is not the same is an alarm.
    """
    if model.total_variance <= 0:
        return True
    values = np.asarray(model.explained_variance, "float64")
    return _rest(model, values) > 0


def _rest(model: Any, values: Float64) -> float:
    """The variance that components leave out, 0 where it is rounding: of sums of n terms."""
    n = len(model.mean)
    eps = float(np.finfo(np.asarray(model.components).dtype).eps)
    rest = float(model.total_variance) - float(values.sum())
    return rest if rest > n * eps * float(model.total_variance) else 0.0


def components_to_keep(model: Any, asked: Any) -> int:
    """How many of the components to use.

    Parameters
    ----------
    model : Checkpoint
    asked : int, float, "parallel", "auto" or None
        So many; the share of the variance; parallel analysis; all of them where they leave a rest,
        else parallel analysis; all of them.

    Raises
    ------
    ValueError
        If that is none of these, or the model has fewer.
    """
    p = len(model.components)
    if asked is None or (asked == "auto" and leaves_a_rest(model)):
        return p
    values = np.asarray(model.explained_variance, "float64")
    if asked in ("auto", "parallel"):
        return min(p, _parallel(model, values))
    if is_whole(asked) and 1 <= int(asked) <= p:
        return int(asked)
    if isinstance(asked, float) and 0 < asked < 1:
        return min(p, count_of_share(values, model.total_variance, asked))
    raise ValueError(
        f"n_components={asked!r} is not accepted: give a whole number from 1 to {p}, a share of "
        'variance between 0 and 1, "parallel", "auto" or None'
    )


def chance_of(model: Any) -> Float64:
    """Eigenvalues that as many rows of independent features with these variances give."""
    values = np.asarray(model.explained_variance, "float64")
    variances, freedom = _independent(model, values)
    return parallel_eigenvalues(variances, freedom, scaled=model.scale is not None)


def _independent(model: Any, values: Float64) -> tuple[Float64, float]:
    """Variances of the features, and how many rows they are from, less one for the mean."""
    C = np.asarray(model.components, "float64")
    if model.scale is None:
        rest = max(float(model.total_variance) - float(values.sum()), 0.0)
        variances = values @ (C * C)  # exact where all components are there
        variances = variances + rest / len(variances)
    else:
        variances = np.ones(C.shape[1])
    return variances, independent_rows(model) - 1


def _parallel(model: Any, values: Float64) -> int:
    """The number by parallel analysis; where possible fewer than leave nothing for SPE."""
    variances, freedom = _independent(model, values)
    count = parallel_count(values, variances, freedom, scaled=model.scale is not None)
    while count > 1 and _rest(model, values[:count]) == 0:
        count -= 1
    return count
