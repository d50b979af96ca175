"""Any rows in any pieces: batch PCA's answer to a derived tolerance, never NaN, never silence.

The tolerance. Let u be the unit roundoff of the products (float32 or float64), u64 that of
float64, M the largest entry, r the largest deviation from the mean, s^2 the weighted variance of
all features together, m rows of n features in b minibatches, and w their weight. Then:

- Running means are off by delta <= 8 b sqrt(n) (u64 M + u r): each minibatch's mean is rounded
  once in units of the deviations and once more when it is added to the running mean.
- A mean that is off by delta adds w delta^2 to the scatter. Where minibatches are joined, by the
  outer product of the difference of two means, it adds at most 2 w s delta sqrt(b)
  (Cauchy-Schwarz: those outer products are part of the scatter, so their trace is below w s^2).
- A sum of k products is off by k u times the sum of their absolute values, so Z'Z by k u trace
  in spectral norm, with k at most m + n and a few more for centring and weights.

So || error of Sigma ||_2 <= error(...) below, and by Weyl eigenvalues are no further off, and by
Davis and Kahan the first k directions by at most 2 error / (lambda_k - lambda_k+1).
"""

import numpy as np
import pytest
import scipy.sparse
from extras import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import batch_covariance, denominator, leading_sines
from strategies import data_matrices, seeds, splits

from streampca import StreamingPCA

UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}

RANK_CUT = {"float32": 1e-5, "float64": 1e-13}
"""Factored memory leaves out directions of less than this share of the variance of the rows that
are added: of a Gram matrix in the dtype of the rows nothing smaller is known."""


@st.composite
def streams(draw, dtypes=("float64", "float64", "float32")):
    """Rows in pieces, in units at both ends of floats, maybe far from zero, maybe weighted."""
    X = draw(data_matrices(max_rows=60, max_features=10))
    dtype = draw(st.sampled_from(dtypes))
    units = {"float64": [1e-150, 1e-20, 1.0, 1e20, 1e148], "float32": [1e-15, 1.0, 1e15]}[dtype]
    X = X / (np.abs(X).max() or 1.0) * draw(st.sampled_from(units))
    far = draw(st.sampled_from([0.0, 0.0, 1e3, 1e8]))
    if np.abs(X).max() < 1e130 and dtype == "float64":
        X = X + far * X.std()
    weights = None
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(seeds))
        # 1e12 times the square of 1e148 would leave float64, and is refused
        heavy = 1e12 if np.abs(X).max() < 1e130 else 1e3
        weights = rng.choice([0.0, 1.0, 2.5, heavy], size=len(X))
        weights[rng.integers(len(X))] = 1.0  # all zero are refused
    pieces = draw(splits(np.arange(len(X))))
    p = draw(st.integers(1, X.shape[1]))
    return X.astype(dtype), weights, pieces, p


def scaled(X):
    """The rows in float64 in units near one, and the unit: a power of two, so without rounding."""
    largest = float(np.abs(X).max())
    unit = 2.0 ** np.frexp(largest)[1] if largest else 1.0
    return X.astype("float64") / unit, unit


def error(X, Sigma, mean, *, dtype, n_minibatches, rest, memory="dense", sparse=False):
    """|| computed Sigma - Sigma ||_2 at most; the derivation stands on top."""
    m, n = X.shape
    u = UNIT[dtype]
    largest, deviation = np.abs(X).max(), np.abs(X - mean).max()
    # differences of sums about zero: sparse rows are never centred one by one
    M, r = (largest, largest) if sparse else (largest, deviation)
    delta = 8 * n_minibatches * n**0.5 * (UNIT["float64"] * M + u * r)
    s2 = float(np.trace(Sigma))
    products = (m + n + 20) * u * (s2 + (largest**2 * n if sparse else 0.0))
    cut = 0.0
    if memory == "factored":
        cut = n_minibatches * (RANK_CUT[dtype] + 20 * u) * s2
    # Sigma is the scatter over `rest` of the weight; one row that leaves less is added alone
    delta /= max(rest, 1e-6) ** 0.5
    return products + cut + 4 * (n_minibatches * s2) ** 0.5 * delta + 2 * delta**2


