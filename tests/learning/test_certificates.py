"""Certificates are honest: what they promise is held against the truth, on hostile streams.

`discarded_variance_` bounds the spectral norm of true Sigma less remembered Sigma, `residuals_` say
how well the remembered one is solved. By Weyl and by Davis and Kahan both together bound
eigenvalues and angles, against the truth. All through what users can see: the estimator and its
checkpoint.
"""

import numpy as np
import pytest
import scipy.sparse
from extras import torch_for
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import leading_sines

from streampca import StreamingPCA
from streampca.moments import moments_from_state

N = 20
"""Features; factored memory keeps far fewer directions."""

ROUNDING = {"float32": 3e-5, "float64": 1e-11}
"""What floats may add to a certificate, relative to the total variance: the rank cut of Gram
matrices (1e-5 and 1e-13), and a hundred products' rounding."""


# --- streams made to break a memory of few directions -------------------------------------------


def _plain(draws, m):
    return draws.normal(size=(m, N)) * 0.8 ** np.arange(N) @ _basis(draws).T


def _basis(draws, k=N):
    return np.linalg.qr(draws.normal(size=(N, N)))[0][:, :k]


def sorted_by_a_feature(draws, m):
    X = _plain(draws, m)
    return X[np.argsort(X[:, 0])]


def growing(draws, m):
    X = _plain(draws, m)
    return X[np.argsort((X**2).sum(1))]


def shrinking(draws, m):
    return growing(draws, m)[::-1]


