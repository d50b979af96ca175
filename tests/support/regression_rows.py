"""Rows with known ordered pairs, and the regression of them."""

import numpy as np

from streampca import StreamingReducedRankRegression

EPS = np.finfo(float).eps


def rows(n_in=5, n=4, m=300, noise=0.3, seed=0, mean=10.0):
    """Inputs and targets with well separated singular values of the fit, off-centre."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.normal(size=(n_in, n_in)))[0] * np.linspace(1, 3, n_in)
    X = rng.normal(size=(m, n_in)) @ mix
    C = rng.normal(size=(n_in, n)) * np.arange(n, 0, -1.0)
    return X + mean, X @ C + noise * rng.normal(size=(m, n)) - mean


def closed_form(X, Y, p, weights=None):
    """A, B, singular values and fit by least squares on the rows: no moments are formed."""
    w = np.ones(len(X)) if weights is None else np.asarray(weights, float)
    x, y = w @ X / w.sum(), w @ Y / w.sum()
    root = np.sqrt(w)[:, None]
    Xc, Yc = root * (X - x), root * (Y - y)
    C = np.linalg.lstsq(Xc, Yc, rcond=1e-13)[0].T  # (n, n')
    U, s, _ = np.linalg.svd((Xc @ C.T).T, full_matrices=False)
    return U[:, :p], U[:, :p].T @ C, s[:p], C, y - C @ x


def learned(X, Y, size=64, sample_weight=None, **options):
    model = StreamingReducedRankRegression(**options)
    for start in range(0, len(X), size):
        piece = slice(start, start + size)
        w = None if sample_weight is None else sample_weight[piece]
        model.partial_fit(X[piece], Y[piece], sample_weight=w)
    return model


def assert_same(a, b, tolerance=1e-8):
    assert np.linalg.norm(np.asarray(a) - b) <= tolerance * np.linalg.norm(b)