def learned(X, weights=None, pieces=None, give=np.asarray, **options):
    pca = StreamingPCA(**options)
    for piece in [slice(None)] if pieces is None else pieces:
        w = None if weights is None else weights[piece]
        if w is None or w.any():
            pca.partial_fit(give(X[piece]), sample_weight=w)
    return pca


def assert_is_batch_pca(pca, X, weights=None, remembered=None, **tolerance):
    """All that is read off is finite, consistent, and batch PCA's to the tolerance."""
    if weights is not None:  # rows of weight 0 are as if absent
        X, weights = X[weights > 0], weights[weights > 0]
    w = np.ones(len(X)) if weights is None else weights
    g = np.ones(len(X)) if remembered is None else remembered
    rest = denominator(w, g) / (w @ g)
    C, values = pca.components_, pca.explained_variance_
    shown = (C, values, pca.mean_, pca.var_, pca.loss_, pca.residuals_, pca.discarded_variance_)
    for value in (*shown, pca.noise_variance_, pca.explained_variance_ratio_, pca.transform(X)):
        assert np.isfinite(value).all()
    p = len(C)
    assert C.dtype == X.dtype
    np.testing.assert_allclose(C @ C.T, np.eye(p), atol=40 * UNIT[str(X.dtype)] + 1e-14)
    assert (values >= 0).all()
    assert (np.diff(values) <= 0).all()
    assert pca.n_samples_seen_ == len(X)
    scaled_X, unit = scaled(X)
    mean, Sigma = batch_covariance(scaled_X, weights, remembered)
    bound = error(scaled_X, Sigma, mean, dtype=str(X.dtype), rest=rest, **tolerance)
    delta = 1e-13 + 10 * UNIT[str(X.dtype)] * np.abs(scaled_X - mean).max()
    np.testing.assert_allclose(pca.mean_ / unit, mean, atol=delta, rtol=0)
    true_values, vectors = (part[..., ::-1] for part in np.linalg.eigh(Sigma))
    # unit**2 may lie outside float64 where the variances do not
    np.testing.assert_allclose(values / unit / unit, true_values[:p], atol=bound, rtol=0)
    np.testing.assert_allclose(pca.var_ / unit / unit, np.diag(Sigma), atol=bound, rtol=0)
    gaps = true_values[:p] - np.append(true_values, 0.0)[1 : p + 1]
    # n directions span everything, whatever the last eigenvalue
    sines = leading_sines(C, vectors.T[:p])[: len(X[0]) - 1]
    told = gaps[: len(sines)] > 4 * bound
    allowed = 2 * bound / np.where(told, gaps[: len(sines)], 1.0) + 20 * UNIT[str(X.dtype)]
    assert (sines[told] <= allowed[told]).all()


GIVE = {
    "numpy": np.asarray,
    "columns": np.asfortranarray,
    "sparse": scipy.sparse.csr_array,
} | ({"torch": torch.tensor} if torch else {})


