"""What fitted estimators are used for, held against their attributes: rows, covariance, scores."""

from __future__ import annotations

import numpy as np
from spectral_truth import UNIT

SMALL = 60
"""Features up to which n x n matrices are compared."""


def check_use(reading) -> list[str]:
    """What is wrong with what is made of the components."""
    _rows(reading)
    if reading.truth.X.shape[1] <= SMALL and reading.stream.notes["place"] not in ("tiny", "huge"):
        _covariance(reading)
        _score(reading)
    return reading.wrong


def _dense(A) -> np.ndarray:
    return np.asarray(A.toarray() if hasattr(A, "toarray") else A, "float64")


def _rows(reading) -> None:
    pca, stream, unit = reading.pca, reading.stream, reading.truth.unit
    given = stream.rows(0, min(20, stream.X.shape[0]))
    X, mean, C = _dense(given) / unit, pca.mean_ / unit, reading.C
    n = X.shape[1]
    Z = np.asarray(pca.transform(given), "float64") / unit
    # n products of an entry, of the row or of the mean, with a loading; and the mean is cast
    reach = np.linalg.norm(X, axis=1)[:, None] + np.linalg.norm(mean)
    slack = 8 * reading.u * (n**0.5 + 2) * reach + 1e-300
    reading.within("transform", Z, (X - mean) @ C.T, slack)
    back = pca.inverse_transform(np.asarray(pca.transform(given)))
    reading.within("inverse_transform", np.asarray(back, "float64") / unit, Z @ C + mean, 2 * slack)
    pca.whiten = True
    try:
        white = np.asarray(pca.transform(given), "float64")
        again = np.asarray(pca.inverse_transform(pca.transform(given)), "float64") / unit
    finally:
        pca.whiten = False
    if not np.isfinite(white).all():
        reading.fail("whitened coordinates are not finite")
        return
    values = reading.values
    first = values[:1].max(initial=0.0)
    # and variances below a few steps between numbers of the mean's size are none
    step = 8 * reading.u * float(np.abs(mean).max())
    shown = values > max(10 * n * 2 * UNIT[stream.dtype] * first, step * step)
    scale = np.where(shown, np.sqrt(np.where(shown, values, 1.0)), 0.0)
    reading.within("whitened", white * scale, Z * (scale > 0) + white * 0, 2 * slack)
    if shown.all():
        reading.within("whitened and back", again, Z @ C + mean, 8 * slack)


def _covariance(reading) -> None:
    """Covariance and precision are each other's pseudo-inverse (Penrose), both symmetric."""
    pca, unit = reading.pca, reading.truth.unit
    K, P = pca.get_covariance() / unit / unit, pca.get_precision() * unit * unit
    if not (np.isfinite(K).all() and np.isfinite(P).all()):
        reading.fail("covariance or precision is not finite")
        return
    values, C = reading.values, reading.C
    noise = pca.noise_variance_ / unit / unit
    own = (C.T * np.maximum(values - noise, 0.0)) @ C + noise * np.eye(C.shape[1])
    largest = max(float(np.abs(own).max()), 1e-300)
    reading.within("get_covariance", K, own, 1e-12 * largest)
    # eigenvalues of the model; what is there but next to nothing is either cut or inverted
    s = np.maximum(np.append(values, noise if len(values) < len(K) else values[-1]), noise)
    if s[0] <= 0:
        if np.abs(P).max() > 0:
            reading.fail("precision of rows without variance is not zero")
        return
    # between numbers of that size, and how far rounding may move a mean: less than this may be cut
    step = max(2 * reading.u, 8 * UNIT["float64"]) * float(np.abs(pca.mean_).max()) / unit
    if ((s < max(1e-6 * s[0], step * step)) & (s > 0)).any():
        return
    low = s[s > 0].min()
    condition = s[0] / low
    # components are orthonormal to rounding in their dtype, and the inverse multiplies that
    slack = 100 * K.shape[0] * reading.u * condition
    if slack > 0.05:
        return
    reading.within("K P K", K @ P @ K / s[0], K / s[0], slack)
    reading.within("P K P", P @ K @ P * low, P * low, slack)


def _score(reading) -> None:
    """Rows that were learned are as likely as the model that was made of them says."""
    pca, stream, t = reading.pca, reading.stream, reading.truth
    plain = stream.weights is None and (t.remembered == 1).all() and t.center
    found = np.asarray(pca.score_samples(stream.rows(0, min(20, stream.X.shape[0]))))
    # rows of small weight, or nearly forgotten, may lie where the model has no density at all
    if np.isnan(found).any() or (plain and not np.isfinite(found).all()):
        reading.fail(f"score_samples of the rows themselves is {found.min()}")
        return
    if not plain or reading.discarded > reading.bounds.sigma or len(t.X) != len(stream.X):
        return
    # The mean quadratic form of the rows a Gaussian was fitted to is at most its dimensions n, and
    # the logarithm of its determinant at least n times that of the rounding of lambda_1: no row's
    # mean score is below this.
    n = t.X.shape[1]
    first = max(float(reading.values[0]) * t.unit**2, 1e-300)
    floor = abs(np.log(first)) + abs(np.log(first * 1e-16))
    score = pca.score(stream.rows(0, stream.X.shape[0]))
    if not -n * (2 + floor + 50) <= score <= n * (2 + floor + 50):
        reading.fail(f"score of the rows themselves is {score:.3g}")
