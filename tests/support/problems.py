"""Small regression problems with known moments, for Y = X and for Y of another width."""

import torch

F64 = torch.float64


class Problem:
    """Rows with distinct eigenvalues; Y = X, or Y of another width that X partly explains."""

    def __init__(self, n=7, n_in=None, m=40, p=3, seed=0):
        draws = torch.Generator().manual_seed(seed)

        def rand(*shape):
            return torch.randn(*shape, generator=draws, dtype=F64)

        self.p, self.n, self.n_in = p, n, n_in or n
        self.X = rand(self.n_in, m) * torch.arange(1, self.n_in + 1)[:, None]
        self.Y = None
        self.Sxx = self.X @ self.X.T
        self.moments = (self.Sxx,)
        if n_in is not None:
            self.Y = rand(n, n_in) @ self.X + rand(n, m)
            self.moments = (self.Sxx, self.Y @ self.X.T, (self.Y @ self.Y.T).trace())
        self.A, self.B = rand(n, p), rand(p, self.n_in)

    @property
    def cross(self):
        return self.moments[:2]


PROBLEMS = [(7, None, 3), (7, None, 7), (1, None, 1), (6, 9, 4), (9, 6, 4), (5, 5, 5)]
"""n, n' (None: Y = X), p."""
