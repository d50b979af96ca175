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


def batch_covariance(X, weights=None, remembered=None):
    """Mean (n,) and unbiased covariance (n, n) of rows; differences from row 0 come first.

    So that means far above the spread cost no digits. `remembered` (m,) is what forgetting has
    left of each row's weight. The denominator is w - sum(weights remembered^2) / w, which is
    w - 1 where nothing is forgotten; it is kept above w / 2, as documented.
    """
    X = np.asarray(X, dtype="float64")
    copies = np.ones(len(X)) if weights is None else np.asarray(weights, dtype="float64")
    g = np.ones(len(X)) if remembered is None else np.asarray(remembered, dtype="float64")
    w = copies * g
    total = w.sum()
    if total == 0:
        return np.zeros(X.shape[1]), np.zeros((X.shape[1], X.shape[1]))
    D = X - X[0]
    offset = w @ D / total
    D -= offset
    D -= w @ D / total  # what rounding left of the mean
    scatter = (D.T * w) @ D
    return X[0] + offset, scatter / max(total - (copies * g * g).sum() / total, total / 2)


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


def leading_sines(components, vectors):
    """For each k, the sine of the largest angle between the first k of both, of unit rows (p, n).

    By the part that sticks out, not by the cosine: that would lose half the digits.
    """
    C = np.asarray(components, dtype="float64")
    U = np.asarray(vectors, dtype="float64")
    return np.array(
        [
            np.linalg.norm(C[:k] - C[:k] @ U[:k].T @ U[:k], 2) if k else 0.0
            for k in range(1, len(C) + 1)
        ]
    )
