"""Parallel analysis: how many components are larger than those of features that say nothing.

Horn (1965): eigenvalues of as many rows of independent features with the same variances. Glorfeld
(1995): not their mean but a high quantile, which keeps fewer components of mere chance. Knows
eigenvalues, variances and how many rows there were; nothing of what is remembered.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

QUANTILE = 0.95
"""Of the eigenvalues that chance gives; each component kept is above it."""

_MOST_DRAWS, _LEAST_DRAWS, _WORK = 100, 8, 4e8
"""Draws, while n**3 operations of all of them stay below a second or so. Eigenvalues fluctuate less
the more features there are, by n^(-2/3), so that few draws tell as much then."""


def parallel_count(
    eigenvalues: Float64, variances: Float64, freedom: float, *, scaled: bool
) -> int:
    """How many leading eigenvalues exceed those that chance gives, at least 1.

    Parameters
    ----------
    eigenvalues : ndarray of shape (k,)
        Of the covariance or correlation matrix, largest first.
    variances : ndarray of shape (n,)
        Of the features; for correlations 1, and 0 for features that are constant.
    freedom : float
        Rows that were independent, less one for the mean.
    scaled : bool
        Whether eigenvalues are of the correlation matrix.

    Examples
    --------
    >>> three, noise = np.array([4.0, 3.0, 2.0]), np.linspace(1.2, 0.8, 7) * 0.14
    >>> parallel_count(np.concatenate([three, noise]), np.ones(10), 499, scaled=True)
    3
    """
    chance = parallel_eigenvalues(variances, freedom, scaled=scaled)
    if len(chance) == 0:
        return 1
    count = min(len(eigenvalues), len(chance) - 1)  # the last is what is left, whatever it is
    above = eigenvalues[:count] > chance[:count]
    return max(1, count if above.all() else int(np.argmin(above)))


def parallel_eigenvalues(variances: Float64, freedom: float, *, scaled: bool) -> Float64:
    """What chance gives, largest first: the eigenvalues that components have to exceed.

    As for `parallel_count`; one for each feature that varies, none where that says nothing.
    """
    spread = np.sort(variances[variances > 0])[::-1]
    n = len(spread)
    if n < 2 or freedom < 1:
        return np.empty(0)
    return _correlations(n, _rounded(freedom)) if scaled else _eigenvalues(spread, freedom)


def count_of_share(eigenvalues: Float64, total_variance: float, share: float) -> int:
    """How many leading eigenvalues together exceed a share of the total variance.

    Examples
    --------
    >>> count_of_share(np.array([6.0, 3.0, 1.0]), 10.0, 0.8)
    2
    """
    explained = np.cumsum(eigenvalues / max(total_variance, np.finfo(float).tiny))
    return int(np.searchsorted(explained, share, side="right")) + 1


def _rounded(freedom: float) -> float:
    """Two digits, downwards: streams grow row by row, and chance changes little meanwhile."""
    unit = 10.0 ** (np.floor(np.log10(freedom)) - 1)
    return float(np.floor(freedom / unit) * unit)


@functools.lru_cache(maxsize=64)
def _correlations(n: int, freedom: float) -> Float64:
    return _eigenvalues(np.ones(n), freedom, correlations=True)


def _eigenvalues(variances: Float64, freedom: float, *, correlations: bool = False) -> Float64:
    """The quantile of each eigenvalue, (n,) largest first, over draws that are the same always."""
    n = len(variances)
    draws = int(np.clip(_WORK // n**3, _LEAST_DRAWS, _MOST_DRAWS))
    rng = np.random.default_rng(0)
    found = np.zeros((draws, n))
    for draw in range(draws):
        L = _root_of_wishart(rng, n, freedom)
        lengths = np.linalg.norm(L, axis=1) if correlations else np.sqrt(freedom / variances)
        values = np.linalg.svd(L / lengths[:, None], compute_uv=False) ** 2
        found[draw, : len(values)] = values
    quantiles = np.asarray(np.quantile(found, QUANTILE, axis=0))
    quantiles.flags.writeable = False  # it is kept for whoever asks next
    return quantiles


def _root_of_wishart(rng: np.random.Generator, n: int, freedom: float) -> Float64:
    """L (n, any) with L L' the scatter of rows of n independent features (Bartlett 1933)."""
    if freedom < n:
        return np.asarray(rng.normal(size=(n, max(1, round(freedom)))))
    L = np.tril(rng.normal(size=(n, n)), -1)
    L[np.diag_indices(n)] = np.sqrt(rng.chisquare(freedom - np.arange(n)))
    return np.asarray(L)
