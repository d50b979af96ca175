"""The exact step: it descends, converges to the ordered eigenvectors, and certifies them."""

import numpy as np
import pytest
from counted import Counted

from streampca.moments import make_moments
from streampca.rows import Minibatch
from streampca.solvers import exact


def problem(n=160, m=400, seed=0, spectrum=None):
    draws = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(draws.normal(size=(n, n)))
    spectrum = 1.0 / np.arange(1, n + 1) if spectrum is None else spectrum
    X = (draws.normal(size=(m, n)) * np.sqrt(spectrum)) @ basis.T
    moments = make_moments("dense", n, dtype="float64")
    moments.update(Minibatch(X))
    values, vectors = np.linalg.eigh(np.cov(X.T))
    return moments, X, values[::-1], vectors[:, ::-1]


def start(n, k, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, k)))[0]


def nested_loss(A, Sigma):
    """L for orthonormal A with its best encoder, less p tr(Sigma): by the definition."""
    kept = np.diag(A.T @ Sigma @ A)
    return -float(np.arange(len(kept), 0, -1) @ kept)


def test_steps_descend_to_the_ordered_eigenvectors():
    moments, X, values, vectors = problem()
    state = exact.begin(moments, start(160, 6))
    losses = []
    for _ in range(80):
        losses.append(nested_loss(state.A, np.cov(X.T)))
        state, info = exact.exact_step(state, moments)
    assert (np.diff(losses) <= 1e-12).all()
    np.testing.assert_allclose(state.eigenvalues, values[:6], rtol=1e-9)
    assert np.abs((state.A * vectors[:, :6]).sum(0)).min() > 1 - 1e-10
    assert info.residuals.max() < 1e-8


def test_decoder_stays_orthonormal():
    moments, *_ = problem()
    state = exact.begin(moments, start(160, 10))
    for _ in range(100):
        state, _ = exact.exact_step(state, moments)
    np.testing.assert_allclose(state.A.T @ state.A, np.eye(10), atol=1e-12)


@pytest.mark.parametrize("p", [1, 5, 20, 160])
@pytest.mark.parametrize("warm", [False, True])
def test_solution_is_certified(p, warm):
    moments, X, _, _ = problem()
    guess = exact.solve(moments, p).A if warm else None
    moments.update(Minibatch(X[:40] * 1.1))
    Sigma = moments @ np.eye(160)
    solution = exact.solve(moments, p, guess)
    expected = np.linalg.eigvalsh(Sigma)[::-1][:p]
    np.testing.assert_allclose(solution.eigenvalues, expected, rtol=1e-10)
    residuals = np.linalg.norm(Sigma @ solution.A - solution.A * solution.eigenvalues, axis=0)
    assert (residuals <= (exact.TOLERANCE * 2) * expected[0]).all()
    np.testing.assert_allclose(solution.residuals, residuals / expected[0], atol=1e-13)


def test_a_start_that_is_blind_to_the_largest_direction_is_not_believed():
    # eigenvectors 2, 3, 4 have zero residuals, and nothing in span{A, Sigma A} knows of 1
    moments, _, values, vectors = problem()
    solution = exact.solve(moments, 3, vectors[:, 1:4])
    np.testing.assert_allclose(solution.eigenvalues, values[:3], rtol=1e-10)


def read_again(n, p, new):
    """What a second reading asks for, once `new` rows have come to 4,096 with variances 1 / i."""
    draws = np.random.default_rng(0)
    X = draws.normal(size=(4096 + new, n)) * np.arange(1, n + 1) ** -0.5
    moments = make_moments("dense", n, dtype="float64")
    moments.update(Minibatch(X[:4096]))
    first = exact.solve(moments, p)
    moments.update(Minibatch(X[4096:]))
    counted = Counted(moments)
    solution = exact.solve(counted, p, first.A)
    expected = np.linalg.eigvalsh(moments @ np.eye(n))[::-1][:p]
    np.testing.assert_allclose(solution.eigenvalues, expected, rtol=1e-10)
    return counted


def test_a_second_reading_costs_little_more_than_a_first_where_steps_are_slow():
    # steps from p components that have no guards behind them would take thirty
    some = read_again(600, 10, new=512)
    assert some.direct == 0  # block Lanczos, from the components of before
    assert some.columns <= 130  # as many as thirteen steps of ten
    many = read_again(300, 40, new=512)
    assert many.direct == 1  # no room for block Lanczos; two steps cost half as much as this
    assert many.products <= 4


def test_a_second_reading_after_a_few_rows_takes_a_few_steps():
    n = 500
    moments, X, *_ = problem(n, 4000, spectrum=np.r_[100.0, 50.0, 25.0, np.full(n - 3, 1e-3)])
    first = exact.solve(moments, 3)
    moments.update(Minibatch(X[:4]))
    counted = Counted(moments)
    assert exact.solve(counted, 3, first.A).residuals.max() <= exact.TOLERANCE
    assert counted.direct == 0
    assert counted.products <= 4


def test_a_step_that_lands_on_the_solution_exactly_is_no_error(monkeypatch):
    moments = make_moments("dense", 160, dtype="float64")
    moments.update(Minibatch(np.eye(160)[[0, 0]] * [[8.0], [-8.0]]))
    moments._scatter  # noqa: B018 - as one matrix, whose products with e are exact
    e = np.eye(160)[:, :1]
    landed = exact.ExactState(e, np.array([128.0]), 128.0 * e, None, None)
    monkeypatch.setattr(exact, "exact_step", lambda state, moments: (landed, None))
    solution = exact.solve(Counted(moments), 1, (e + np.eye(160)[:, 1:2]) * 0.5**0.5)
    assert float(solution.residuals[0]) == 0
    assert float(solution.eigenvalues[0]) == 128


def test_equal_eigenvalues_give_the_eigenspace():
    spectrum = np.r_[4.0, 4.0, 4.0, np.full(157, 0.01)]
    n = 160
    basis = start(n, n)
    X = np.concatenate(
        [basis.T * np.sqrt(spectrum)[:, None], -basis.T * np.sqrt(spectrum)[:, None]]
    )
    moments = make_moments("dense", n, dtype="float64")
    moments.update(Minibatch(X))
    A = exact.solve(moments, 3, start(n, 3)).A
    np.testing.assert_allclose(A @ A.T, basis[:, :3] @ basis[:, :3].T, atol=1e-9)


@pytest.mark.parametrize("kind", ["dense", "factored", "minibatch"])
@pytest.mark.parametrize("p", [1, 4])
def test_every_kind_of_moments_can_be_solved(kind, p):
    X = np.random.default_rng(0).normal(size=(80, 10)) * np.arange(10, 0, -1)
    moments = make_moments(kind, 10, n_directions=10, dtype="float64")
    moments.update(Minibatch(X))
    solution = exact.solve(moments, p)
    assert solution.A.shape == (10, p)
    assert solution.residuals.max() < 1e-12


@pytest.mark.parametrize("kind", ["dense", "factored", "minibatch"])
def test_nothing_seen_yet_has_zero_variance(kind):
    solution = exact.solve(make_moments(kind, 5, n_directions=3), 3)
    assert (solution.eigenvalues == 0).all()
    assert (solution.residuals == 0).all()
