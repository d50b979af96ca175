"""What both estimators share: rows as scikit-learn checks them, coordinates, tags, the repr."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from streampca import StreamingPCA as Plain
from streampca.sklearn.attributes import Attributes

_FLOATS = [np.float64, np.float32]


class Face(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, Attributes):
    """A transformer of scikit-learn whose work is done by `streampca.StreamingPCA`."""

    whiten: bool
    _allow_missing = False

    def transform(self, X: Any) -> NDArray[Any]:
        """Coordinates of rows in the components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (m, n_components)
            In float32 for float32 rows; a frame where `set_output` asks for one.
        """
        core = self._ready()
        rows = self._rows(X, accept_sparse=("csr", "csc"), reset=False)
        return np.asarray(core.transform(rows))

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Rows (m, n_features) from coordinates X (m, n_components)."""
        core = self._ready()
        return np.asarray(core.inverse_transform(check_array(X, input_name="X", dtype=_FLOATS)))

    def get_covariance(self) -> NDArray[np.float64]:
        """Covariance of the probabilistic PCA model, (n, n)."""
        return self._ready(variances=True).get_covariance()

    def get_precision(self) -> NDArray[np.float64]:
        """Inverse of `get_covariance`, (n, n)."""
        return self._ready(variances=True).get_precision()

    # --- inside --------------------------------------------------------------------------------

    def _ready(self, variances: bool = False) -> Plain:
        """The plain estimator of a fitted one, with the parameters that hold now."""
        check_is_fitted(self)
        core = self._settled()
        needed = ["explained_variance_"] if variances or self.whiten else []
        needed += ["noise_variance_"] if variances else []
        for name in needed:
            if name in self._lacking:
                raise AttributeError(f"{name} is not known of a model to which it was not assigned")
        core.whiten = self.whiten
        return core

    def _rows(self, X: Any, **how: Any) -> Any:
        """Rows as scikit-learn checks them, with its messages about names and features."""
        finite = "allow-nan" if self._allow_missing else True
        return validate_data(self, X, dtype=_FLOATS, ensure_all_finite=finite, **how)

    @property
    def _n_features_out(self) -> int:
        return int(self.components_.shape[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._allow_missing
        return tags

    # --- the link in the HTML repr, to the documentation of the installed streampca ---------------

    _doc_link_module = "streampca"

    @property
    def _doc_link_template(self) -> str:
        for entry in importlib.metadata.metadata("streampca").get_all("Project-URL") or ():
            label, _, address = entry.partition(",")
            if label.strip().lower() == "documentation":
                return f"{address.strip().rstrip('/')}/api/sklearn/#{{name}}"
        return ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"name": f"streampca.sklearn.{type(self).__name__}"}
