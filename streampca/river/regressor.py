"""The regressor: ordered reduced-rank regression of several targets, one dictionary at a time."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import base

from streampca.estimators import parameters_of
from streampca.records import Layout, RecordPairs

Float64 = NDArray[np.float64]


class ReducedRankRegressor(base.MultiTargetRegressor):
    """Linear regression of several targets through few ordered components.

    Targets are fitted by A B x: B reads `n_components` numbers off a row, A turns them into
    targets, and the first k of them are the best k there can be, for every k. With fewer
    components than targets it keeps what targets have in common and drops their noise; with all
    of them it is ordinary least squares, exact after every row, without a learning rate.

    Parameters
    ----------
    n_components
        Number of components p; None for as many as there can be.
    ridge
        Added to the diagonal of the features' scatter matrix.
    forgetting_factor
        Weight of a row after one more row has come. 1 never forgets.
    half_life
        The same, as the number of rows after which a row has half its weight.

    Notes
    -----
    `predict_one` uses the coefficients solved last. They are at most a minibatch of 512 rows old,
    and at first never older than a fifth of the rows. Features and targets may come later:
    rows before count as having had their mean. An absent one stands at its mean.

    With the next row as target, `learn_one(x, following)`, it finds the ordered modes of a linear
    dynamic system: `encoder_` reads them off a row, `decoder_` says what they do to the next one.

    Examples
    --------
    >>> import random
    >>> from streampca.river import ReducedRankRegressor

    Three gauges that all follow one load:

    >>> model = ReducedRankRegressor(n_components=1)
    >>> rng = random.Random(0)
    >>> for _ in range(500):
    ...     x = {"torque": rng.gauss(0, 2), "speed": rng.gauss(50, 5)}
    ...     load = 3 * x["torque"] + x["speed"]
    ...     y = {"oil": load / 2, "air": 20 - load, "heat": 2 * load + rng.gauss(0, 1)}
    ...     model.learn_one(x, y)
    >>> predicted = model.predict_one({"torque": 1.0, "speed": 47.0})
    >>> {gauge: round(value) for gauge, value in predicted.items()}
    {'air': -30, 'heat': 100, 'oil': 25}

    """

    def __init__(
        self,
        n_components: int | None = None,
        ridge: float = 0.0,
        forgetting_factor: float = 1.0,
        half_life: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.ridge = ridge
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self._model = RecordPairs(parameters_of(self, ReducedRankRegressor))

    def learn_one(
        self, x: dict[Hashable, Any], y: dict[Hashable, float], w: float = 1.0, **kwargs: Any
    ) -> None:
        """Learn from a row and its targets.

        Parameters
        ----------
        x
            Features and their values.
        y
            Targets and their values. If either dictionary is empty, nothing is learned.
        w
            How many copies the row stands for.
        kwargs
            What else pipelines hand to all their steps, such as the time; not used.

        Raises
        ------
        ValueError
            If a value is no finite number. It names row and feature, and nothing is learned.

        """
        self._model.learn(x, y, w)

    def predict_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """Targets of a row; none before any row has been learned.

        Parameters
        ----------
        x
            Features and their values. Unknown features are left out.

        """
        return self._model.predict(x)

    @property
    def coefficients_(self) -> dict[Hashable, dict[Hashable, float]]:
        """What each feature adds to each target: {target: {feature: coefficient}}."""
        model = self._model.renew()
        if model is None:
            return {}
        rows = _named(model.coef, self._model.inputs.layout)
        return dict(zip(self._model.targets.layout.features, rows.values(), strict=False))

    @property
    def encoder_(self) -> dict[int, dict[Hashable, float]]:
        """What each component reads off a row, in order: {component: {feature: weight}}."""
        model = self._model.renew()
        return {} if model is None else _named(model.pairs.encoder, self._model.inputs.layout)

    @property
    def decoder_(self) -> dict[int, dict[Hashable, float]]:
        """What each component adds to the targets, in order: {component: {target: weight}}."""
        model = self._model.renew()
        return {} if model is None else _named(model.pairs.decoder.T, self._model.targets.layout)

    @property
    def explained_variance_ratio_(self) -> dict[int, float]:
        """Share of the targets' variance that each component explains."""
        model = self._model.renew()
        if model is None or model.target_variance <= 0:
            return {}
        shares = model.pairs.singular_values**2 / model.target_variance
        return dict(enumerate(shares.tolist()))


def _named(rows: Float64, layout: Layout) -> dict[int, dict[Hashable, float]]:
    """Each row (n,) by the names of its entries."""
    return {i: layout.named(row) for i, row in enumerate(rows)}
