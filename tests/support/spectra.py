"""Rows of all kinds, as float64 arrays: families of spectra, smooth curves, degenerate tables.

Each family is a function of a generator and a shape, and returns rows (m, n) in units near one.
What is then done to them (means, scales, types, weights, pieces) stands in spectral_streams.py.
"""

from collections.abc import Callable

import numpy as np


def _basis(rng, n, k):
    return np.linalg.qr(rng.normal(size=(n, k)))[0].T  # (k, n)


def with_spectrum(rng, m, n, deviations):
    """Rows with these standard deviations along random orthonormal directions."""
    k = min(len(deviations), n)
    return (rng.normal(size=(m, k)) * deviations[:k]) @ _basis(rng, n, k)


# --- spectra --------------------------------------------------------------------------------------


def polynomial(rng, m, n):
    return with_spectrum(rng, m, n, np.arange(1.0, n + 1) ** -rng.choice([0.25, 0.45, 1, 2, 5]))


def geometric(rng, m, n):
    return with_spectrum(rng, m, n, rng.choice([0.1, 0.5, 0.7, 0.9, 0.99]) ** np.arange(n))


def steps(rng, m, n):
    """Plateaus, each a thousand (or ten, or a million) times below the one before."""
    width, drop = rng.choice([1, 2, 5, 20]), rng.choice([1e-1, 1e-3, 1e-6])
    return with_spectrum(rng, m, n, float(drop) ** (np.arange(n) // width))


def low_rank(rng, m, n):
    r = int(rng.choice([1, 2, 5, 20]))
    X = rng.normal(size=(m, r)) @ rng.normal(size=(r, n))
    return X + rng.choice([0.0, 1e-12, 1e-9, 1e-6, 1e-3]) * rng.normal(size=(m, n))


def clusters(rng, m, n):
    """Eigenvalues of the rows themselves that are equal, not of their distribution alone."""
    k = max(1, min(n, m - 1))
    Z = rng.normal(size=(m, k))
    Z = np.linalg.qr(Z - Z.mean(0))[0] * m**0.5
    width = rng.choice([1, 2, 3, 10])
    return (Z * rng.choice([0.5, 0.9, 1e-3]) ** (np.arange(k) // width)) @ _basis(rng, n, k)


def noise_floor(rng, m, n):
    deviations = rng.choice([0.3, 0.7]) ** np.arange(n) + rng.choice([1e-2, 1e-4, 1e-7, 1e-10])
    return with_spectrum(rng, m, n, deviations)


# --- smooth rows ----------------------------------------------------------------------------------


def moving_peaks(rng, m, n):
    """A gaussian peak at a random place of n points: absorption lines, spikes."""
    grid, width = np.linspace(0, 1, n), rng.uniform(0.02, 0.4)
    return np.exp(-(((grid - rng.uniform(size=(m, 1))) / width) ** 2))


def chromatogram(rng, m, n):
    """Sums of a few peaks at fixed times in varying amounts, on a baseline that drifts."""
    grid, k = np.linspace(0, 1, n), int(rng.integers(2, 9))
    width = rng.uniform(0.01, 0.1, size=(k, 1))
    peaks = np.exp(-(((grid - rng.uniform(size=(k, 1))) / width) ** 2))
    amounts = rng.lognormal(sigma=0.5, size=(m, k))
    drift = rng.normal(scale=0.1, size=(m, 3)) @ np.stack([grid**0, grid, grid**2])
    return amounts @ peaks + drift + rng.choice([0.0, 1e-8, 1e-3]) * rng.normal(size=(m, n))


def images(rng, m, n):
    """Rendered blobs that move over a square picture (of the largest square within n)."""
    side = max(1, int(n**0.5))
    y, x = np.mgrid[0:side, 0:side] / side
    at, width = rng.uniform(size=(2, m, 1, 1)), rng.uniform(0.1, 0.5)
    pictures = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / width**2).reshape(m, -1)
    return np.pad(pictures, ((0, 0), (0, n - side * side)))


def mesh(rng, m, n):
    """Displacements of the points of a rod in a few modes, their amplitudes falling fast."""
    modes = np.arange(1, 31)[:, None]
    shapes = np.sin(np.pi * modes * np.linspace(0, 1, n))
    return (rng.normal(size=(m, 30)) * modes[:, 0] ** -float(rng.choice([2, 4, 8]))) @ shapes


def monomials(rng, m, n):
    """Powers of one number: the classical collinear table."""
    return rng.uniform(-1, 1, size=(m, 1)) ** np.arange(n)


def random_walks(rng, m, n):
    return np.cumsum(rng.normal(size=(m, n)), axis=1) / n**0.5


# --- tables ---------------------------------------------------------------------------------------


def one_hot(rng, m, n):
    shares = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 100.0])))
    return np.eye(n)[rng.choice(n, size=m, p=shares)]


