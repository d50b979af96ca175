"""The paper's synthetic rows, and what batch PCA says about rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


class Problem(NamedTuple):
    """Rows with the truth about them."""

    X: NDArray[np.float32]  # (m, n), centred, scaled to total variance 1
    Sigma: NDArray[np.float64]  # (n, n) their covariance (divided by m)
    values: NDArray[np.float64]  # (n,) eigenvalues, largest first
    vectors: NDArray[np.float64]  # (n, n) eigenvectors as rows

    @property
    def S(self) -> torch.Tensor:
        """Sigma as a float32 tensor."""
        return torch.from_numpy(self.Sigma.astype("float32"))


def problem_of(rows: NDArray) -> Problem:
    """Batch PCA of rows in float64."""
    X = rows.astype("float64")
    X -= X.mean(axis=0)
    X /= np.sqrt((X**2).sum() / len(X))
    Sigma = X.T @ X / len(X)
    values, vectors = np.linalg.eigh(Sigma)
    return Problem(X.astype("float32"), Sigma, values[::-1], vectors[:, ::-1].T)


def paper_rows(n: int = 1000, m: int = 2000, seed: int = 0) -> Problem:
    """Gaussian rows with covariance diag(n, ..., 1): the paper's synthetic data."""
    draws = np.random.default_rng(seed)
    return problem_of(draws.normal(size=(m, n)) * np.sqrt(np.arange(n, 0, -1.0)))
