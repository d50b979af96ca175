"""Dense moments: the proof that no larger direction was missed."""

import numpy as np
import pytest

from streampca.moments import make_moments


def moments_of(X):
    moments = make_moments("dense", X.shape[1], dtype="float64")
    moments.update(X)
    return moments


def test_leading_components_miss_nothing_and_others_do():
    X = np.random.default_rng(0).normal(size=(300, 150)) * np.linspace(5, 1, 150)
    moments = moments_of(X)
    A, eigenvalues = moments.leading(12)
    assert not moments.misses(A[:, :10], eigenvalues[:10], 1e-11)
    wrong = [0, 1, 2, 4]  # eigenvectors with zero residuals, but not the leading ones
    assert moments.misses(A[:, wrong], eigenvalues[wrong], 1e-11)


def test_equal_eigenvalues_are_not_called_missed():
    moments = moments_of(np.concatenate([np.eye(6), -np.eye(6)]))
    A, eigenvalues = moments.leading(2)
    assert not moments.misses(A, eigenvalues, 1e-11)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_fewer_rows_than_features_leave_zero_variances(m):
    X = np.random.default_rng(0).normal(size=(m, 9))
    values = moments_of(X).leading(9)[1]
    assert np.abs(values[m - 1 :]).max() <= 1e-14 * max(values[0], 1.0)
