"""What StreamingPCA says of rows, as a mixin: coordinates, rows back, likelihoods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streampca.arrays import Array, torch
from streampca.estimators.components import Results
from streampca.learning import coordinates, log_likelihoods, rows_of
from streampca.rows import InputRows, read_rows


class Coordinates(Results):
    """Answers from the current model; rows are read as those that were learned from."""

    missing: str
    whiten: bool

    def transform(self, X: Any) -> Array:
        """Coordinates of rows in the components, (m, p), of the kind of array that came in.

        A tensor gives a tensor on its device, everything else a numpy array, in float32 for
        float32 rows. Many rows are read part by part: beside the answer it takes a few parts.
        """
        how = {"impute": self.missing == "impute", "whiten": self.whiten}
        return coordinates(X, self._model, self._values, **how)

    def inverse_transform(self, Z: Any) -> Array:
        """Rows (m, n) from coordinates (m, p)."""
        model = self._model
        p = model.components.shape[0]
        return rows_of(
            Z,
            model,
            lambda part: read_rows(part, n_features=p, least=0).values,
            whiten=self.whiten,
        )

    def score_samples(self, X: Any) -> Array:
        """Log-likelihood of each row under probabilistic PCA (Tipping & Bishop 1999), float64.

        Where nothing is left out (`noise_variance_` is 0: as many components as rows or features,
        or rows of lower rank) the density is that within the span of the components that vary, as
        `scipy.stats.multivariate_normal` has it; rows outside have none, minus infinity.

        A tensor gives a tensor on its device, everything else a numpy array.
        """
        impute = self.missing == "impute"
        return log_likelihoods(X, self._model, self._values, impute=impute)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the rows."""
        scores = self.score_samples(X)
        if len(scores) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
        return float(scores.mean())

    def _read(
        self,
        X: Any,
        later: Callable[[torch.Tensor], bool] | None = None,
        squares: Callable[[int], bool] | None = None,
    ) -> InputRows:
        """Validated rows; their width and names are those of the rows seen before.

        `later` says which tensors' entries are checked on their way into a device, `squares`
        whether sums of squares are wanted of so many rows.
        """
        return read_rows(
            X,
            feature_names=self._feature_names,
            n_features=None if self._learner is None else self._learner.n_features,
            allow_missing=self.missing == "impute",
            largest=self._largest(),
            later=later,
            squares=squares,
            least=0,
        )

    def _values(self, X: Any) -> Array:
        return self._read(X).values
