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


def denominator(weights, remembered=None):
    """W - sum(w g^2) / W or W - sum((w g)^2) / W, the larger, of weights w of which g is left.

    As sums over pairs of rows and of copies: no difference, which would lose what is next to W.
    """
    v = weights if remembered is None else weights * remembered
    total = v.sum()
    before = np.concatenate([[0.0], np.cumsum(v[:-1])])
    pairs = 2 * before @ (v / total)
    copies = ((weights - 1) * (v / weights if remembered is None else remembered)) @ (v / total)
    return (pairs + max(copies, 0.0)) or total


def batch_covariance(X, weights=None, remembered=None):
    """Mean (n,) and unbiased covariance (n, n) of rows; differences from one row come first.

    So that means far above the spread cost no digits; from the heaviest, so that what stands next
    to it costs none either. `remembered` (m,) is what forgetting has left of each row's weight.
    """
    X = np.asarray(X, dtype="float64")
    copies = np.ones(len(X)) if weights is None else np.asarray(weights, dtype="float64")
    g = np.ones(len(X)) if remembered is None else np.asarray(remembered, dtype="float64")
    X, copies, g = (part[copies > 0] for part in (X, copies, g))
    w = copies * g
    total = w.sum()
    if total == 0:
        return np.zeros(X.shape[1]), np.zeros((X.shape[1], X.shape[1]))
    about = X[np.argmax(w)]
    D = X - about
    offset = w @ D / total
    D -= offset
    scatter = (D.T * w) @ D
    return about + offset, scatter / denominator(copies, g)


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
