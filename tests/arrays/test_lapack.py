"""Leading eigenpairs by numpy's own LAPACK are those of a full decomposition."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streampca.arrays import lapack, leading_eigh
from streampca.moments import DenseMoments
from streampca.rows import Minibatch

SPECTRA = {
    "1/i": lambda n, draws: 1.0 / np.arange(1, n + 1),
    "noise": lambda n, draws: draws.uniform(0.9, 1.1, n),
    "few": lambda n, draws: np.where(np.arange(n) < 3, 5.0, 0.0),
    "all equal": lambda n, draws: np.ones(n),
    "all zero": lambda n, draws: np.zeros(n),
    "pairs": lambda n, draws: np.repeat(1.0 / np.arange(1, n), 2)[:n],
    "far apart": lambda n, draws: 10.0 ** -np.arange(n),
    "huge": lambda n, draws: 1e140 / np.arange(1, n + 1),
    "tiny": lambda n, draws: 1e-140 / np.arange(1, n + 1),
}

shown = pytest.mark.skipif(lapack._routines() is None, reason="numpy's library does not show it")


@shown
@pytest.mark.parametrize("n", [16, 34, 81, 128, 250])
@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_they_are_those_of_the_full_decomposition(spectrum, n):
    draws = np.random.default_rng(n)
    Q, _ = np.linalg.qr(draws.normal(size=(n, n)))
    values = spectrum(n, draws)
    S = (Q * values) @ Q.T
    S = (S + S.T) / 2
    before = S.copy()
    for k in (1, 3, n // 10, (n - 10) // 6):
        pairs = leading_eigh(S, k)
        if pairs is None:
            assert 6 * k > n - 10 or k == 0 or values[0] == 0  # too many, or nothing there
            continue
        found, vectors = pairs
        rounding = n * 1e-15 * max(values.max(), 1e-300)
        np.testing.assert_allclose(found, np.linalg.eigvalsh(S)[::-1][:k], rtol=0, atol=rounding)
        assert (np.diff(found) <= 0).all()
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-12)
        np.testing.assert_allclose(S @ vectors, vectors * found, rtol=0, atol=rounding)
    np.testing.assert_array_equal(S, before)


@pytest.mark.parametrize(("n", "k"), [(15, 1), (5, 1), (200, 32), (200, 200), (20, 0)])
def test_all_pairs_are_asked_of_numpy(n, k):
    assert leading_eigh(np.eye(n), k) is None


@pytest.mark.parametrize("n", [50, 100, 200])
def test_what_is_not_finite_is_left_to_numpy(n):
    leading_eigh(np.diag(np.arange(n, 0.0, -1.0)), 2)  # whose answer may lie in the same memory
    assert leading_eigh(np.full((n, n), np.nan), 2) is None


@shown
def test_answers_are_not_written_over_by_later_ones():
    draws = np.random.default_rng(0)
    matrices = [X.T @ X for X in draws.normal(size=(20, 80, 40))]
    found = [leading_eigh(S, 2) for S in matrices]
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda S: leading_eigh(S, 2), matrices * 20))
    for i, (values, vectors) in enumerate(again):
        np.testing.assert_array_equal(values, found[i % 20][0])
        np.testing.assert_array_equal(vectors, found[i % 20][1])
        assert not np.shares_memory(vectors, found[i % 20][1])


@shown
@pytest.mark.parametrize("spoil", ["vectors", "values", "order"])
def test_what_is_not_an_eigenpair_is_left_to_numpy(spoil, monkeypatch):
    draws, pairs = np.random.default_rng(1), lapack._pairs
    Z = draws.normal(size=(100, 60))
    S = Z @ Z.T
    assert leading_eigh(S, 5) is not None

    def spoiled(*given):
        values, vectors = pairs(*given)
        if spoil == "values":
            values[2] *= 1 + 1e-9
        elif spoil == "vectors":
            vectors[:, 3] = vectors[:, 2]
        else:
            values = values[::-1]
        return values, vectors

    monkeypatch.setattr(lapack, "_pairs", spoiled)
    assert leading_eigh(S, 5) is None


@pytest.mark.parametrize("there", [True, False], ids=["shown", "not shown"])
def test_readings_are_the_same_where_the_library_does_not_show_it(there, monkeypatch):
    if not there:
        monkeypatch.setattr(lapack, "_routines", lambda: None)
    draws, n = np.random.default_rng(0), 150
    X = draws.normal(size=(400, n)) / np.arange(1, n + 1)
    moments = DenseMoments(n, dtype="float64", device=None)
    moments.update(Minibatch(X))
    A, values = moments.leading(4)
    expected, vectors = np.linalg.eigh(np.cov(X.T))
    np.testing.assert_allclose(values, expected[::-1][:4], rtol=1e-12)
    np.testing.assert_allclose(np.abs((A * vectors[:, ::-1][:, :4]).sum(axis=0)), 1, rtol=1e-12)