@settings(max_examples=200)
@given(
    stream=streams(),
    memory=st.sampled_from(["dense", "factored"]),
    batch=st.integers(1, 70),
    kind=st.sampled_from(sorted(GIVE)),
)
def test_any_rows_in_any_pieces_are_batch_pca(stream, memory, batch, kind):
    X, weights, pieces, p = stream
    options = {"n_components": p, "memory": memory, "batch_size": batch}
    pca = learned(X, weights, pieces, GIVE[kind], **options)
    count = len(pieces) + -(-len(X) // batch)
    assert_is_batch_pca(
        pca, X, weights, memory=memory, n_minibatches=count, sparse=kind == "sparse"
    )


@settings(max_examples=60)
@given(
    stream=streams(dtypes=("float64",)),
    gamma=st.sampled_from([1e-300, 1e-9, 0.3, 0.9, 0.999, 1 - 1e-12]),
    memory=st.sampled_from(["dense", "factored"]),
    batch=st.integers(1, 70),
)
def test_forgetting_is_weighting_by_age_also_near_its_ends(stream, gamma, memory, batch):
    X, weights, pieces, p = stream
    if weights is not None and memory == "factored":
        # beside rows of a thousand times the weight it rounds more than is allowed here: angles of
        # 5e-12 were seen where 7e-13 is
        weights = np.minimum(weights, 10.0)
    pca = learned(
        X, weights, pieces, n_components=p, memory=memory, batch_size=batch, forgetting_factor=gamma
    )
    if weights is not None:  # rows of weight 0 make nothing forget
        X, weights = X[weights > 0], weights[weights > 0]
    remembered = gamma ** np.arange(len(X) - 1, -1, -1.0)
    w = remembered if weights is None else remembered * weights
    assert pca.weight_ == pytest.approx(w.sum(), rel=1e-12)
    counts = np.ones(len(X)) if weights is None else weights
    if denominator(counts, remembered) * np.abs(X).max() ** 2 < 1e-302:
        # the scatter is below the smallest float: nothing is claimed of it but that it is finite
        assert np.isfinite(pca.components_).all()
        assert np.isfinite(pca.explained_variance_).all()
        return
    count = len(pieces) + -(-len(X) // batch)
    assert_is_batch_pca(pca, X, weights, remembered, memory=memory, n_minibatches=count)


@settings(max_examples=60)
@given(
    stream=streams(),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    memory=st.sampled_from(["dense", "factored"]),
)
def test_merging_is_associative_and_commutative_and_is_learning_in_one_stream(stream, cuts, memory):
    X, weights, _, p = stream
    at = [0, *sorted(round(cut * len(X)) for cut in cuts), len(X)]

    def part(i):
        rows = slice(at[i], at[i + 1])
        return learned(X, weights, [rows] if at[i] < at[i + 1] else [], **options)

    def nothing():
        return StreamingPCA(p, memory=memory, dtype=str(X.dtype))

    options = {"n_components": p, "memory": memory}
    merged = [
        nothing().merge(part(0)).merge(part(1)).merge(part(2)),
        nothing().merge(part(0)).merge(nothing().merge(part(1)).merge(part(2))),
        nothing().merge(part(2)).merge(part(1)).merge(part(0)),
        nothing().merge(part(1)).merge(part(2)).merge(part(0)),
    ]
    for one in merged:
        assert_is_batch_pca(one, X, weights, memory=memory, n_minibatches=6)
        assert one.weight_ == pytest.approx(merged[0].weight_, rel=1e-15)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize(
    "X",
    [
        np.array([[3.0, 1e8, -1.0]]),
        np.tile([[3.0, 1e8, -1.0]], (50, 1)),
        np.outer(np.arange(50.0), [1.0, 2.0, 0.0]) + 7,
        np.c_[np.arange(50.0), np.arange(50.0), np.ones(50)],
        np.zeros((5, 3)),
    ],
    ids=["one row", "equal rows", "rank one", "equal and constant features", "zeros"],
)
def test_degenerate_rows_have_the_right_variances_and_zeros_elsewhere(memory, p, X):
    pca = learned(X, pieces=[slice(i, i + 7) for i in range(0, len(X), 7)], n_components=p,
                  memory=memory)  # fmt: skip
    assert_is_batch_pca(pca, X, memory=memory, n_minibatches=9)
    rank = np.linalg.matrix_rank(X - X.mean(0), tol=1e-6)
    assert (pca.explained_variance_ > 0).sum() == min(rank, p)
    whitened = StreamingPCA(p, memory=memory, whiten=True).fit(X).transform(X)
    assert np.isfinite(whitened).all()


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_as_many_components_as_features(memory, n, dtype):
    X = np.random.default_rng(n).normal(size=(300, n)) * np.arange(1, n + 1) + 5
    X = X.astype(dtype)
    pca = learned(X, pieces=[slice(0, 1), slice(1, 30), slice(30, 300)], n_components=n,
                  memory=memory)  # fmt: skip
    assert_is_batch_pca(pca, X, memory=memory, n_minibatches=4)
    back = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(back, X, atol=100 * UNIT[dtype] * np.abs(X).max())


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(("dtype", "rel"), [("float32", 3e-6), ("float64", 1e-12)])
def test_a_thousand_million_rows_of_weight_do_not_drift(memory, dtype, rel):
    X = np.random.default_rng(0).normal(size=(1000, 5)) * [5, 4, 3, 2, 1] + 10
    X = X.astype(dtype)
    pca = StreamingPCA(3, memory=memory, batch_size=100)
    for _ in range(100):
        for start in range(0, 1000, 100):
            pca.partial_fit(X[start : start + 100], sample_weight=np.full(100, 1e4))
    mean, Sigma = batch_covariance(X)
    assert pca.weight_ == pytest.approx(1e9, rel=1e-12)
    assert pca.n_samples_seen_ == 100_000
    np.testing.assert_allclose(pca.mean_, mean, rtol=rel)
    values, vectors = (part[..., ::-1] for part in np.linalg.eigh(Sigma * 999 / 1000))
    np.testing.assert_allclose(pca.explained_variance_, values[:3], rtol=10 * rel + 1e-9)
    assert leading_sines(pca.components_, vectors.T[:3]).max() < 100 * rel
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(3), atol=rel)


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_after_a_thousand_million_rows_one_more_still_counts(memory):
    X = np.random.default_rng(0).normal(size=(1000, 4)) * [4, 3, 2, 1] + 10
    pca = StreamingPCA(2, memory=memory).partial_fit(X, sample_weight=np.full(1000, 1e6))
    before = pca.mean_
    pca.partial_fit(before[None] + [[1e6, 0.0, 0.0, 0.0]])
    moved = (pca.mean_ - before) * (1e9 + 1)
    # a mean of 10 in float64 is known to 2e-15, which is 2e-6 of a weight of 1e9
    np.testing.assert_allclose(moved, [1e6, 0, 0, 0], atol=1e-5 * 1e6)
    assert pca.var_[0] == pytest.approx(X[:, 0].var() + 1e12 / 1e9, rel=1e-8)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_thousands_of_single_rows_do_not_drift(memory, dtype):
    X = np.random.default_rng(0).normal(size=(3000, 8)) / np.arange(1, 9) + 100
    X = X.astype(dtype)
    pca = learned(X, pieces=[slice(i, i + 1) for i in range(3000)], n_components=3, batch_size=1,
                  memory=memory)  # fmt: skip
    mean, Sigma = batch_covariance(X)
    values, vectors = (part[..., ::-1] for part in np.linalg.eigh(Sigma))
    # rounding errors of 3,000 updates add up like a random walk, at worst
    rel = 3000**0.5 * 20 * UNIT[dtype]
    np.testing.assert_allclose(pca.mean_, mean, rtol=rel)
    np.testing.assert_allclose(pca.explained_variance_, values[:3], rtol=10 * rel)
    assert leading_sines(pca.components_, vectors.T[:3]).max() < 100 * rel


@pytest.mark.parametrize("size", [1e36, 1e37, 3e37, 1e38])
def test_float32_rows_next_to_the_largest_are_learned_without_a_warning(size):
    rng = np.random.default_rng(0)
    X = (np.clip(rng.normal(size=(50, 3)), -3, 3) * size).astype("float32")
    pca = StreamingPCA(3).partial_fit(X[:10]).partial_fit(X[10:])
    values = np.linalg.eigvalsh(np.cov(X.astype("float64").T))[::-1]
    np.testing.assert_allclose(pca.explained_variance_, values, rtol=1e-5)
