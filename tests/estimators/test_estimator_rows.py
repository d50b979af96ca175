"""Claims about the rows that StreamingPCA takes and refuses."""

import numpy as np
import pytest
from extras import needs_torch
from learning import angle, learned
from oracle import batch_pca

from streampca import StreamingPCA

# --- what can come in -------------------------------------------------------------------------


@needs_torch
def test_every_kind_of_rows_gives_the_same_components(digits):
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import scipy.sparse as sp
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    names = [f"pixel {i}" for i in range(64)]
    frame = pd.DataFrame(digits, columns=names)
    reference = StreamingPCA(3).fit(digits)
    loader = StreamingPCA(3)
    for batch in DataLoader(TensorDataset(torch.from_numpy(digits)), batch_size=100):
        loader.partial_fit(batch)
    ways = [
        loader,
        *(
            StreamingPCA(3).fit(rows)
            for rows in (
                frame,
                pl.from_pandas(frame),
                pa.Table.from_pandas(frame),
                pa.RecordBatch.from_pandas(frame),
                torch.from_numpy(digits),
                sp.csr_array(digits),
                digits.tolist(),
                np.asfortranarray(digits),
            )
        ),
    ]
    for pca in ways:
        np.testing.assert_allclose(pca.components_, reference.components_, atol=1e-9)
    assert list(ways[1].feature_names_in_) == names
    assert not hasattr(reference, "feature_names_in_")


@needs_torch
def test_a_tensor_gives_a_tensor_back(digits):
    import torch

    X = torch.from_numpy(digits)
    pca = StreamingPCA(3).fit(X)
    assert isinstance(pca.components_, np.ndarray)
    assert isinstance(pca.transform(X), np.ndarray | torch.Tensor)


def test_sparse_rows_are_never_made_dense():
    import tracemalloc

    import scipy.sparse as sp

    draws = np.random.default_rng(0)
    places = draws.integers(0, 3000, 30_000), draws.integers(0, 50_000, 30_000)
    X = sp.coo_array((draws.normal(size=30_000), places), (3000, 50_000)).tocsr().astype("float32")
    tracemalloc.start()
    pca = StreamingPCA(4, oversample=6, memory="factored").fit(X)
    _ = pca.components_
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 50_000 * 4 / 6  # the rows as a dense array would take 600 MB
    assert pca.transform(X[:5]).shape == (5, 4)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((2, 64), np.nan), "row 0, feature 0 is (nan|NaN)"),
        (np.where(np.eye(64) == 1, np.inf, 0)[:2], "row 0, feature 0 is inf"),
        (np.ones((2, 63)), "63 features"),
        (np.ones(64), "reshape"),
        (np.ones((2, 64)) * 1j, "complex"),
        (np.array([["a"] * 64]), "row 0, feature 0"),
    ],
)
def test_bad_rows_are_named_and_change_nothing(digits, bad, message):
    pca = StreamingPCA(3).partial_fit(digits[:100])
    before = pca.checkpoint()
    with pytest.raises(ValueError, match=message):
        pca.partial_fit(bad)
    with pytest.raises(ValueError, match="row 1"):
        pca.partial_fit(digits[:3], sample_weight=[1, -1, 1])
    assert pca.checkpoint() == before


def test_decay_by_hand_is_forgetting_by_time(digits):
    halves = np.array_split(digits, 2)
    pca = StreamingPCA(5).partial_fit(halves[0]).decay(0.25).partial_fit(halves[1])
    weights = np.repeat([0.25, 1.0], [len(half) for half in halves])
    _, components, variances, _ = batch_pca(digits, 5, weights)
    assert pca.weight_ == weights.sum()
    assert angle(pca.components_, components) < 1e-6
    np.testing.assert_allclose(pca.explained_variance_, variances, rtol=2e-3)  # other denominator
    with pytest.raises(ValueError, match="factor=2"):
        pca.decay(2)


@pytest.mark.parametrize("n", [20, 150])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_calls_of_any_size_give_the_same_bits(n, size):
    X = np.random.default_rng(n).normal(1, 2, size=(2200, n)).astype("float32")
    once = learned(X, len(X), n_components=3)
    pieces = learned(X, size, n_components=3)
    assert pieces.checkpoint() == once.checkpoint()
