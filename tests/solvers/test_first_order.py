"""The paper's own method: gradients from any moments, any torch optimizer, ordered at the end."""

import numpy as np
import pytest
import torch

from streampca import StreamingPCA
from streampca.metrics import ordered_share, principal_angles
from streampca.moments import make_moments
from streampca.rows import Minibatch
from streampca.solvers.first_order import FirstOrder


def stream(m=4000, seed=0):
    draws = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(draws.normal(size=(8, 8)))
    X = (draws.normal(size=(m, 8)) * [8, 5, 3, 2, 1, 0.5, 0.2, 0.1]) @ basis.T + 10
    return X, basis.T[:3]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.03)


def adam_with_schedule(parameters):
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999)


@pytest.mark.parametrize("optimizer", [sgd, adam_with_schedule])
@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_descends_to_the_ordered_eigenvectors(kind, optimizer):
    X, _ = stream(500)
    moments = make_moments(kind, 8, n_directions=8, dtype="float64")
    moments.update(Minibatch(X))
    solver = FirstOrder(8, 3, optimizer=optimizer, dtype="float64", seed=0)
    losses = [float(solver.step(moments).loss) for _ in range(4000)]
    reading = solver.read(moments)
    vectors = np.linalg.eigh(np.cov(X.T))[1][:, ::-1].T[:3]
    assert ordered_share(reading.directions.T, vectors, threshold=0.9999) == 1.0
    assert losses[-1] < losses[0]
    values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    optimum = 3 * values.sum() - np.array([3, 2, 1]) @ values[:3]  # Eq. 5
    assert reading.loss == pytest.approx(optimum, rel=1e-3)
    assert reading.residuals.max() < 1e-2


@pytest.mark.parametrize("memory", ["minibatch", "dense", "factored"])
def test_the_estimator_learns_by_minibatch_gradients(memory):
    X, truth = stream(40_000)
    pca = StreamingPCA(
        3, solver="first_order", memory=memory, batch_size=50, optimizer=adam_with_schedule
    )
    for start in range(0, len(X), 333):
        pca.partial_fit(X[start : start + 333])
    assert ordered_share(pca.components_, truth, threshold=0.97) == 1.0
    assert pca.transform(X[:5]).shape == (5, 3)
    assert pca.explained_variance_[0] == pytest.approx(64, rel=0.3)


def test_rate_does_not_depend_on_the_scale_of_the_data():
    X, _ = stream()
    small, large = (
        StreamingPCA(3, solver="first_order", batch_size=50, optimizer=sgd).fit(X * scale)
        for scale in (1.0, 1e6)
    )
    assert principal_angles(small.components_, large.components_).max() < 1e-6


def test_zero_columns_are_nudged():
    # Remark 3: at A = 0, B = 0 both gradients vanish
    X, _ = stream(500)
    moments = make_moments("dense", 8, dtype="float64")
    moments.update(Minibatch(X))
    solver = FirstOrder(8, 3, optimizer=sgd, dtype="float64")
    with torch.no_grad():
        solver.A.zero_()
        solver.B.zero_()
    for _ in range(3000):
        solver.step(moments)
    assert np.linalg.norm(solver.read(moments).decoder, axis=0).min() > 0.1


def test_device_tensors_and_numpy_take_the_same_steps():
    X, _ = stream(500)
    host = make_moments("dense", 8, dtype="float64")
    device = type(host)(8, dtype="float64", device="cpu")
    solvers = FirstOrder(8, 3, dtype="float64"), FirstOrder(8, 3, dtype="float64", device="cpu")
    for moments, solver in zip((host, device), solvers, strict=True):
        moments.update(Minibatch(X))
        for _ in range(20):
            solver.step(moments)
    torch.testing.assert_close(solvers[0].A.data, solvers[1].A.data)


@pytest.mark.parametrize("optimizer", [None, sgd, adam_with_schedule])
def test_resumes_bit_for_bit_with_the_optimizer_s_own_memory(optimizer):
    X, _ = stream()
    options = {"solver": "first_order", "optimizer": optimizer, "batch_size": 40}
    straight = StreamingPCA(3, **options).partial_fit(X[:2000])
    checkpoint = straight.checkpoint()
    resumed = StreamingPCA.from_checkpoint(checkpoint, optimizer=optimizer)
    for pca in (straight, resumed):
        pca.partial_fit(X[2000:])
    np.testing.assert_array_equal(straight.decoder_, resumed.decoder_)
    np.testing.assert_array_equal(straight.encoder_, resumed.encoder_)


def test_a_state_of_another_shape_is_refused():
    state = FirstOrder(8, 3).state()
    with pytest.raises(ValueError, match=r"no A of shape \(8, 2\)"):
        FirstOrder(8, 2).load(state)
