"""The proof that no larger eigenvalue was missed: always sound, and found where values decay."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streampca.moments import DenseMoments, make_moments
from streampca.rows import Minibatch
from streampca.solvers import exact
from streampca.solvers.proof import Whole, largest_eigenvalue, shows_all

EPS = np.finfo("float64").eps


def rotation(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def spectrum(draws, n, kind):
    """Eigenvalues in any order, the largest 1: decaying, equal, or with some that are zero."""
    values = {
        "decaying": 1.0 / np.arange(1, n + 1) ** draws.uniform(0.5, 3),
        "equal": np.repeat([1.0, 0.5], [max(n // 2, 1), n - max(n // 2, 1)]),
        "few": np.r_[np.linspace(1, 0.5, max(n // 3, 1)), np.zeros(n - max(n // 3, 1))],
    }[kind]
    return draws.permutation(values)


@given(
    n=st.integers(2, 24),
    known=st.integers(1, 8),
    block=st.integers(1, 4),
    kind=st.sampled_from(["decaying", "equal", "few"]),
    seed=st.integers(0, 10**6),
)
def test_what_is_shown_is_so(n, known, block, kind, seed):
    """A space of any few eigenvectors, leading or not, and a block that is coupled to the rest."""
    assume(known + block <= n)
    draws = np.random.default_rng(seed)
    Q, values = rotation(n, seed), spectrum(draws, n, kind)
    Sigma = (Q * values) @ Q.T
    coupled = Q[:, known:] @ np.linalg.qr(draws.normal(size=(n - known, block)))[0]
    B = np.concatenate([Q[:, :known], coupled], axis=1)
    SB = Sigma @ B
    theta, W = np.linalg.eigh(B.T @ SB)
    theta, W = theta[::-1], W[:, ::-1]
    residuals = np.linalg.norm(SB @ W - B @ W * theta, axis=0)
    p = int(np.argmax(residuals > 1e-13)) if (residuals > 1e-13).any() else len(theta)
    assume(p > 0 and theta[0] > 0)
    E = (SB - B @ (B.T @ SB))[:, -block:] / theta[0]
    of = Whole(n, np.trace(Sigma) / theta[0], np.linalg.norm(Sigma) / theta[0])
    image = np.linalg.norm(SB) / theta[0]
    if shows_all(theta / theta[0], W, p, E.T @ E, image, of, 1e-11):
        left = np.sort(values)[::-1][p:]
        assert left.max(initial=0.0) <= theta[p - 1] + 1e-11 * theta[0] + 100 * EPS


@given(n=st.integers(1, 12), rank=st.integers(0, 12), seed=st.integers(0, 10**6))
def test_no_eigenvalue_is_above_its_bound(n, rank, seed):
    F = np.random.default_rng(seed).normal(size=(n, rank))
    M = F @ F.T
    bound = largest_eigenvalue(n, np.trace(M), float((M * M).sum()))
    assert np.linalg.eigvalsh(M)[-1] <= bound * (1 + 1e-7)  # the root of a difference of squares
    if rank == 1:
        assert bound == pytest.approx(np.trace(M))  # and no larger than need be


def moments_of(values, seed=0):
    Q = rotation(len(values), seed)
    moments = make_moments("dense", len(values), dtype="float64")
    moments.update(Minibatch(np.random.default_rng(0).normal(size=(10, len(values)))))  # counts
    moments._scatter = (Q * values) @ Q.T * moments.denominator
    return moments


@pytest.mark.parametrize("values", [1.0 / np.arange(1, 501), 0.9 ** np.arange(500)])
def test_values_that_decay_need_no_factor_of_the_whole(values, monkeypatch):
    asked = []
    misses = DenseMoments.misses
    monkeypatch.setattr(DenseMoments, "misses", lambda *a: asked.append(a) or misses(*a))
    moments = moments_of(values)
    found = exact.solve(moments, 5)
    np.testing.assert_allclose(found.eigenvalues, values[:5], rtol=1e-12)
    assert not asked
    exact.solve(moments, 5, found.A)  # a start may be blind, and steps see what it sees
    assert len(asked) == 1


def test_where_nothing_can_be_shown_the_whole_is_asked(monkeypatch):
    """Values next to the last one that are equal to it leave nothing to show it by."""
    values = np.r_[2.0, np.ones(12), np.linspace(0.2, 0.1, 587)]
    asked = []
    misses = DenseMoments.misses
    monkeypatch.setattr(DenseMoments, "misses", lambda *a: asked.append(a) or misses(*a))
    found = exact.solve(moments_of(values), 9)
    np.testing.assert_allclose(found.eigenvalues, values[:9], rtol=1e-12)
    assert asked


@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_very_small_and_very_large_values(scale):
    values = scale / np.arange(1, 301)
    found = exact.solve(moments_of(values), 4)
    np.testing.assert_allclose(found.eigenvalues, values[:4], rtol=1e-12)


def test_nothing_remembered():
    found = exact.solve(moments_of(np.zeros(300)), 4)
    assert not found.eigenvalues.any()
