"""The methods that the paper sets itself against, and what came after it, a few lines each.

Every rule learns from minibatches X (m, n), rows centred and scaled so that the largest
eigenvalue of their covariance is about 1, by `step(X, rate)`; `components()` gives its directions
as rows, in the order in which the rule claims them. Numpy only; written for reading, not for speed.

With C = X'X / m, the rules below are what their authors write for one row at a time, averaged over
the minibatch.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]


class Rule:
    """V (n, p): one direction for each column, orthonormal and random at the start."""

    name: ClassVar[str]
    ordered: ClassVar[bool] = True
    """Whether the rule has the eigenvectors themselves as its stable points, in order."""

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        draws = np.random.default_rng(seed)
        self.V: Matrix = np.linalg.qr(draws.normal(size=(n, p)))[0].astype(dtype)

    def step(self, X: Matrix, rate: float) -> None:
        raise NotImplementedError

    def components(self) -> Matrix:
        return self.V.T

    def _products(self, X: Matrix) -> tuple[Matrix, Matrix]:
        """C V (n, p) and V' C V (p, p)."""
        Y = X @ self.V
        return X.T @ Y / len(X), Y.T @ Y / len(X)


class OjaWeighted(Rule):
    """Weighted subspace rule (Oja, Ogawa & Wangviwattana 1992): weights break the symmetry."""

    name = "Oja, weighted subspace"

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        super().__init__(n, p, seed, dtype)
        self.theta = np.linspace(0.5, 1.0, p).astype(dtype)  # smallest for the largest variance

    def step(self, X: Matrix, rate: float) -> None:
        CV, G = self._products(X)
        self.V += rate * (CV - self.V @ G * self.theta)


class Sanger(Rule):
    """Generalised Hebbian algorithm (Sanger 1989): Gram-Schmidt inside the gradient."""

    name = "Sanger"

    def step(self, X: Matrix, rate: float) -> None:
        CV, G = self._products(X)
        self.V += rate * (CV - self.V @ np.triu(G))


class LMSER(Rule):
    """Least mean square error reconstruction (Xu 1993): gradient of |x - V V'x|^2, span only."""

    name = "LMSER (Xu)"
    ordered = False

    def step(self, X: Matrix, rate: float) -> None:
        CV, G = self._products(X)
        self.V += rate * (2 * CV - CV @ (self.V.T @ self.V) - self.V @ G)


class LMSERWeighted(Rule):
    """Xu's rule with weights D that order it: V' = C V D - V D V'C V.

    The gradient flow of tr(D V'CV) on orthonormal V (Brockett's), the form in which Chen, Amari &
    Lin (1998) compare it with Oja's.
    """

    name = "LMSER, weighted (Xu)"

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        super().__init__(n, p, seed, dtype)
        self.weights = np.linspace(1.0, 0.5, p).astype(dtype)

    def step(self, X: Matrix, rate: float) -> None:
        CV, G = self._products(X)
        D = self.weights
        self.V += rate * (CV * D - (self.V * D) @ G)


class Lateral(Rule):
    """Units in a row: y_j = v_j'x + sum_{i<j} u_ij y_i, so Y = X V (I - U)^-1, U upper."""

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        super().__init__(n, p, seed, dtype)
        self.U: Matrix = np.zeros((p, p), dtype)

    def _activity(self, X: Matrix) -> Matrix:
        eye = np.eye(len(self.U), dtype=self.U.dtype)
        return np.linalg.solve((eye - self.U).T, (X @ self.V).T).T


class RubnerTavan(Lateral):
    """Hebbian units, normalised, with anti-Hebbian lateral weights (Rubner & Tavan 1989)."""

    name = "Rubner-Tavan"

    def step(self, X: Matrix, rate: float) -> None:
        Y = self._activity(X)
        self.V += rate * (X.T @ Y) / len(X)
        self.V /= np.linalg.norm(self.V, axis=0)
        self.U -= rate * np.triu(Y.T @ Y / len(X), 1)


class APEX(Lateral):
    """Adaptive principal component extraction (Kung & Diamantaras 1990)."""

    name = "APEX"

    def step(self, X: Matrix, rate: float) -> None:
        Y = self._activity(X)
        G = Y.T @ Y / len(X)
        self.V += rate * (X.T @ Y / len(X) - self.V * G.diagonal())
        self.U -= rate * (np.triu(G, 1) + self.U * G.diagonal())


