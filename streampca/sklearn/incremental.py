"""IncrementalPCA: scikit-learn's contract to the letter, exact results."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches, metadata_routing

from streampca import StreamingPCA as Plain
from streampca.sklearn.face import Face


class IncrementalPCA(Face):
    """Drop-in for `sklearn.decomposition.IncrementalPCA`.

    Takes and refuses what that one does, and has its attributes. Results are those of PCA on all
    rows, whatever the batches were (`memory="auto"` of `streampca.StreamingPCA`).

    Parameters
    ----------
    n_components : int, optional
        Number of components; the smaller of rows in the first batch and features by default.
    whiten : bool, default=False
        Whether `transform` divides each coordinate by its standard deviation.
    copy : bool, default=True
        There for callers of scikit-learn's: rows are never changed.
    batch_size : int, optional
        Rows in a batch of `fit`; five times the number of features by default. It makes no
        difference to results.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_ : ndarray
        As in scikit-learn, in order.
    mean_, var_ : ndarray of shape (n_features,)
        Mean, and variance divided by the number of rows, of each feature.
    noise_variance_ : float
        Mean of the variances left out.
    n_components_, n_samples_seen_, n_samples_, n_features_in_, batch_size_ : int
        Numbers of components, rows, features, and rows in a batch of `fit`.

    Notes
    -----
    Attributes may be assigned, or arrays written to: the model is then what was assigned, and
    further rows are added to it. One thread at a time, as in scikit-learn; the plain class may be
    read while it learns.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from streampca.sklearn import IncrementalPCA
    >>> pca = IncrementalPCA(n_components=2, batch_size=50)
    >>> frame = pca.set_output(transform="pandas").fit_transform(load_iris().data)
    >>> list(frame.columns), frame.shape
    (['incrementalpca0', 'incrementalpca1'], (150, 2))
    """

    __metadata_request__partial_fit: ClassVar[dict[str, Any]] = {
        "check_input": metadata_routing.UNUSED
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        whiten: bool = False,
        copy: bool = True,
        batch_size: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.copy = copy
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> Self:
        """Forget everything and learn from X, a batch at a time.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            Rows.
        y : ignored
            There by convention.

        Returns
        -------
        self
        """
        with self._unchanged_on_error():
            self._forget()
            self._core = None
            X = self._rows(X, accept_sparse=["csr", "csc", "lil"])
            n_rows, n_features = X.shape
            self.batch_size_ = self.batch_size or 5 * n_features
            # who overrides partial_fit expects what scikit-learn's passes
            dense = type(self).partial_fit is not IncrementalPCA.partial_fit
            X = X.tocsr() if issparse(X) else X
            count = self.n_components
            least = count if isinstance(count, Integral) and count > 0 else 0  # else refused below
            for batch in gen_batches(n_rows, self.batch_size_, min_batch_size=least):
                rows = X[batch]
                rows = rows.toarray() if dense and issparse(rows) else rows
                self.partial_fit(rows, check_input=False)
        return self

    def partial_fit(self, X: Any, y: Any = None, check_input: bool = True) -> Self:
        """Learn from more rows.

        Parameters
        ----------
        X : array-like of shape (m, n_features)
            Rows; the first time at least as many as components.
        y : ignored
            There by convention.
        check_input : bool, default=True
            False for arrays of floats whose shape, type and names need no check. Their entries
            are checked all the same.

        Returns
        -------
        self
        """
        with self._unchanged_on_error():
            core = self._going_on()
            if check_input:
                if issparse(X):
                    # the words that programs know from scikit-learn
                    raise TypeError(
                        "IncrementalPCA.partial_fit does not support sparse input. Either convert "
                        "data to dense or use IncrementalPCA.fit to do so in batches."
                    )
                X = self._rows(X, reset=core is None)
            core = self._begun(*X.shape) if core is None else self._unchanged(core)
            core.partial_fit(X)
            self._with_core(core)
        return self

    def _begun(self, n_rows: int, n_features: int) -> Plain:
        count = self.n_components
        if count is None:
            count = min(n_rows, n_features)
        elif not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
            raise ValueError(
                f"n_components={count!r} is not accepted: give a number from 1 on or None here; "
                "streampca.sklearn.StreamingPCA takes a share of the variance"
            )
        elif count > n_features:  # the words that programs know, here and below
            raise ValueError(
                f"n_components={count} invalid for n_features={n_features}, need more rows than "
                "columns for IncrementalPCA processing"
            )
        elif count > n_rows:
            raise ValueError(
                f"n_components={count} must be less or equal to the batch number of samples "
                f"{n_rows} for the first partial_fit call."
            )
        return Plain(**self._settings() | {"n_components": count})

    def _unchanged(self, core: Plain) -> Plain:
        """The core, if the number of components is what it was."""
        if self.n_components not in (None, core.n_components):
            raise ValueError(
                f"n_components has changed from {core.n_components} to {self.n_components} since "
                "the first rows: set it back, or call fit"
            )
        return core

    def _settings(self) -> dict[str, Any]:
        return {"n_components": self.n_components, "whiten": self.whiten}

    def _read_off(self, name: str) -> Any:
        value = super()._read_off(name)
        if name == "var_":
            count = self.n_samples_seen_
            return value * ((count - 1) / count if count > 1 else 0.0)
        return value

    def _unbiased(self, var: Any, count: int) -> Any:
        return np.asarray(var) * (count / (count - 1)) if count > 1 else np.asarray(var)
