"""Streaming PCA as published, a few lines each: CCIPCA, Oja, AdaOja, History PCA, sketches.

Numpy only, written for reading, though not needlessly slow: all but CCIPCA work on whole
minibatches. The first four take rows about the running mean; Frequent Directions adds the row that
centres the union exactly, as incremental PCA does. Rules of gradient type are in
benchmarks/paper/references.py.
"""

from __future__ import annotations

import numpy as np

from benchmarks.peers.measure import Matrix


class Centred:
    """A running mean, and what both kinds of centring need of it."""

    def __init__(self, n: int, p: int, seed: int = 0) -> None:
        self.n, self.p = n, p
        self.mean = np.zeros(n, "float32")
        self.seen = 0
        self.draws = np.random.default_rng(seed)

    def learn(self, X: Matrix) -> None:
        """Move the mean, then the directions."""
        before, mean = self.seen, X.mean(axis=0)
        self.seen += len(X)
        step = mean - self.mean
        self.mean = self.mean + step * (len(X) / self.seen)
        self._learn(X, mean, step * (before * len(X) / self.seen) ** 0.5)

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        """The minibatch, its own mean, and the row that joins it to what has been seen."""
        raise NotImplementedError

    def components(self) -> Matrix:
        raise NotImplementedError

    def _random_directions(self) -> Matrix:
        return np.linalg.qr(self.draws.normal(size=(self.n, self.p)))[0].astype("float32")


class CCIPCA(Centred):
    """Candid covariance-free incremental PCA (Weng, Zhang & Hwang 2003), row by row.

    `amnesia` weighs later rows more; its authors suggest 2 to 4.
    """

    def __init__(self, n: int, p: int, seed: int = 0, amnesia: float = 2.0) -> None:
        super().__init__(n, p, seed)
        self.amnesia = amnesia
        self.V = np.zeros((p, n), "float32")
        self.rows = 0

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        for u in X - self.mean:
            self.rows += 1
            fresh = (
                (1 + self.amnesia) / self.rows if self.rows > self.amnesia + 1 else 1 / self.rows
            )
            for i in range(min(self.p, self.rows)):
                v = self.V[i]
                length = np.sqrt(v @ v)
                if i == self.rows - 1 or length == 0:
                    v[:] = u
                    break
                v[:] = (1 - fresh) * v + (fresh * (u @ v) / length) * u
                v_hat = v / np.sqrt(v @ v)
                u = u - (u @ v_hat) * v_hat

    def components(self) -> Matrix:
        order = np.argsort(-np.linalg.norm(self.V, axis=1), kind="stable")
        return self.V[order] / np.maximum(np.linalg.norm(self.V[order], axis=1)[:, None], 1e-30)


class Oja(Centred):
    """Oja's rule (1982) for minibatches, orthonormalised by QR, which also orders it.

    The rate is `rate` / (lambda_1 t) after t rows, lambda_1 from the first minibatch; the best
    `rate` is the inverse of an eigenvalue gap, which nobody knows: tables show the best of some.
    """

    def __init__(self, n: int, p: int, seed: int = 0, rate: float = 10.0) -> None:
        super().__init__(n, p, seed)
        self.rate, self.scale = rate, 0.0
        self.Q = self._random_directions()

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        Z = X - self.mean
        if self.scale == 0.0:
            self.scale = 1.0 / max(_largest(Z, self.draws), 1e-30)
        step = self.rate * self.scale / (self.seen + self.rate)
        self.Q = np.linalg.qr(self.Q + step * (Z.T @ (Z @ self.Q)))[0]

    def components(self) -> Matrix:
        return self.Q.T


class AdaOja(Centred):
    """Oja's rule with AdaGrad's rate for each column (Henriksen & Ward 2019): none to choose."""

    def __init__(self, n: int, p: int, seed: int = 0) -> None:
        super().__init__(n, p, seed)
        self.Q = self._random_directions()
        self.b = np.full(p, 1e-5)

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        Z = X - self.mean
        G = Z.T @ (Z @ self.Q) / len(Z)
        self.b = np.sqrt(self.b**2 + np.einsum("ij,ij->j", G, G))
        self.Q = np.linalg.qr(self.Q + G / self.b.astype("float32"))[0]

    def components(self) -> Matrix:
        return self.Q.T


class HistoryPCA(Centred):
    """History PCA (Yang, Hsieh & Wang 2018): a power step on Q diag(s) Q' and the minibatch."""

    def __init__(self, n: int, p: int, seed: int = 0) -> None:
        super().__init__(n, p, seed)
        self.Q = self._random_directions()
        self.s = np.zeros(p, "float32")

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        Z = X - self.mean
        new = np.float32(len(Z) / self.seen)
        S = (1 - new) * self.Q * self.s + new / len(Z) * (Z.T @ (Z @ self.Q))
        self.s = np.linalg.norm(S, axis=0)
        self.Q = np.linalg.qr(S)[0]

    def components(self) -> Matrix:
        return self.Q.T


class FrequentDirections(Centred):
    """Frequent Directions (Liberty 2013; Ghashami et al. 2016) with l = 4 p rows, buffer 2 l."""

    def __init__(self, n: int, p: int, seed: int = 0, rows_per_component: int = 4) -> None:
        super().__init__(n, p, seed)
        self.l = min(rows_per_component * p, n)
        self.B = np.zeros((2 * self.l, n), "float32")
        self.filled = 0

    def _learn(self, X: Matrix, own_mean: Matrix, between: Matrix) -> None:
        Z = np.concatenate([X - own_mean, between[None]])
        while len(Z):
            room = len(self.B) - self.filled
            piece, Z = Z[:room], Z[room:]
            self.B[self.filled : self.filled + len(piece)] = piece
            self.filled += len(piece)
            if self.filled == len(self.B):
                self._shrink()

    def _shrink(self) -> None:
        """Rotate the rows to their principal axes and take the l-th one's square off all."""
        squares, U = np.linalg.eigh((self.B @ self.B.T).astype("float64"))
        squares, U = squares[::-1], U[:, ::-1]
        left = np.maximum(squares - squares[min(self.l, len(squares) - 1)], 0.0)
        scale = np.sqrt(left / np.maximum(squares, squares[0] * 1e-12 + 1e-300))
        self.B[: self.l] = (U[:, : self.l] * scale[: self.l]).astype("float32").T @ self.B
        self.B[self.l :] = 0.0
        self.filled = self.l

    def components(self) -> Matrix:
        return np.linalg.svd(self.B[: self.filled], full_matrices=False)[2][: self.p]


def _largest(Z: Matrix, draws: np.random.Generator) -> float:
    """About the largest eigenvalue of Z'Z / m, by a few power steps."""
    v = draws.normal(size=Z.shape[1]).astype("float32")
    for _ in range(5):
        v = Z.T @ (Z @ (v / np.linalg.norm(v))) / len(Z)
    return float(np.linalg.norm(v))
