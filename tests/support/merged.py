"""Rows that are learned in parts, and what the merged model should be."""

import numpy as np
import pyarrow as pa

from streampca import (
    StreamingPCA,
    StreamingReducedRankRegression,
)

NAMES = ("oil", "air", "water", "sand", "salt")
X = np.random.default_rng(0).normal(size=(400, 5)) * [5, 4, 3, 2, 1] + [9, 0, -3, 1e3, 0]
Y = X @ np.random.default_rng(1).normal(size=(5, 3)) + [1, 2, 3]
Y += np.random.default_rng(2).normal(size=Y.shape)


def pca_of(rows, **options):
    return StreamingPCA(**({"n_components": 2} | options)).partial_fit(rows)


def pairs_of(rows, **options):
    model = StreamingReducedRankRegression(**({"n_components": 2} | options))
    return model.partial_fit(X[rows], Y[rows])


FORMS = {
    "part": lambda pca: pca.part(),
    "bytearray": lambda pca: bytearray(pca.part()),
    "view": lambda pca: memoryview(pca.part()),
    "Arrow buffer": lambda pca: pa.py_buffer(pca.part()),
    "Arrow scalar": lambda pca: pa.scalar(pca.part()),
    "checkpoint": lambda pca: pca.checkpoint(),
    "bytes of a checkpoint": lambda pca: pca.checkpoint().to_bytes(),
    "estimator": lambda pca: pca,
}
NOTHING = {
    "None": None,
    "no bytes": b"",
    "null": pa.scalar(None, pa.binary()),
    "unfitted": StreamingPCA(2),
    "part of no rows": StreamingPCA(2).part(),
    "partial_fit of no rows": StreamingPCA(2).partial_fit(X[:0]),
}


def assert_is_of(model, rows, rtol=1e-12):
    covariance = np.cov(rows.T)
    values = np.linalg.eigvalsh(covariance)[::-1][: model.n_components_]
    assert model.n_samples_seen_ == len(rows)
    np.testing.assert_allclose(model.mean_, rows.mean(axis=0), rtol=rtol, atol=1e-11)
    np.testing.assert_allclose(model.explained_variance_, values, rtol=rtol)
    np.testing.assert_allclose(
        (model.components_ @ covariance), values[:, None] * model.components_, atol=1e-9
    )
