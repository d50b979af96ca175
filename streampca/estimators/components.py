"""The fitted attributes of StreamingPCA, as a mixin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import component_rows
from streampca.estimators.shared import Fitted
from streampca.learning import ComponentLearner, Model
from streampca.text import html


class Results(Fitted[ComponentLearner]):
    """Reads every fitted attribute off the current model; knows nothing of learning.

    Arrays are copies: they may be written to, and the model stays as it is.
    """

    @property
    def _model(self) -> Model:
        return self._started_learner.model()

    @property
    def components_(self) -> NDArray[Any]:
        """Ordered orthonormal principal directions, (p, n)."""
        return np.array(self._model.components)

    @property
    def n_components_(self) -> int:
        """Number of components p."""
        return int(self._model.components.shape[0])

    @property
    def explained_variance_(self) -> NDArray[np.float64]:
        """Variance along each component, (p,)."""
        return np.array(self._model.eigenvalues)

    @property
    def explained_variance_ratio_(self) -> NDArray[np.float64]:
        """Share of the total variance along each component, (p,)."""
        return self._model.ratio

    @property
    def singular_values_(self) -> NDArray[np.float64]:
        """Singular values of the centred, weighted rows, (p,)."""
        model = self._model
        return np.asarray(np.sqrt(model.eigenvalues * model.denominator))

    @property
    def mean_(self) -> NDArray[np.float64]:
        """Weighted mean of each feature, (n,)."""
        return self._of_moments(lambda moments: moments.mean)

    @property
    def var_(self) -> NDArray[np.float64]:
        """Variance of each feature, (n,)."""
        return self._of_moments(lambda moments: moments.variance)

    @property
    def scale_(self) -> NDArray[np.float64] | None:
        """What each centred feature is divided by, (n,); None without `scale=True`."""
        scale = self._model.scale
        return None if scale is None else np.array(scale)

    @property
    def constant_features_(self) -> NDArray[Any]:
        """Features that have not varied by more than rounding: names, or else numbers."""
        constant = np.flatnonzero(self._of_moments(lambda moments: moments.constant))
        if self._feature_names is None:
            return constant
        return np.asarray(self._feature_names, dtype=object)[constant]

    @property
    def noise_variance_(self) -> float:
        """Mean of the variances left out; 0 where what they add up to is rounding."""
        return self._model.noise_variance

    @property
    def memory_(self) -> str:
        """What is remembered: "dense", "factored" or "minibatch"."""
        return self._started_learner.moments.kind

    @property
    def memory_reason_(self) -> str:
        """Why, in a few words."""
        return self._started_learner.options.why

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features, where the rows had any."""
        none = "feature_names_in_: the rows came without feature names"
        return self._known(self._feature_names, none)

    @property
    def decoder_(self) -> NDArray[Any]:
        """Decoder A, (n, p)."""
        return np.array(self._model.decoder)

    @property
    def encoder_(self) -> NDArray[Any]:
        """Encoder B, (p, n)."""
        return np.array(self._model.encoder)

    @property
    def residuals_(self) -> NDArray[np.float64]:
        """||Sigma a - lambda a|| / lambda_1 of each component, (p,)."""
        return np.array(self._model.residuals)

    @property
    def discarded_variance_(self) -> float:
        """Bound on the spectral norm of what factored memory may have lost of Sigma."""
        return self._model.discarded_variance

    def get_covariance(self) -> NDArray[np.float64]:
        """Covariance of the probabilistic PCA model, (n, n)."""
        return self._model.covariance()

    def get_precision(self) -> NDArray[np.float64]:
        """Inverse of `get_covariance`, (n, n); its pseudo-inverse where that is singular."""
        return self._model.precision()

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the coordinates that `transform` returns: streamingpca0, streamingpca1, ..."""
        if input_features is not None:
            self._check_names(list(input_features))
        prefix = type(self).__name__.lower()
        return np.asarray([f"{prefix}{i}" for i in range(self.n_components_)], dtype=object)

    def __repr__(self) -> str:
        parameters = super().__repr__()
        if self._learner is None or getattr(self, "memory", "") != "auto":
            return parameters
        return f"{parameters}  # {self.memory_} memory: {self.memory_reason_}"

    def _repr_html_(self) -> str:
        if self._learner is None:
            return html.card(repr(self), html.table([["rows", 0]]))
        model, names = self._model, self._feature_names
        facts = [["rows", self.n_samples_seen_], ["features", self.n_features_in_]]
        facts.append(["memory", f"{self.memory_}: {self.memory_reason_}"])
        shown = names or [f"feature {i}" for i in range(self.n_features_in_)]
        parts = component_rows(model.components, model.ratio, shown)
        title = repr(self).partition("  # ")[0]  # the memory has a line of its own
        return html.card(title, html.facts(facts), parts)

    def _check_names(self, names: list[Any]) -> None:
        known, count = self._feature_names, self.n_features_in_
        if len(names) != count:
            raise ValueError(
                f"input_features should have length equal to number of features ({count}), got "
                f"{len(names)}"
            )
        other = [i for i, name in enumerate(known or ()) if name != names[i]]
        if known is not None and other:
            raise ValueError(
                f"input_features is not equal to feature_names_in_: feature {other[0]} is "
                f"{known[other[0]]!r} there, {names[other[0]]!r} here"
            )

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(sparse=True, allow_nan=getattr(self, "missing", "") == "impute"),
        )