def constant_features(rng, m, n):
    X = with_spectrum(rng, m, n, 1.0 / np.arange(1, n + 1))
    fixed = rng.random(n) < rng.choice([0.1, 0.5, 0.9])
    X[:, fixed] = rng.choice([0.0, 1.0, 0.1, 1e6], size=fixed.sum())
    return X


def equal_columns(rng, m, n):
    """Columns that repeat each other, some times a factor, some but for the last digits."""
    k = max(1, n // int(rng.choice([2, 4, 10])))
    X = rng.normal(size=(m, k))[:, rng.integers(0, k, n)] * rng.choice([1.0, -1.0, 3.0], size=n)
    return X * (1 + rng.choice([0.0, 1e-15, 1e-12, 1e-7]) * rng.normal(size=(m, n)))


def equal_rows(rng, m, n):
    few = rng.normal(size=(int(rng.choice([1, 2, 3, 10])), n))
    return few[rng.integers(0, len(few), m)]


def large_feature(rng, m, n):
    X = rng.normal(size=(m, n)) * np.arange(1.0, n + 1) ** -0.45
    X[:, rng.integers(n)] *= rng.choice([1e2, 1e4])
    return X


def large_row(rng, m, n):
    X = with_spectrum(rng, m, n, 0.8 ** np.arange(n))
    X[rng.integers(m)] *= rng.choice([1e2, 1e5])
    return X


def counts(rng, m, n):
    return rng.poisson(rng.gamma(0.5, 5.0, size=n), size=(m, n)).astype("float64")


def pixels(rng, m, n):
    return np.clip(128 + 64 * random_walks(rng, m, n), 0, 255).round()


def few_entries(rng, m, n):
    """Most entries are zero."""
    return rng.lognormal(size=(m, n)) * (rng.random((m, n)) < rng.choice([0.01, 0.05, 0.3]))


# --- rows that change while they come -------------------------------------------------------------


def turning(rng, m, n):
    """The leading direction turns, and the mean goes with it."""
    k = min(n, 8)
    phase = np.linspace(0, 3, m)[:, None]
    Z = rng.normal(size=(m, k)) * 0.6 ** np.arange(k)
    a, b = _basis(rng, n, k), _basis(rng, n, k)
    return np.cos(phase) * (Z @ a) + np.sin(phase) * (Z @ b) + phase * a[0]


def waking(rng, m, n):
    """Features that are silent at first and then the strongest."""
    X = rng.normal(size=(m, n)) * 0.9 ** np.arange(n)
    late = np.arange(n) >= n - max(1, n // 3)
    X[: m // 2, late] = 0.0
    X[m // 2 :, late] *= 30 * 0.9 ** -np.flatnonzero(late)[0]
    return X


FAMILIES: dict[str, Callable] = {
    each.__name__: each
    for each in (
        *(polynomial, geometric, steps, low_rank, clusters, noise_floor),
        *(moving_peaks, chromatogram, images, mesh, monomials, random_walks),
        *(one_hot, constant_features, equal_columns, equal_rows, large_feature, large_row),
        *(counts, pixels, few_entries, turning, waking),
    )
}

SMOOTH = ("moving_peaks", "chromatogram", "images", "mesh", "random_walks")
"""Those that have many features where they are met."""
