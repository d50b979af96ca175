"""The fitted attributes of StreamingReducedRankRegression, as a mixin."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import Part, Side, component_rows
from streampca.estimators.parts import Parts
from streampca.learning import PairLearner, PairModel
from streampca.text import html

Float64 = NDArray[np.float64]


class PairResults(Parts[PairLearner]):
    """Reads every fitted attribute off the current model; knows nothing of learning.

    Arrays are copies: they may be written to, and the model stays as it is.
    """

    _single = False
    _of_targets = True

    @property
    def _model(self) -> PairModel:
        return self._started_learner.model()

    @property
    def decoder_(self) -> Float64:
        """Decoder A, (n_targets, p)."""
        return np.array(self._model.pairs.decoder)

    @property
    def encoder_(self) -> Float64:
        """Encoder B, (p, n_features)."""
        return np.array(self._model.pairs.encoder)

    @property
    def n_components_(self) -> int:
        """Number of pairs p."""
        return self._started_learner.n_components

    @property
    def singular_values_(self) -> Float64:
        """Singular values of the centred, weighted fitted targets, (p,)."""
        model = self._model
        return np.asarray(model.pairs.singular_values * np.sqrt(model.denominator))

    @property
    def explained_variance_(self) -> Float64:
        """Variance of the targets that each pair fits, (p,): the eigenvalues of Sigma."""
        return np.asarray(self._model.pairs.singular_values**2)

    @property
    def explained_variance_ratio_(self) -> Float64:
        """Share of the targets' total variance that each pair fits, (p,); 0 without variance."""
        model = self._model
        if model.target_variance <= 0:
            return np.zeros(self.n_components_)
        return np.asarray(model.pairs.singular_values**2 / model.target_variance)

    @property
    def coef_(self) -> Float64:
        """Coefficients A B, (n_targets, n_features)."""
        coef = np.array(self._model.coef)
        return coef[0] if self._single else coef

    @property
    def intercept_(self) -> Any:
        """What is added to `X @ coef_.T`, (n_targets,)."""
        model = self._model
        intercept = model.target_mean - model.coef @ model.mean
        return float(intercept[0]) if self._single else intercept

    @property
    def mean_(self) -> Float64:
        """Weighted mean of each feature, (n_features,)."""
        return self._moments.mean[: self._started_learner.n_features]

    @property
    def target_mean_(self) -> Float64:
        """Weighted mean of each target, (n_targets,)."""
        return self._moments.mean[self._started_learner.n_features :]

    @property
    def rank_(self) -> int:
        """Directions of the features that have coefficients."""
        return self._model.pairs.rank

    @property
    def n_targets_(self) -> int:
        """Number of targets n."""
        return self._started_learner.n_targets

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features, where the rows had any."""
        return self._known(self._feature_names, "feature_names_in_: the rows came without names")

    @property
    def target_names_in_(self) -> NDArray[Any]:
        """Names of the targets, where they had any."""
        return self._known(self._target_names, "target_names_in_: the targets came without names")

    def _repr_html_(self) -> str:
        if self._learner is None:
            return html.card(repr(self), html.table([["rows", 0]]))
        shown = self._feature_names or [f"feature {i}" for i in range(self.n_features_in_)]
        targets = self._target_names or [f"target {i}" for i in range(self.n_targets_)]
        facts = [["rows", self.n_samples_seen_], ["features", self.n_features_in_]]
        facts.append(["targets", ", ".join(targets[:8]) + (", ..." if len(targets) > 8 else "")])
        shares = self.explained_variance_ratio_
        parts = component_rows(self.encoder_, shares, shown, "pair")
        return html.card(repr(self), html.facts(facts), parts)

    def _side(self) -> Side:
        return Side(self.n_targets_, self._target_names, self._single)

    def _add_part(self, part: Part) -> Self:
        side, fresh = part.targets, self._learner is None
        if side is not None and not fresh:
            here, there = (self.n_features_in_, self.n_targets_), (part.n_features, side.n)
            if here != there:
                raise ValueError(
                    f"cannot merge a regression of {there[0]} features and {there[1]} targets into "
                    f"one of {here[0]} and {here[1]}"
                )
        super()._add_part(part)
        if side is not None:
            self._single = side.single if fresh else self._single
            self._target_names = self._target_names or side.names
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True, multi_output=True),
            transformer_tags=TransformerTags(),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(sparse=True),
        )