def a_new_direction_at_a_time(draws, m):
    # each as strong as the others: whatever is kept, the next one is its equal
    return np.eye(N)[np.arange(m) * N // m] * draws.choice([-1.0, 1.0], (m, 1))


def each_new_direction_stronger(draws, m):
    return a_new_direction_at_a_time(draws, m) * 1.05 ** (np.arange(m) * N // m)[:, None]


def alternating_subspaces(draws, m):
    basis, block = _basis(draws), max(m // 10, 1)
    odd = (np.arange(m) // block % 2).astype(bool)
    Z = draws.normal(size=(m, N // 2))
    return np.where(odd[:, None], Z @ basis[:, : N // 2].T, Z @ basis[:, N // 2 :].T)


def silent_features_wake_up(draws, m):
    # symmetric about zero, so that means tell nothing, and sharing nothing with what was there
    X = np.zeros((m, N))
    half = m // 2
    X[:half, : N // 2] = draws.normal(size=(half, N // 2))
    late = 3 * draws.normal(size=((m - half + 1) // 2, N - N // 2))
    X[half:, N // 2 :] = np.repeat(late, 2, axis=0)[: m - half]
    X[half + 1 :: 2] *= -1
    return X


def one_direction_hidden_below_the_cut(draws, m):
    # in every minibatch the weakest, in all together the strongest: each time it is cut away
    X = draws.normal(size=(m, N)) * 0.01
    for start in range(0, m, 10):
        many = np.arange(start, min(start + 10, m))
        X[many, draws.permutation(N - 1)[: len(many)]] += 3 * draws.choice([-1.0, 1.0], len(many))
    X[:, N - 1] = draws.choice([-1.0, 1.0], m)
    return X


def the_mean_leaps(draws, m):
    leaps = 10 * np.eye(N)[draws.integers(0, N, 5)]
    return _plain(draws, m) + leaps[np.arange(m) * 5 // m]


def one_huge_row(draws, m):
    X = _plain(draws, m)
    X[m // 3] *= 1e5
    return X


STREAMS = [  # all but one_huge_row, which has a test of its own
    sorted_by_a_feature,
    growing,
    shrinking,
    a_new_direction_at_a_time,
    each_new_direction_stronger,
    alternating_subspaces,
    silent_features_wake_up,
    one_direction_hidden_below_the_cut,
    the_mean_leaps,
]


# --- the truth beside the estimator -------------------------------------------------------------


class Truth:
    """Every row, with the weight that is left of it."""

    def __init__(self, gamma=1.0, center=True):
        self.gamma, self.center = gamma, center
        self.X, self.w = np.zeros((0, N)), np.zeros(0)

    def partial_fit(self, X, weights=None):
        w = np.ones(len(X)) if weights is None else weights
        X, w = X[w > 0], w[w > 0]
        g = self.gamma ** np.arange(len(X) - 1, -1, -1.0)
        self.X = np.concatenate([self.X, X.astype("float64")])
        self.w = np.concatenate([self.w * self.gamma ** len(X), w * g])

    def decay(self, factor):
        self.w = self.w * factor

    def merge(self, other):
        self.X = np.concatenate([self.X, other.X])
        self.w = np.concatenate([self.w, other.w])

    def covariance(self, total):
        """Sigma (n, n), with the total variance that the estimator shows (tested elsewhere)."""
        mean = self.w @ self.X / self.w.sum() if self.center else np.zeros(N)
        D = (self.X - mean) * np.sqrt(self.w)[:, None]
        scatter = D.T @ D
        trace = np.trace(scatter)
        return scatter * (total / trace if trace > 0 else 0.0)


def remembered(pca):
    """Sigma as remembered (n, n), out of the checkpoint."""
    saved = pca.checkpoint()
    moments = moments_from_state(saved.moments_kind, saved.moments)
    return np.asarray(moments @ np.eye(moments.n_features))


def descending(Sigma):
    values, vectors = np.linalg.eigh(Sigma)
    return values[::-1], vectors[:, ::-1].T


def assert_certified(pca, truth, dtype):
    """All that the certificates promise of the covariance, eigenvalues and directions."""
    total = float(pca.var_.sum())
    rounding = ROUNDING[dtype] * total
    Sigma, ours = truth.covariance(total), remembered(pca)
    lost = pca.discarded_variance_
    assert lost >= 0
    np.testing.assert_allclose(pca.var_, np.diag(Sigma), atol=rounding, rtol=0)
    assert np.linalg.norm(Sigma - ours, 2) <= lost + rounding

    C, values = pca.components_.astype("float64"), pca.explained_variance_
    residuals = pca.residuals_ * values[0]
    # Weyl: for what is remembered the residual alone, for the truth what was lost as well
    p, off = len(C), np.linalg.norm(residuals)
    our_values, our_vectors = descending(ours)
    true_values, true_vectors = descending(Sigma)
    assert (np.abs(values - our_values[:p]) <= off + rounding).all()
    assert (np.abs(values - true_values[:p]) <= off + lost + rounding).all()
    # Davis and Kahan: the leading k, where eigenvalue k of one and k + 1 of the other differ
    for reference, vectors, bound in (
        (our_values, our_vectors, off),
        (true_values, true_vectors, off + lost),
    ):
        sines = leading_sines(C, vectors[:p])
        gaps = values - np.append(reference, 0.0)[1 : p + 1]
        told = gaps > 0.01 * values[0]
        bound = (bound + 2 * rounding) / np.where(told, gaps, 1.0)
        assert (sines[told] <= bound[told] + 100 * ROUNDING[dtype]).all()


def follow(draws, X, sizes, pca, truth, dtype, *, weighted=False, sparse=False):
    """Both learn the same rows, in pieces of these sizes again and again."""
    give = scipy.sparse.csr_array if sparse else np.asarray
    start, i = 0, 0
    while start < len(X):
        piece = X[start : start + sizes[i % len(sizes)]].astype(dtype)
        weights = draws.choice([0.0, 0.5, 1.0, 5.0], len(piece)) if weighted else None
        if weights is not None:
            weights[draws.integers(len(piece))] = 1.0  # all zero are refused
        pca.partial_fit(give(piece), sample_weight=weights)
        truth.partial_fit(piece, weights)
        start, i = start + len(piece), i + 1


# --- claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("size", [1, 10, 50, 400])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_discarded_variance_is_honest_however_hard_the_order(stream, size, dtype):
    draws = np.random.default_rng(size)
    pca = StreamingPCA(3, memory="factored", oversample=3, batch_size=size)
    truth = Truth()
    X = stream(draws, 400)
    for part in np.array_split(X, 4):  # also in the middle of the stream
        follow(draws, part, [size], pca, truth, dtype)
        assert_certified(pca, truth, dtype)


def test_discarded_variance_is_honest_beside_rows_and_weights_of_other_sizes():
    forgetful = {"memory": "factored", "oversample": 7, "batch_size": 7, "forgetting_factor": 0.8}
    pca, truth, draws = StreamingPCA(1, **forgetful), Truth(0.8), np.random.default_rng(0)
    X = a_new_direction_at_a_time(draws, 223) * draws.choice([0.0, 1.0, 10.0], (223, 1))
    follow(draws, X, [1], pca, truth, "float64")
    assert_certified(pca, truth, "float64")
    for dtype in ("float64", "float32"):
        for size in (1, 2, 10, 50, 400):
            draws = np.random.default_rng(size)
            pca = StreamingPCA(3, memory="factored", oversample=3, batch_size=size)
            truth = Truth()
            for part in np.array_split(one_huge_row(draws, 400), 4):
                follow(draws, part, [size], pca, truth, dtype)
                assert_certified(pca, truth, dtype)
            for one in (pca, truth):
                one.decay(1e-6)
            follow(draws, sorted_by_a_feature(draws, 20), [size], pca, truth, dtype, weighted=True)
            assert_certified(pca, truth, dtype)


@settings(max_examples=150)
@given(
    stream=st.sampled_from(STREAMS),
    m=st.integers(2, 300),
    p=st.integers(1, 4),
    oversample=st.integers(0, 8),
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=4),
    batch_size=st.integers(1, 150) | st.none(),
    gamma=st.sampled_from([1.0, 1.0, 0.99, 0.97]),
    decay=st.sampled_from([1.0, 0.5, 0.1]),
    shards=st.integers(1, 3),
    weighted=st.booleans(),
    sparse=st.booleans(),
    center=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**16),
)
def test_discarded_variance_is_honest_with_weights_forgetting_decay_and_merges(
    stream, m, p, oversample, sizes, batch_size, gamma, decay, shards, weighted, sparse, center,
    dtype, seed,
):  # fmt: skip
    draws = np.random.default_rng(seed)
    options = {
        "memory": "factored",
        "oversample": oversample,
        "batch_size": batch_size,
        "forgetting_factor": gamma,
        "center": center,
        "dtype": dtype,
    }
    pca, truth = StreamingPCA(p, **options), Truth(gamma, center)
    for part in np.array_split(stream(draws, m), shards):
        if len(part) == 0:
            continue
        one, its_truth = StreamingPCA(p, **options), Truth(gamma, center)
        follow(draws, part, sizes, one, its_truth, dtype, weighted=weighted, sparse=sparse)
        one.decay(decay)
        its_truth.decay(decay)
        follow(draws, part[:3], [3], one, its_truth, dtype)
        pca.merge(one)
        truth.merge(its_truth)
    assert_certified(pca, truth, dtype)
    resumed = StreamingPCA.from_checkpoint(pca.checkpoint())
    assert resumed.discarded_variance_ == pca.discarded_variance_
    assert_certified(resumed, truth, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 4, 40])
def test_nothing_is_said_to_be_lost_where_all_directions_fit(size, dtype):
    # a certificate that always says "everything may be lost" would be honest too
    draws = np.random.default_rng(0)
    X = draws.normal(size=(300, 5)) @ draws.normal(size=(5, N))
    pca, truth = StreamingPCA(2, memory="factored", oversample=5), Truth()
    follow(draws, X, [size], pca, truth, dtype)
    assert pca.discarded_variance_ <= ROUNDING[dtype] * pca.var_.sum() * 10
    assert_certified(pca, truth, dtype)


def test_what_is_said_to_be_lost_is_less_than_there_is_to_lose():
    # a decaying spectrum, in order: the bound tells leading directions from lost ones
    draws = np.random.default_rng(0)
    X = draws.normal(size=(2000, N)) * 0.5 ** np.arange(N) @ _basis(draws).T
    pca, truth = StreamingPCA(3, memory="factored", oversample=8), Truth()
    follow(draws, X, [100], pca, truth, "float64")
    assert 0 < pca.discarded_variance_ < 0.1 * pca.explained_variance_[2]
    assert_certified(pca, truth, "float64")


SOLVED = [
    {"memory": "dense"},
    {"memory": "factored", "oversample": 3},
    {"memory": "dense", "solver": "first_order", "random_state": 0},
    {"memory": "minibatch", "solver": "first_order", "random_state": 0},
    {"memory": "factored", "oversample": 3, "solver": "first_order", "random_state": 0},
]


@pytest.mark.parametrize(
    "options",
    torch_for(SOLVED, lambda options: "solver" in options),
    ids=lambda o: "-".join(map(str, o.values())),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [1, 10, 100])
def test_residuals_bound_eigenvalues_and_angles_of_what_is_remembered(options, dtype, steps):
    """Also while gradient descent is under way, when they are far from zero."""
    draws = np.random.default_rng(1)
    W = _basis(draws).T * np.linspace(1, 3, N)[:, None]
    pca = StreamingPCA(4, batch_size=50, **options)
    for _ in range(steps):
        pca.partial_fit((draws.normal(size=(50, N)) @ W).astype(dtype))
    ours = remembered(pca)
    C, values = pca.components_.astype("float64"), pca.explained_variance_
    largest = values.max()  # descent finds the order on its way
    residuals, rounding = pca.residuals_ * largest, ROUNDING[dtype] * largest
    # they are what they are said to be
    direct = np.linalg.norm(ours @ C.T - C.T * values, axis=0)
    np.testing.assert_allclose(residuals, direct, rtol=1e-3, atol=rounding)
    # an eigenvalue lies within each, and the rest of the spectrum is almost orthogonal
    our_values, our_vectors = descending(ours)
    for a, value, residual in zip(C, values, residuals, strict=True):
        distance = np.abs(our_values - value)
        assert distance.min() <= residual + rounding
        for gap in np.sort(distance)[1:]:
            near = our_vectors[distance < gap]
            sine = np.linalg.norm(a - a @ near.T @ near)
            assert sine <= (residual + rounding) / gap + rounding


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_warm_solutions_of_a_wide_stream_are_as_good_as_their_residuals_say(dtype):
    # wide enough that components are not solved anew, but step on from those read before
    draws = np.random.default_rng(2)
    n, p = 200, 5
    turn = np.linalg.qr(np.eye(n) + 0.02 * draws.normal(size=(n, n)))[0]
    basis = np.linalg.qr(draws.normal(size=(n, n)))[0] * 0.9 ** np.arange(n)
    pca = StreamingPCA(p, memory="dense", forgetting_factor=0.999, batch_size=100)
    for _ in range(15):
        pca.partial_fit((draws.normal(size=(100, n)) @ basis.T).astype(dtype))
        basis = turn @ basis
        ours = remembered(pca)
        values, vectors = descending(ours)
        off = np.linalg.norm(pca.residuals_) * values[0] + ROUNDING[dtype] * values[0]
        assert (np.abs(pca.explained_variance_ - values[:p]) <= off).all()
        gaps = pca.explained_variance_ - values[1 : p + 1]
        assert (leading_sines(pca.components_, vectors[:p]) <= 2 * off / gaps).all()
