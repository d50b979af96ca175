"""X'X added in place: by numpy's BLAS, and by numpy where that cannot be asked."""

import sys

import numpy as np
import pytest

from streampca.arrays import blas
from streampca.arrays.blas import add_gram


@pytest.fixture(params=["BLAS", "numpy"])
def way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(blas, "_syrk", lambda dtype: None)


def rows(m, n, dtype):
    return np.random.default_rng(m * n).normal(size=(m, n)).astype(dtype)


LAYOUTS = {
    "contiguous": lambda X: X,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "some columns": lambda X: np.pad(X, ((0, 0), (3, 2)))[:, 3:-2],
    "by columns": np.asfortranarray,
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "one row repeated": lambda X: np.broadcast_to(X[:1], X.shape),
    "not aligned": lambda X: _shifted(X),
    "read only": lambda X: _locked(X.copy()),
}


def _shifted(X):
    raw = np.empty(X.nbytes + 1, "uint8")[1:].view("uint8")
    shifted = np.frombuffer(raw.data, X.dtype, X.size).reshape(X.shape)
    shifted[...] = X
    return shifted


def _locked(X):
    X.flags.writeable = False
    return X


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 7), (5, 1), (40, 9), (3, 50), (700, 130)])
def test_the_upper_triangle_is_the_sum(way, m, n, dtype, layout):
    X = LAYOUTS[layout](rows(m, n, dtype))
    np.testing.assert_equal(X.shape, (m, n))
    before = X.copy()
    room = np.full(n * n + 32, 7.0, dtype)  # what lies around P stays as it is
    P = room[16:-16].reshape(n, n)
    start = rows(n, n, dtype)
    P[...] = start
    add_gram(P, X)
    wide = X.astype("float64")
    error = (m + 2) * np.finfo(dtype).eps * (abs(start) + abs(wide).T @ abs(wide))
    assert (abs(P - (start + wide.T @ wide)) <= error)[np.triu_indices(n)].all()
    assert (room[:16] == 7).all()
    assert (room[-16:] == 7).all()
    np.testing.assert_array_equal(X, before)


def test_both_ways_agree(monkeypatch):
    X = rows(500, 60, "float64")
    P, expected = np.zeros((60, 60)), np.zeros((60, 60))
    add_gram(P, X)
    monkeypatch.setattr(blas, "_syrk", lambda dtype: None)
    add_gram(expected, X)
    np.testing.assert_allclose(np.triu(P), np.triu(expected), rtol=1e-12, atol=1e-12)


def test_a_numpy_that_does_not_show_its_blas_is_no_error(monkeypatch):
    for found in (lambda name: None, lambda name: sys.modules["json"].__spec__):
        blas.numpys_library.cache_clear()
        monkeypatch.setattr(blas, "find_spec", found)
        assert blas.numpys_library() is None
    monkeypatch.setattr(blas, "numpys_library", lambda: None)
    blas._syrk.cache_clear()
    P = np.zeros((3, 3))
    add_gram(P, np.eye(3))
    np.testing.assert_array_equal(np.triu(P), np.eye(3))
    monkeypatch.undo()
    blas._syrk.cache_clear()
    blas.numpys_library.cache_clear()


@pytest.mark.skipif(
    "scipy-openblas" not in str(np.show_config(mode="dicts")), reason="numpy has another BLAS"
)
@pytest.mark.skipif(sys.platform == "win32", reason="names are not found through extensions there")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_blas_of_numpy_s_wheels_is_asked(dtype):
    assert blas._syrk(dtype) is not None
