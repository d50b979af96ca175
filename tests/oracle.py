"""Batch PCA in float64 with numpy alone: what everything else is compared with."""

import numpy as np


def batch_pca(X, p, weights=None):
    """Mean (n,), components (p, n), variances (p,) and total variance; weights count copies."""
    X = np.asarray(X, dtype="float64")
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype="float64")
    mean = w @ X / w.sum()
    D = X - mean
    Sigma = (D.T * w) @ D / ((w.sum() - 1) or 1)  # one row has no spread: 0, not 0 / 0
    values, vectors = np.linalg.eigh(Sigma)
    return mean, vectors[:, ::-1][:, :p].T, values[::-1][:p], float(np.trace(Sigma))


def excess_error(components, X):
    """Extra reconstruction error of the rows relative to batch PCA's.

    Zero and repeated components keep nothing. Where batch PCA leaves no error (p = n, few rows),
    it is 0 if the components leave none either, otherwise infinite.
    """
    X = np.asarray(X, dtype="float64")
    mean, _, variances, total = batch_pca(X, len(components))
    _, lengths, V = np.linalg.svd(np.asarray(components, dtype="float64"), full_matrices=False)
    V = V[lengths > 1e-12 * lengths.max()]
    lost = variances.sum() - (((X - mean) @ V.T) ** 2).sum() / max(len(X) - 1, 1)
    rest = total - variances.sum()
    rounding = 1e-13 * total
    if rest > rounding:
        return lost / rest
    return 0.0 if lost <= rounding else np.inf


def ordered_share(components, reference, threshold=0.99):
    """Share of the reference directions found in the right place; both of unit rows (p, n)."""
    cosines = np.abs((np.asarray(components) * np.asarray(reference)).sum(axis=1))
    return float((cosines > threshold).mean())
