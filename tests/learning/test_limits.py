"""Rows at the ends of floats: the right answer, or an error that names them and changes nothing."""

import numpy as np
import pytest
import scipy.sparse
from extras import needs_torch, torch
from oracle import batch_pca

from streampca import StreamingPCA


def rows(m=200, n=5):
    return np.random.default_rng(0).normal(size=(m, n)) * np.arange(n, 0, -1.0) + 1


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e-30, 1e30, 1e100, 5e149])
@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("size", [1, 37, 200])
def test_the_scale_of_the_rows_does_not_matter(scale, memory, size):
    X = rows()
    pca = StreamingPCA(3, memory=memory)
    for start in range(0, len(X), size):
        pca.partial_fit(X[start : start + size] * scale)
    _, components, variances, _ = batch_pca(X, 3)
    assert np.abs((pca.components_ * components).sum(axis=1)) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(pca.explained_variance_ / scale / scale, variances, rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("numpy", None),
        pytest.param("torch", None, marks=needs_torch),
        ("sparse", None),
        ("frame", None),
        ("numpy", "float32"),
    ],
)
def test_a_row_too_large_to_be_squared_is_named_and_changes_nothing(kind, dtype):
    import pandas as pd

    X = rows()
    pca = StreamingPCA(3, dtype=dtype).partial_fit(X)
    before = pca.checkpoint()
    bad = X[:20].copy()
    bad[7, 2] = -1e160 if dtype is None else 1e39
    given = {
        "numpy": bad,
        "torch": torch and torch.from_numpy(bad),
        "sparse": scipy.sparse.csr_array(bad),
        "frame": pd.DataFrame(bad, columns=list("abcde")),
    }[kind]
    feature = "'c'" if kind == "frame" else "2"
    with pytest.raises(ValueError, match=f"row 7, feature {feature} is .*rescale"):
        pca.partial_fit(given)
    assert pca.checkpoint().to_bytes() == before.to_bytes()
    assert pca.partial_fit(X).n_samples_seen_ == 400


def test_a_weight_counts_towards_what_is_too_large():
    X = rows()
    pca = StreamingPCA(3).partial_fit(X)
    with pytest.raises(ValueError, match="row 0, feature 0 .*rescale"):
        pca.partial_fit(X[:2] * 1e140, sample_weight=[1.0, 1e30])
    assert pca.n_samples_seen_ == 200
    heavy = StreamingPCA(3).partial_fit(X * 1e100, sample_weight=np.full(200, 1e50))
    _, components, _, _ = batch_pca(X, 3)
    assert np.abs((heavy.components_ * components).sum(axis=1)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_sums_that_leave_floats_are_refused_before_anything_changes(memory):
    X = np.sign(rows(n=10)) * 1e151
    pca = StreamingPCA(2, memory=memory, batch_size=100).partial_fit(X)
    for grow in (lambda: pca.merge(pca), lambda: pca.partial_fit(X[:100])):
        for _ in range(10_000):
            kept = pca.checkpoint().to_bytes()
            try:
                grow()
            except ValueError:
                break
        with pytest.raises(ValueError, match="sum of squares"):
            grow()
        assert pca.checkpoint().to_bytes() == kept
        assert 1e307 < pca.var_.sum() * pca.weight_ < np.inf


@needs_torch
@pytest.mark.skipif(bool(torch) and torch.cuda.is_available(), reason="here there is one")
@pytest.mark.parametrize(
    ("device", "why"),
    [("cuda", "finds no CUDA"), ("cuda:1", "finds no CUDA"), ("mps", "float64"), ("gpu", "torch")],
)
def test_a_device_that_is_not_here_is_said_to_be(device, why):
    with pytest.raises(ValueError, match=f"device='{device}'.*{why}"):
        StreamingPCA(1, device=device).partial_fit([[1.0, 2.0]])
