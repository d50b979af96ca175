"""Measured spectra, whose noise makes them well conditioned, stay as right as they were."""

import numpy as np
import pytest

from benchmarks import data
from streampca import StreamingPCA

SPECTRA = {
    "fermentation": (data.fermentation_spectra, (1629, 1047)),
    "coffee": (data.coffee_spectra, (60, 1841)),
}


@pytest.fixture(scope="module", params=SPECTRA)
def spectra(request):
    fetch, shape = SPECTRA[request.param]
    try:
        X = fetch()
    except (OSError, SystemExit) as error:
        pytest.skip(f"the data cannot be fetched: {error}")
    assert X.shape == shape
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / (len(X) - 1)
    return X, values


@pytest.mark.parametrize("memory", ["auto", "dense", "factored"])
@pytest.mark.parametrize("piece", [20, 250])
@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-8), ("float32", 1e-5)])
def test_measured_spectra_are_batch_pca(spectra, memory, piece, dtype, allowed):
    p = 20
    pca = StreamingPCA(p, memory=memory)
    X, values = spectra[0].astype(dtype), spectra[1]
    for start in range(0, len(X), piece):
        pca.partial_fit(X[start : start + piece])
    total, values = values.sum(), values[:p]
    C = pca.components_.astype("float64")
    assert np.abs(C @ C.T - np.eye(p)).max() <= {"float64": 1e-10, "float32": 1e-4}[dtype]
    error = np.abs(pca.explained_variance_ - values).max()
    assert error <= allowed * values[0]
    assert error <= pca.discarded_variance_ + {"float64": 1e-12, "float32": 1e-5}[dtype] * total
    assert pca.explained_variance_.sum() <= total * (1 + {"float64": 1e-12, "float32": 1e-5}[dtype])