class EigenGame(Rule):
    """mu-EigenGame (Gemp et al. 2022): each player climbs on the sphere away from its parents."""

    name = "mu-EigenGame"

    def step(self, X: Matrix, rate: float) -> None:
        CV, G = self._products(X)
        gradient = CV - self.V @ np.triu(G, 1)
        gradient -= self.V * (gradient * self.V).sum(axis=0)  # along the sphere
        self.V += rate * gradient
        self.V /= np.linalg.norm(self.V, axis=0)


# --- linear autoencoders -------------------------------------------------------------------------


class Autoencoder(Rule):
    """Gradient descent on |x - A B x|^2 / 2, decoder A = V and encoder B."""

    name = "MSE autoencoder"
    ordered = False

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        super().__init__(n, p, seed, dtype)
        self.B: Matrix = self.V.T.copy()

    def gradients(self, X: Matrix) -> tuple[Matrix, Matrix]:
        """Of half the mean squared error in A and in B."""
        H = X @ self.B.T  # (m, p)
        R = X - H @ self.V.T
        return -(R.T @ H) / len(X), -((R @ self.V).T @ X) / len(X)

    def step(self, X: Matrix, rate: float) -> None:
        dA, dB = self.gradients(X)
        self.V -= rate * dA
        self.B -= rate * dB


class L2Autoencoder(Autoencoder):
    """With an L2 penalty on A and B, and one more decomposition: left singular vectors of A.

    Plaut 2018; Kunin et al. 2019, who prove that these are the eigenvectors with eigenvalues
    above the penalty.
    """

    name = "L2 autoencoder + SVD"
    ordered = True

    def __init__(
        self, n: int, p: int, seed: int = 0, dtype: str = "float64", penalty: float = 1e-2
    ) -> None:
        super().__init__(n, p, seed, dtype)
        self.penalty = penalty

    def gradients(self, X: Matrix) -> tuple[Matrix, Matrix]:
        dA, dB = super().gradients(X)
        return dA + self.penalty * self.V, dB + self.penalty * self.B

    def components(self) -> Matrix:
        # the strength of a direction in A grows with its eigenvalue: 1 - penalty / lambda
        return np.linalg.svd(self.V, full_matrices=False)[0].T


class VanishingStart(Autoencoder):
    """Gradient descent from a vanishing start (Gidel, Bach & Lacoste-Julien 2019).

    Directions appear one after the other, the strongest first, and are read off the product A B
    as long as they have not all arrived; once they have, the order is gone.
    """

    name = "MSE, vanishing start"
    ordered = False
    scale = 1e-6

    def __init__(self, n: int, p: int, seed: int = 0, dtype: str = "float64") -> None:
        super().__init__(n, p, seed, dtype)
        self.V *= self.scale
        self.B *= self.scale

    def components(self) -> Matrix:
        Q, R = np.linalg.qr(self.V)
        return (Q @ np.linalg.svd(R @ self.B, full_matrices=False)[0]).T


class RotationAugmented(Autoencoder):
    """Rotation-augmented gradient (Bao et al. 2020): MSE and a rotation that orders the latent."""

    name = "rotation-augmented gradient"
    ordered = True

    def step(self, X: Matrix, rate: float) -> None:
        dA, dB = self.gradients(X)
        H = X @ self.B.T
        upper = np.triu(H.T @ H / len(X), 1)
        skew = 0.5 * (upper - upper.T)  # turns correlated coordinates apart, the first keeps most
        self.V, self.B = (
            self.V - rate * (dA - self.V @ skew.T),
            self.B - rate * (dB - skew @ self.B),
        )


class NestedAutoencoder(Autoencoder):
    """Gradient descent on the nested loss: Propositions 1 and 2, over p so that rates compare."""

    name = "nested loss, gradient"
    ordered = True

    def gradients(self, X: Matrix) -> tuple[Matrix, Matrix]:
        p = len(self.B)
        T = np.arange(p, 0, -1).astype(X.dtype)
        S = np.minimum(T[:, None], T)
        H = X @ self.B.T
        dA = self.V @ (S * (H.T @ H)) - X.T @ H * T
        dB = ((S * (self.V.T @ self.V)) @ H.T - T[:, None] * (X @ self.V).T) @ X
        return dA / (len(X) * p), dB / (len(X) * p)


RULES: tuple[type[Rule], ...] = (
    Autoencoder,
    L2Autoencoder,
    VanishingStart,
    OjaWeighted,
    Sanger,
    LMSER,
    LMSERWeighted,
    RubnerTavan,
    APEX,
    RotationAugmented,
    EigenGame,
    NestedAutoencoder,
)
