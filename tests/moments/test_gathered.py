"""Factored memory of very many directions sums its rows: exact, and the same to everybody else."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

from streampca import StreamingPCA
from streampca.moments import (
    FEW_FEATURES,
    FactoredMoments,
    make_moments,
    moments_from_state,
)
from streampca.moments.gathered import gathers
from streampca.rows import Minibatch

N = FEW_FEATURES + 22


def rows(m, n=N, seed=0, shift=0.3):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(m, n)) * np.arange(1, n + 1.0) ** -0.7 + shift


def learned(X, q, *, size=97, dtype="float64", forget=1.0):
    moments = make_moments("factored", X.shape[1], n_directions=q, dtype=dtype)
    for start in range(0, len(X), size):
        moments.decay(forget)
        moments.update(Minibatch(X[start : start + size].astype(dtype)))
    return moments


def covariance(moments):
    return moments @ np.eye(moments.n_features)


@pytest.mark.parametrize(
    ("n", "q", "expected"),
    [
        (FEW_FEATURES, FEW_FEATURES, False),
        (FEW_FEATURES + 1, 37, True),
        (FEW_FEATURES + 1, 36, False),
        (1000, 286, True),
        (1000, 285, False),
        (2048, 2048, True),
        (2049, 2049, False),
    ],
)
def test_where_rows_are_summed(n, q, expected):
    assert gathers(n, q) is expected


@pytest.mark.parametrize("q", [N // 3, N // 2, N])
@pytest.mark.parametrize("size", [1, 7, 200, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_covariance_is_exact_before_directions_are_written(q, size, dtype):
    X = rows(400).astype(dtype)
    moments = learned(X, q, size=size, dtype=dtype)
    expected = np.cov(X.T.astype("float64"))
    tolerance = {"float32": 3e-6, "float64": 1e-13}[dtype] * np.abs(expected).max()
    np.testing.assert_allclose(covariance(moments), expected, rtol=0, atol=tolerance)
    values = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(moments.leading(5)[1], values[::-1][:5], rtol=0, atol=N * tolerance)
    found = moments.leading(q)[1]
    np.testing.assert_allclose(found, values[::-1][:q], rtol=0, atol=N * tolerance)
    assert moments.discarded_variance == 0.0
    np.testing.assert_allclose(moments.variance, np.diag(expected), rtol=0, atol=tolerance)


def test_what_writing_leaves_out_is_bounded():
    X, q = rows(400), N // 3
    moments = learned(X, q)
    full = covariance(moments)
    values = np.linalg.eigvalsh(full)[::-1]
    again = moments_from_state("factored", moments.state())
    lost = np.linalg.norm(covariance(again) - full, 2)
    assert lost == pytest.approx(values[q], rel=1e-9)
    assert lost <= again.discarded_variance * (1 + 1e-9)
    np.testing.assert_allclose(again.leading(q)[1], values[:q], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_who_goes_on_from_a_state_does_what_the_first_one_does(dtype):
    X = rows(600).astype(dtype)
    moments = learned(X[:300], N // 2, dtype=dtype)
    again = moments_from_state("factored", moments.state())
    for each in (moments, again):
        for start in range(300, 600, 100):
            each.update(Minibatch(X[start : start + 100]))
    first, second = moments.state(), again.state()
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_reading_and_copying_change_nothing():
    X = rows(600)
    plain, read = learned(X[:300], N // 2), learned(X[:300], N // 2)
    read.leading(5)
    copied = copy.deepcopy(read)
    for each in (plain, read, copied):
        each.update(Minibatch(X[300:]))
    for name, value in plain.state().items():
        np.testing.assert_array_equal(value, read.state()[name], err_msg=name)
        np.testing.assert_array_equal(value, copied.state()[name], err_msg=name)


@pytest.mark.parametrize("ours", ["sum", "written", "sketch", "empty"])
@pytest.mark.parametrize("theirs", ["sum", "written", "sketch", "empty"])
def test_parts_of_all_kinds_merge(ours, theirs):
    X, Y = rows(400), rows(300, seed=1, shift=-1.0)
    few, many = N // 4, N // 2

    def part(kind, Z):
        if kind == "empty":
            return learned(Z[:0], many)
        moments = learned(Z, few if kind == "sketch" else many)
        return moments_from_state("factored", moments.state()) if kind == "written" else moments

    a, b = part(ours, X), part(theirs, Y)
    there = [Z for kind, Z in ((ours, X), (theirs, Y)) if kind != "empty"]
    bound = a.discarded_variance * a.denominator + b.discarded_variance * b.denominator
    a.merge(b)
    if not there:
        assert a.weight == 0
        return
    expected = np.cov(np.concatenate(there).T)
    off = np.linalg.norm(covariance(a) - expected, 2)
    if ours == theirs == "sum":
        assert off <= 1e-12
    rounding = 1e-12 * np.linalg.norm(expected, 2)
    assert off <= a.discarded_variance + rounding
    if ours != "sketch":  # nothing more is lost than the parts had lost
        assert a.discarded_variance <= bound / a.denominator + rounding
    np.testing.assert_allclose(a.mean, np.concatenate(there).mean(axis=0), atol=1e-12)


def test_forgetting():
    X = rows(500)
    moments = learned(X, N // 2, size=100, forget=0.5)
    w = np.repeat(0.5 ** np.arange(4, -1, -1.0), 100)
    mean = w @ X / w.sum()
    scatter = ((X - mean) * w[:, None]).T @ (X - mean)
    np.testing.assert_allclose(covariance(moments) * moments.denominator, scatter, atol=1e-11)
    moments.decay(0.0)
    moments.update(Minibatch(X[:50]))
    np.testing.assert_allclose(covariance(moments), np.cov(X[:50].T), atol=1e-12)


def test_sparse_rows_and_weights():
    draws = np.random.default_rng(0)
    X = sp.random_array((500, N), density=0.03, rng=draws, format="csr")
    moments = make_moments("factored", N, n_directions=N // 2, dtype="float64")
    weights = draws.integers(0, 4, 500).astype("float64")
    moments.update(Minibatch(X[:200], weights[:200]))
    moments.update(Minibatch(X[200:], weights[200:]))
    expected = np.cov(X.toarray().T, fweights=weights.astype(int))
    np.testing.assert_allclose(covariance(moments), expected, atol=1e-14)


@pytest.mark.parametrize("p", [1, 20, 60, N])
def test_components_are_those_of_dense_memory(p):
    X = rows(900)
    pcas = [
        StreamingPCA(p, memory=memory, oversample=N).partial_fit(X)
        for memory in ("dense", "factored")
    ]
    dense, factored = pcas
    np.testing.assert_allclose(factored.components_, dense.components_, atol=1e-9)
    np.testing.assert_allclose(factored.explained_variance_, dense.explained_variance_, rtol=1e-11)
    assert factored.residuals_.max() < 1e-12
    assert factored.memory_ == "factored"


def test_it_may_be_made_of_moments_of_other_kinds_and_widened():
    X = rows(300)
    dense = make_moments("dense", N, dtype="float64")
    dense.update(Minibatch(X))
    moments = FactoredMoments.of(dense, N)
    moments.update(Minibatch(rows(200, seed=2)))
    both = np.concatenate([X, rows(200, seed=2)])
    np.testing.assert_allclose(covariance(moments), np.cov(both.T), atol=1e-12)
    wider = moments.widened(np.arange(N) + 3, np.zeros(N + 3))
    np.testing.assert_allclose(covariance(wider)[3:, 3:], np.cov(both.T), atol=1e-12)
