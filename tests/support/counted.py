"""Moments that count what a solver asks of them."""


class Counted:
    """Moments that count what is asked of them."""

    def __init__(self, moments):
        self._moments, self.products, self.columns, self.direct = moments, 0, 0, 0

    def __getattr__(self, name):
        return getattr(self._moments, name)

    def __matmul__(self, V):
        self.products += 1
        self.columns += V.shape[1]
        return self._moments @ V

    def leading(self, k):
        self.direct += 1
        return self._moments.leading(k)
