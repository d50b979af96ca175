"""X'X of sparse rows by pairs of entries: what dense products give, for rows of all lengths."""

import copy
import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from streampca import StreamingPCA
from streampca.moments import make_moments, outer
from streampca.rows import Minibatch


def rows_of(lengths, n, draws, dtype="float64"):
    """Rows that store so many entries each, in columns that are drawn."""
    columns = [np.sort(draws.permutation(n)[:length]) for length in lengths]
    data = draws.normal(size=int(np.sum(lengths))).astype(dtype)
    pointers = np.r_[0, np.cumsum(lengths)]
    indices = np.concatenate([*columns, np.zeros(0, "int64")]).astype("int32")
    return scipy.sparse.csr_array((data, indices, pointers), shape=(len(lengths), n))


LENGTHS = {
    "empty": lambda draws, n: np.zeros(7, "int64"),
    "one entry": lambda draws, n: np.ones(40, "int64"),
    "uniform": lambda draws, n: draws.integers(0, n // 10 + 1, 200),
    "heavy tail": lambda draws, n: np.minimum(draws.pareto(1.0, 200).astype("int64"), n),
    "one full row among empty ones": lambda draws, n: np.r_[np.zeros(20, "int64"), n, 0, 0],
    "all full": lambda draws, n: np.full(15, n),
}


@pytest.mark.parametrize("together", [1, 13, 2**15])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_all_pairs_are_added_once(lengths, dtype, together, monkeypatch):
    monkeypatch.setattr(outer, "_TOGETHER", together)
    for seed in range(5):
        draws = np.random.default_rng(seed)
        n = int(draws.integers(1, 90))
        X = rows_of(lengths(draws, n), n, draws, dtype)
        S = np.ones((n, n))
        outer.add_outer(S, X, 0.25)
        D = X.toarray().astype("float64")
        upper = np.triu_indices(n)
        np.testing.assert_allclose(S[upper], (1 + 0.25 * D.T @ D)[upper], rtol=1e-13, atol=1e-13)
        assert (S[np.tril_indices(n, -1)] == 1).all()


def test_no_second_matrix_is_made():
    draws, n = np.random.default_rng(0), 2000
    X = rows_of(draws.integers(0, 30, 3000), n, draws)
    S = np.zeros((n, n))
    tracemalloc.start()
    outer.add_outer(S, X, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < S.nbytes / 8


@pytest.mark.parametrize("share", [0.005, 0.03, 0.2])
@pytest.mark.parametrize("forgetting", [1.0, 0.99])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_and_dense_minibatches_take_turns(dtype, forgetting, share):
    """In any order, with readings and copies between them: the moments of all rows as dense."""
    draws, n = np.random.default_rng(3), 150
    mixed, dense = (
        StreamingPCA(4, memory="dense", forgetting_factor=forgetting, batch_size=200)
        for _ in range(2)
    )
    for turn in range(24):
        D = draws.normal(1.0, 1.0, (200, n)) * (draws.random((200, n)) < share)
        D = D.astype(dtype)
        mixed.partial_fit(scipy.sparse.csr_array(D) if draws.random() < 0.6 else D)
        dense.partial_fit(D)
        if turn % 7 == 3:
            assert mixed.components_.shape == (4, n)
        if turn % 9 == 5:
            mixed = copy.deepcopy(mixed)
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    ours, theirs = mixed._learner.moments, dense._learner.moments
    np.testing.assert_allclose(ours.scatter, theirs.scatter, atol=tolerance * theirs.scatter.max())
    np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-4 + tolerance)
    assert (ours.scatter == ours.scatter.T).all()


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_rows_outside_of_float32_that_are_made_dense(size):
    draws = np.random.default_rng(1)
    D = (draws.normal(size=(300, 40)) * (draws.random((300, 40)) < 0.3) * size).astype("float32")
    moments = make_moments("dense", 40, dtype="float32")
    for start in range(0, 300, 100):
        moments.update(Minibatch(scipy.sparse.csr_array(D[start : start + 100])))
    expected = np.cov(D.astype("float64").T)
    np.testing.assert_allclose(moments @ np.eye(40), expected, atol=1e-6 * expected.max())


def test_callers_arrays_are_as_they_were():
    draws = np.random.default_rng(1)
    for share in (0.01, 0.4):
        X = scipy.sparse.random_array((300, 60), density=share, format="csr", rng=draws)
        before = X.copy()
        StreamingPCA(2, memory="dense").partial_fit(X).partial_fit(X)
        np.testing.assert_array_equal(X.data, before.data)
        np.testing.assert_array_equal(X.indices, before.indices)


def test_few_entries_come_in_large_minibatches():
    """Factored memory passes over all directions once for them, unless a size is given."""
    seen = []

    X = scipy.sparse.random_array((3000, 50_000), density=1e-3, format="csr", rng=0)
    for size, expected in ((None, [3000]), (1000, [1000] * 3)):
        pca = StreamingPCA(3, memory="factored", batch_size=size).partial_fit(X[:1])
        moments = pca._learner.moments
        seen.clear()
        update = moments.update
        moments.update = lambda batch, update=update: (seen.append(batch.n_rows), update(batch))
        pca.partial_fit(X)
        assert seen == expected
