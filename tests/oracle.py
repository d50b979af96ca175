"""Batch PCA in float64 with numpy alone: what everything else is compared with."""

import numpy as np


def batch_pca(X, p, weights=None):
    """Mean (n,), components (p, n), variances (p,) and total variance; weights count copies."""
    X = np.asarray(X, dtype="float64")
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype="float64")
    mean = w @ X / w.sum()
    D = X - mean
    Sigma = (D.T * w) @ D / (w.sum() - 1)
    values, vectors = np.linalg.eigh(Sigma)
    return mean, vectors[:, ::-1][:, :p].T, values[::-1][:p], float(np.trace(Sigma))


def excess_error(components, X):
    """Extra reconstruction error of the rows relative to batch PCA's."""
    X = np.asarray(X, dtype="float64")
    mean, _, variances, total = batch_pca(X, len(components))
    Q, _ = np.linalg.qr(np.asarray(components, dtype="float64").T)
    kept = (((X - mean) @ Q) ** 2).sum() / (len(X) - 1)
    return (variances.sum() - kept) / (total - variances.sum())


def ordered_share(components, reference, threshold=0.99):
    """Share of the reference directions found in the right place."""
    cosines = np.abs((np.asarray(components) * np.asarray(reference)).sum(axis=1))
    return float((cosines > threshold).mean())
