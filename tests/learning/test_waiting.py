"""Rows that wait: minibatches, and what they are summed in, lie at fixed places of the stream."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import StreamingPCA

N_ROWS = 20_000


def level(rng, X):
    """A step far away, somewhere, and back."""
    start, stop = np.sort(rng.integers(0, len(X), 2))
    X[start:stop] += 40.0


def constant(rng, X):
    """A feature that does not vary."""
    X[:, rng.integers(X.shape[1])] = 0.1


def far(rng, X):
    """Means that are far from zero, for some features."""
    X[:, rng.random(X.shape[1]) < 0.7] += 1000.0


def late(rng, X):
    """Features that are silent at first."""
    X[: rng.integers(len(X)), rng.random(X.shape[1]) < 0.3] = 0.0


def as_they_are(rng, X):
    """Nothing else."""


def stream(seed, n, dtype, *changes):
    rng = np.random.default_rng(seed)
    X = rng.normal(0.5, 1.0, size=(N_ROWS, n))
    for change in changes:
        change(rng, X)
    return X.astype(dtype)


def learned(X, sizes, **options):
    """In calls of these sizes, again and again."""
    pca, start, i = StreamingPCA(min(3, X.shape[1]), memory="dense", **options), 0, 0
    while start < len(X):
        pca.partial_fit(X[start : start + sizes[i % len(sizes)]])
        start, i = start + sizes[i % len(sizes)], i + 1
    return pca


def part_of_wider(X):
    """The same rows, which do not follow each other in memory."""
    wide = np.zeros((len(X), X.shape[1] + 1), X.dtype)
    wide[:, 1:] = X
    return wide[:, 1:]


@settings(max_examples=25, deadline=None)
@given(
    n=st.sampled_from([1, 5, 54, 128, 200]),
    dtype=st.sampled_from(["float32", "float64"]),
    changes=st.lists(st.sampled_from([level, constant, far, late, as_they_are]), max_size=2),
    sizes=st.lists(st.sampled_from([37, 1000, 1024, 3000, 10_000]), min_size=1, max_size=4),
    batch_size=st.sampled_from([None, 1100, 3000, 10_000]),
    lying=st.sampled_from([np.asarray, np.asfortranarray, part_of_wider]),
    seed=st.integers(0, 100),
)
def test_calls_of_any_size_give_the_same_bits_and_batch_pca(
    n, dtype, changes, sizes, batch_size, lying, seed
):
    X = stream(seed, n, dtype, *changes)
    once = learned(X, [len(X)], batch_size=batch_size)
    assert learned(lying(X), sizes, batch_size=batch_size).checkpoint() == once.checkpoint()
    Z = X.astype("float64") - X[0]  # exactly zero where nothing varies
    Z -= Z.mean(axis=0)
    S = once._learner.moments.scatter
    lengths = np.linalg.norm(Z, axis=0)
    lengths[lengths == 0] = 1.0
    # entries by the lengths of their columns: no feature pays for another one
    error = abs(S - Z.T @ Z) / np.outer(lengths, lengths)
    assert error.max() <= 500 * np.finfo(dtype).eps


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pca: pickle.loads(pickle.dumps(pca))])
@pytest.mark.parametrize("at", [900, 5000, 9999])
def test_a_copy_in_the_middle_goes_on_to_the_same_bits(copied, at):
    X = stream(0, 54, "float32", far)
    pca = learned(X[:at], [at])
    twin = copied(pca)
    assert twin.n_samples_seen_ == at  # which folds in all that waits there, and nothing here
    twin = copied(pca)
    for some in (pca, twin):
        some.partial_fit(X[at:])
    assert pca.checkpoint() == twin.checkpoint()


def test_a_part_of_the_model_changes_nothing():
    X = stream(0, 54, "float32")
    pca, other = learned(X[:7000], [7000]), learned(X[:7000], [7000])
    pca.part()
    assert pca.partial_fit(X[7000:]).checkpoint() == other.partial_fit(X[7000:]).checkpoint()


@pytest.mark.parametrize("kind", ["weights", "sparse", "other type", "by columns"])
def test_rows_of_another_kind_may_come_between(kind):
    X = stream(0, 20, "float32", far).astype("float64").astype("float32")
    pca = learned(X[:6000], [6000])
    some = X[6000:9000]
    if kind == "weights":
        pca.partial_fit(some, sample_weight=np.ones(len(some)))
    elif kind == "sparse":
        sparse = pytest.importorskip("scipy.sparse")
        pca.partial_fit(sparse.csr_array(some))
    else:
        pca.partial_fit(some.astype("float64") if kind == "other type" else np.asfortranarray(some))
    pca.partial_fit(X[9000:])
    Z = X.astype("float64")
    assert pca.n_samples_seen_ == len(X)
    np.testing.assert_allclose(pca.mean_, Z.mean(axis=0), rtol=1e-6, atol=1e-5)
    S = pca._learner.moments.scatter / (len(X) - 1)
    np.testing.assert_allclose(S, np.cov(Z.T), atol=1e-3)


def test_a_solver_that_steps_has_the_rows_of_each_minibatch():
    torch = pytest.importorskip("torch")
    X = stream(0, 20, "float32")

    def optimizer(parameters):
        return torch.optim.SGD(parameters, lr=1e-3)

    steps = []
    pca = StreamingPCA(
        2, memory="dense", solver="first_order", optimizer=optimizer, batch_size=2048
    )
    pca.partial_fit(X[:2048])
    solver = pca._learner.solver
    step = solver.step
    solver.step = lambda moments: (steps.append(moments.n_samples), step(moments))
    pca.partial_fit(X[2048:10240])
    assert steps == [4096, 6144, 8192, 10240]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [70_000, 10**9, 10**30])
def test_room_is_taken_as_rows_come(batch_size, weighted):
    X = np.random.default_rng(0).normal(3.0, 1.0, size=(90_000, 300))[:, :: 1 if weighted else 40]
    n, weights = X.shape[1], np.ones(5000) if weighted else None
    pca = StreamingPCA(1, memory="dense", batch_size=batch_size)
    for i, rows in enumerate(np.split(X, 18)):
        pca.partial_fit(rows, sample_weight=weights)
        if i % 5 == 2:
            pca = pickle.loads(pickle.dumps(pca))
    assert len(pca._learner._buffer._rows._X) <= max(2**24 // n + 1, 1.5 * len(X))
    first = np.linalg.eigvalsh(np.cov(X.T))[-1]
    np.testing.assert_allclose(pca.explained_variance_, [first], rtol=1e-12)
    np.testing.assert_allclose(pca.mean_, X.mean(axis=0), rtol=1e-13)
