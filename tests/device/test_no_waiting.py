"""The loop over minibatches on a device: the host asks nothing, and the numbers are right."""

import numpy as np
import pytest
import torch

from streampca import StreamingPCA
from streampca.learning.landing import _WORTH_WAITING

N, P, M = 160, 3, 400  # 256 kB a minibatch
AHEAD = 10
"""Operations that the computing stream must still have to do whenever the host waits."""


def rows(count=24_000):
    draws = np.random.default_rng(0)
    X = draws.normal(size=(count, N)) * 2.0 ** -np.minimum(np.arange(N), 20) + 0.1
    return X.astype("float32")


def placed(X, where, device):
    tensor = torch.from_numpy(X.copy())
    if where == "device":
        return tensor.to(device)
    return tensor.pin_memory() if where == "pinned" else tensor.numpy()


def learned(X, where, device, simulation, **options):
    """The estimator, and what the host waited for in each call."""
    pca = StreamingPCA(P, device=device, batch_size=M, **options)
    waits = []
    for start in range(0, len(X), M):
        piece = placed(X[start : start + M], where, device)
        before = len(simulation.waits)
        pca.partial_fit(piece)
        waits.append(simulation.waits[before:])
        piece[:] = torch.nan  # it is the caller's again
    return pca, waits


def agree(pca, X, tolerance=1e-4, **options):
    host = StreamingPCA(P, batch_size=M, dtype="float64", **options)
    for start in range(0, len(X), M):
        host.partial_fit(X[start : start + M].astype("float64"))
    cosines = np.abs((pca.components_ * host.components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=tolerance)
    np.testing.assert_allclose(pca.explained_variance_, host.explained_variance_, rtol=tolerance)
    np.testing.assert_allclose(pca.mean_, host.mean_, atol=1e-5)
    np.testing.assert_allclose(pca.var_, host.var_, rtol=1e-4, atol=1e-12)
    assert pca.n_samples_seen_ == host.n_samples_seen_


WHERE = pytest.mark.parametrize("where", ["device", "pinned", "pageable"])


@pytest.fixture(autouse=True)
def _small_pieces_count(monkeypatch):
    monkeypatch.setattr("streampca.learning.landing._WORTH_WAITING", 2**16)
    assert _WORTH_WAITING > 2**16


@WHERE
@pytest.mark.parametrize("gamma", [1.0, 0.9999])
def test_dense_never_waits_for_what_is_computed(where, gamma, device, simulation):
    X = rows(8000)
    options = {"memory": "dense", "forgetting_factor": gamma}
    pca, waits = learned(X, where, device, simulation, **options)
    for seen in waits[4:]:
        assert {kind for kind, _ in seen} <= {"event"}
        assert all(behind >= AHEAD for _, behind in seen), seen
    agree(pca, X, **options)


@WHERE
def test_factored_waits_for_small_problems_once_in_many_minibatches(where, device, simulation):
    X = rows()
    pca, waits = learned(X, where, device, simulation, memory="factored")
    solving = [any(kind != "event" for kind, _ in seen) for seen in waits]
    assert not any(solving[-20:])  # a sketch holds half of the rows so far, or 32 minibatches
    assert sum(solving) <= 12
    for seen in waits[-20:]:
        assert all(behind >= AHEAD for _, behind in seen), seen
    agree(pca, X, memory="factored")


def test_means_far_from_zero_are_subtracted_first(device, simulation):
    X = rows(4000) + 1e3
    pca, waits = learned(X, "device", device, simulation, memory="dense")
    assert all({kind for kind, _ in seen} <= {"event"} for seen in waits[4:])
    agree(pca, X, tolerance=1e-3, memory="dense")


def test_single_rows_from_the_host_are_gathered_there(device, simulation):
    X = rows(2000)
    pca = StreamingPCA(P, device=device, batch_size=M, memory="dense")
    pca.partial_fit(X[:M])
    before = simulation.n_kernels
    for row in X[M : 2 * M - 1]:
        pca.partial_fit(row[None])
    assert simulation.n_kernels == before
    for row in X[2 * M - 1 :]:
        pca.partial_fit(row[None])
    agree(pca, X, memory="dense")


def test_rows_of_all_kinds_keep_their_order(device, simulation):
    X = rows(6000)
    pca = StreamingPCA(P, device=device, batch_size=M, memory="dense", forgetting_factor=0.999)
    bounds = [0, 7, 300, 950, 951, 2300, 2301, 4000, 4700, 6000]
    kinds = ["pageable", "device", "pinned"] * 3
    for start, stop, kind in zip(bounds, bounds[1:], kinds, strict=False):
        pca.partial_fit(placed(X[start:stop], kind, device))
    agree(pca, X, memory="dense", forgetting_factor=0.999)


def test_weights_count_as_copies(device, simulation):
    X = rows(2000)
    w = np.random.default_rng(1).integers(0, 4, len(X)).astype("float64")
    pca = StreamingPCA(P, device=device, batch_size=M, memory="dense")
    pca.partial_fit(placed(X[:900], "device", device), sample_weight=w[:900])
    pca.partial_fit(placed(X[900:], "device", device), sample_weight=w[900:])
    host = StreamingPCA(P, batch_size=M, memory="dense", dtype="float64")
    host.fit(np.repeat(X, w.astype(int), axis=0))
    np.testing.assert_allclose(pca.explained_variance_, host.explained_variance_, rtol=1e-5)


def test_the_paper_s_steps_are_not_waited_for(device, simulation):
    X = rows(4000)
    options = {"solver": "first_order", "random_state": 1, "dtype": "float64"}
    pca, waits = learned(X, "device", device, simulation, **options)
    for seen in waits[4:]:
        assert {kind for kind, _ in seen} <= {"event"}
    host = StreamingPCA(P, batch_size=M, **options)
    for start in range(0, len(X), M):
        host.partial_fit(X[start : start + M])
    np.testing.assert_allclose(pca.decoder_, host.decoder_, atol=1e-6)


def test_gaps_take_the_slow_way_and_are_right(device, simulation):
    X = rows(1500)
    X[5, 2] = X[700, 3] = np.nan
    pca = StreamingPCA(P, device=device, batch_size=M, missing="impute", memory="dense")
    for start in range(0, len(X), 500):
        pca.partial_fit(placed(X[start : start + 500], "device", device))
    host = StreamingPCA(P, batch_size=M, missing="impute", memory="dense").fit(X)
    np.testing.assert_allclose(pca.explained_variance_, host.explained_variance_, rtol=1e-4)
    assert pca.n_samples_seen_ == 1500


def test_a_loop_that_asks_is_caught(device, simulation, monkeypatch):
    from streampca.moments import DenseMoments

    right = DenseMoments._absorb

    def asking(self, given):
        right(self, given)
        float(self._scatter.sum())

    monkeypatch.setattr(DenseMoments, "_absorb", asking)
    with pytest.raises(AssertionError):
        test_dense_never_waits_for_what_is_computed("device", 1.0, device, simulation)


def test_a_caller_let_go_too_early_is_caught(device, monkeypatch):
    from simulated import Event, Race, Simulation

    from streampca.learning import landing

    class Hasty(landing.Landing):
        def _append(self, *given):
            super()._append(*given)

    monkeypatch.setattr("streampca.learning.learner.Landing", Hasty)
    assert Event is not None
    with pytest.raises(Race, match="host memory"), Simulation(lag=float("inf")) as simulation:
        learned(rows(2000), "pinned", device, simulation, memory="dense")
