"""Weights from 1e-300 to 1e300: right numbers, also once they were stored, or an error by row."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import Checkpoint, KeyedPCA, StreamingPCA, StreamingReducedRankRegression
from streampca.monitor import Monitor
from streampca.rows import BadRow

KINDS = {
    "dense": {},
    "float32": {},
    "sparse": {},
    "factored": {"memory": "factored"},
    "gaps": {"missing": "impute"},
    "keyed": {},
}


def pairwise(X, w, g):
    """Mean, covariance and equal rows by sums over pairs of rows, where nothing cancels."""
    c = (w * g).max()
    u = w * g / c
    U, D = u.sum(), X[:, None] - X[None]
    pairs = np.outer(u, u)
    S = np.einsum("ij,ijk,ijl->kl", pairs, D, D) / (2 * U)
    squares = float(np.diagonal(pairs).sum())
    np.fill_diagonal(pairs, 0.0)
    with np.errstate(over="ignore"):
        copies = max(float((u * (u - g / c)).sum() / U), 0.0)  # where weights count as copies
    d = float(pairs.sum()) / U + copies
    return u @ X / U, S / d if d > 0 else 0 * S, U * U / max(squares - copies * U, 1e-300)


def sizes(rng, m, least):
    """Weights all of one size, or spread over up to 600 decades."""
    spread = rng.choice([0, 1, 20, 200, 600])
    return 10.0 ** np.clip(
        rng.uniform(least, 300) + rng.uniform(-spread, spread, m) / 2, least, 300
    )


class Learned:
    """One model of some kind, learned in pieces and stored between."""

    def __init__(self, kind, **options):
        self.keyed, options = kind == "keyed", options | KINDS[kind]
        self.give = scipy.sparse.csr_array if kind == "sparse" else np.asarray
        self.pca = (KeyedPCA if self.keyed else StreamingPCA)(1, **options)

    def learn(self, X, w):
        keys = [["a"] * len(X)] if self.keyed else []
        self.pca.partial_fit(self.give(X), *keys, sample_weight=w)

    def decay(self, factor):
        self.pca.decay(factor, *[["a"]] if self.keyed else [])

    def checkpoint(self):
        return next(self.pca.checkpoints()) if self.keyed else self.pca.checkpoint()

    def stored(self):
        """As it is once it was written, read and gone on from."""
        found = Checkpoint.from_bytes(self.checkpoint().to_bytes())
        assert found == self.checkpoint()
        again = KeyedPCA.from_checkpoints([found]) if self.keyed else None
        self.pca = again or StreamingPCA.from_checkpoint(found)
        return found


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(list(KINDS)),
    batch_size=st.sampled_from([1, 3, 7, 100]),
    gamma=st.sampled_from([1.0, 0.9, 0.5]),
    merged=st.booleans(),
)
def test_weights_of_any_size_give_right_numbers_or_an_error_that_names_the_row(
    seed, kind, batch_size, gamma, merged
):
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 40), int(rng.integers(2, 8))
    X = rng.normal(size=(m, n)) * 10.0 ** rng.uniform(-3, 3) + rng.integers(2) * rng.normal(size=n)
    X = X.astype("float32" if kind == "float32" else "float64")
    silence = 10.0 ** -float(rng.choice([0.0, rng.uniform(0, 6)]))
    forgets = gamma < 1 or silence < 1
    w = sizes(rng, m, -80 if forgets else -300)
    half = int(rng.integers(1, m))
    options = {"forgetting_factor": gamma} | ({} if kind == "keyed" else {"batch_size": batch_size})
    one = Learned(kind, **options)
    try:
        one.learn(X[:half], w[:half])
        one.decay(silence)
        one.stored()
        g = gamma ** np.r_[np.arange(half)[::-1], np.arange(m - half)[::-1]].astype(float)
        g[:half] *= silence
        if merged:
            other = Learned(kind, **options)
            other.learn(X[half:], w[half:])
            one.pca.merge(other.pca)
        else:
            g[:half] *= gamma ** (m - half)
            one.learn(X[half:], w[half:])
    except BadRow as error:
        assert "divide all weights" in str(error)  # noqa: PT017
        assert str(error).startswith("row ")  # noqa: PT017
        assert w.max() > 1e280
        return
    found = one.stored()
    mean, S, rows = pairwise(X.astype("float64"), w, g)
    rtol, largest = 1e-3 if kind == "float32" else 1e-6, float(np.abs(X).max())
    np.testing.assert_allclose(found.mean, mean, rtol=rtol, atol=rtol * largest)
    top = np.linalg.eigvalsh(S)[-1]
    np.testing.assert_allclose(found.explained_variance[0], top, rtol, 1e-24 * largest**2)
    assert Monitor(found.without_moments()).n_rows == pytest.approx(min(m, rows), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_regression_takes_weights_of_any_size(seed):
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(12, 40)), int(rng.integers(2, 5))
    X = rng.normal(size=(m, n))
    Y = X @ rng.normal(size=(n, 2)) + 0.1 * rng.normal(size=(m, 2)) + 1
    w = 10.0 ** (rng.uniform(-298, 298) + rng.uniform(-1, 1, m))
    regression = StreamingReducedRankRegression(2)
    for some in (slice(m // 2), slice(m // 2, m)):
        regression.partial_fit(X[some], Y[some], sample_weight=w[some])
        assert np.isfinite(regression.coef_).all()  # folds in what has come
    u = w / w.max()
    D, E = (np.sqrt(u)[:, None] * (A - u @ A / u.sum()) for A in (X, Y))
    coefficients = np.linalg.lstsq(D, E, rcond=None)[0].T
    np.testing.assert_allclose(regression.coef_, coefficients, rtol=1e-7, atol=1e-7)
