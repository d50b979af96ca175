"""Dense moments: the proof that no larger direction was missed."""

import numpy as np
import pytest

from streampca.moments import make_moments
from streampca.moments.definite import positive_definite
from streampca.rows import Minibatch


def moments_of(X):
    moments = make_moments("dense", X.shape[1], dtype="float64")
    moments.update(Minibatch(X))
    return moments


def test_leading_components_miss_nothing_and_others_do():
    X = np.random.default_rng(0).normal(size=(300, 150)) * np.linspace(5, 1, 150)
    moments = moments_of(X)
    A, eigenvalues = moments.leading(12)
    assert not moments.misses(A[:, :10], eigenvalues[:10], 1e-11)
    wrong = [0, 1, 2, 4]  # eigenvectors with zero residuals, but not the leading ones
    assert moments.misses(A[:, wrong], eigenvalues[wrong], 1e-11)


@pytest.mark.parametrize("n", [1, 47, 48, 49, 96, 200])
@pytest.mark.parametrize("least", [1e-9, -1e-9])
def test_definiteness_is_told_on_both_sides_of_zero_and_of_every_panel(n, least):
    Q, _ = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))
    M = (Q * np.r_[least, np.linspace(1, 2, n - 1)]) @ Q.T
    expected = np.linalg.eigvalsh(M)[0] > 0
    assert expected == (least > 0)
    assert positive_definite(M) == expected
    if expected:
        L = np.tril(M)
        np.testing.assert_allclose(
            L @ L.T, (Q * np.r_[least, np.linspace(1, 2, n - 1)]) @ Q.T, atol=1e-13
        )


def test_equal_eigenvalues_are_not_called_missed():
    moments = moments_of(np.concatenate([np.eye(6), -np.eye(6)]))
    A, eigenvalues = moments.leading(2)
    assert not moments.misses(A, eigenvalues, 1e-11)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_fewer_rows_than_features_leave_zero_variances(m):
    X = np.random.default_rng(0).normal(size=(m, 9))
    values = moments_of(X).leading(9)[1]
    assert np.abs(values[m - 1 :]).max() <= 1e-14 * max(values[0], 1.0)
