"""The transformer: parameters and dictionaries; what it does with them stands in records/pca.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import base, utils

from streampca.estimators import parameters_of
from streampca.records import RecordPCA, View
from streampca.river.frames import read_frame

Float64 = NDArray[np.float64]


class PCA(base.MiniBatchTransformer):
    """Ordered principal components of a stream.

    Rows are folded in a minibatch at a time, exactly: the order and the number of rows per call
    make no difference. `transform_one` uses the components solved last. They are at most a
    minibatch old, and at first, when a few rows still change much, never older than a fifth of
    the rows. Reading `components_` or another result folds in and solves everything.

    Parameters
    ----------
    n_components
        Number of components p; or the share of variance to explain, such as 0.95; or "parallel",
        those larger than what independent features give; or None for all.
        A number may exceed that of the features: then there are more later, or coordinates of 0.
    whiten
        Whether coordinates are divided by their standard deviations.
    scale
        Whether features count in units of their standard deviations as they are by now: exact at
        any time, where a `StandardScaler` in front scales each row by what it knew when it came.
    forgetting_factor
        Weight of a row after one more row has come. 1 never forgets.
    half_life
        The same, as the number of rows after which a row has half its weight; or as the time, a
        `timedelta`. Then rows come with the time `t` when they were observed, in any order.
    missing
        What to do with None and NaN: "error", or "impute", which treats them as absent features.
    memory
        "dense" remembers all of the covariance, 8 n**2 bytes. "factored" remembers leading
        directions, for many features. "auto" is dense up to 1,024 features, up to 4,096 where
        that takes at most five times as long, and up to 8,192 where it takes no longer.
    oversample
        Directions that factored memory keeps beyond `n_components`.
    batch_size
        Rows in a minibatch. The default depends on the number of features: 512 up to 255,
        2,048 or 1,024 for dense memory of more.
    center
        Whether components are taken about the running mean.

    Notes
    -----
    Outputs are keyed 0 to p - 1. A coordinate is 0 where there is no component yet: before any
    row, with fewer rows than components, and where all features are constant.

    Features may come in any order, appear later, or disappear. One that is absent from a row is
    filled by its expectation given the row's other features and the current components (by its
    mean at first), never by zero. One that appears later counts, in the rows before, as having had
    its mean; old components keep their meaning.

    Forgetting goes by rows, or by time: `PCA(half_life=timedelta(hours=1))` and, also through a
    pipeline, `model.learn_one(x, y, t=...)`, as with River's `TimeRolling`.

    Examples
    --------
    >>> from river import datasets, evaluate, linear_model, metrics, preprocessing
    >>> from streampca.river import PCA

    Five components of nine features that describe web pages:

    >>> model = (
    ...     preprocessing.StandardScaler()
    ...     | PCA(n_components=5)
    ...     | linear_model.LogisticRegression()
    ... )
    >>> evaluate.progressive_val_score(datasets.Phishing(), model, metrics.LogLoss())
    LogLoss: 0.344277...

    >>> pca = model["PCA"]
    >>> {i: round(ratio, 2) for i, ratio in pca.explained_variance_ratio_.items()}
    {0: 0.27, 1: 0.16, 2: 0.12, 3: 0.11, 4: 0.09}
    >>> loadings = pca.components_[0]
    >>> max(loadings, key=lambda feature: abs(loadings[feature]))
    'empty_server_form_handler'

    """

    def __init__(
        self,
        n_components: int | float | str | None = 10,
        whiten: bool = False,
        forgetting_factor: float = 1.0,
        half_life: float | dt.timedelta | None = None,
        missing: str = "error",
        memory: str = "auto",
        oversample: int | None = None,
        batch_size: int | None = None,
        center: bool = True,
        scale: bool = False,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self.missing = missing
        self.memory = memory
        self.oversample = oversample
        self.batch_size = batch_size
        self.center = center
        self.scale = scale
        self._model = RecordPCA(parameters_of(self, PCA))
        self._directions: tuple[View | None, Float64, Float64 | None]
        self._directions = (None, np.zeros((0, 0)), None)

    # --- learning ------------------------------------------------------------------------------

    def learn_one(self, x: dict[Hashable, Any], t: dt.datetime | None = None) -> None:
        """Learn from a row.

        Parameters
        ----------
        x
            Features and their values. A dictionary without any teaches nothing.
        t
            When the row was observed; needed, and read, only where `half_life` is a time.

        Raises
        ------
        ValueError
            If a value is no finite number. It names row and feature, and nothing is learned.

        """
        self._model.learn(x, t)

    def learn_many(self, X: Any, t: dt.datetime | Iterable[dt.datetime] | None = None) -> None:
        """Learn from the rows of a data frame, as from one after the other.

        Parameters
        ----------
        X
            A pandas, polars or pyarrow frame, or any other that speaks Arrow.
        t
            When they were observed, together or each; needed only where `half_life` is a time.

        Raises
        ------
        ValueError
            If a value is no finite number. It names row and feature, and nothing is learned.

        """
        values, features = read_frame(X, allow_missing=self.missing == "impute")
        self._model.learn_rows(values, features, t)

    # --- using ---------------------------------------------------------------------------------

    def transform_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """Coordinates of a row in the components.

        Parameters
        ----------
        x
            Features and their values. Unknown features are left out, absent ones are filled.

        Returns
        -------
        Coordinates by the number of the component.

        """
        view = self._model.recent()
        if view is None:
            return dict.fromkeys(range(self._n_outputs), 0.0)
        directions, folded = self._projections(view)
        coordinates = None if folded is None else self._model.records.products(x, folded)
        if coordinates is None:
            coordinates = directions.dot(view.centred(self._model.row(x, view))).tolist()
        return dict(enumerate(coordinates))

    def transform_many(self, X: Any) -> Any:
        """Coordinates of the rows of a data frame, as a frame of the same kind and index."""
        values, features = read_frame(X, allow_missing=self.missing == "impute")
        view = self._model.recent()
        if view is None:
            Z = np.zeros((len(values), self._n_outputs))
        else:
            rows = self._model.rows(values, features, view)
            Z = view.centred(rows) @ self._projections(view)[0].T
        like = utils.dataframe.into_frame(X)
        return utils.dataframe.to_native_frame(dict(enumerate(Z.T)), like=like)

    def inverse_transform_one(self, z: Mapping[Hashable, float]) -> dict[Hashable, float]:
        """The row whose coordinates are z, as far as the components tell.

        Parameters
        ----------
        z
            Coordinates by the number of the component; those left out count as 0.

        """
        view = self._model.recent()
        if view is None:
            return {}
        coordinates = np.zeros(len(view.components))
        outputs = range(max(self._n_outputs, len(coordinates)))
        for component, value in z.items():
            if component not in outputs:
                raise ValueError(
                    f"there is no component {component!r}: keys are 0 to {len(outputs) - 1}"
                )
            if component < len(coordinates):  # type: ignore[operator]
                coordinates[component] = value  # type: ignore[call-overload]
        if self.whiten:
            scales = view.model.scales(coordinates)
            coordinates = coordinates / np.where(scales > 0, scales, np.inf)
        return self._model.records.layout.named(view.placed(coordinates @ view.components))

    # --- results -------------------------------------------------------------------------------

    @property
    def components_(self) -> dict[int, dict[Hashable, float]]:
        """Loadings of the features on each component; all 0 where there is no such direction."""
        view = self._model.newest()
        if view is None:
            return {}
        named = self._model.records.layout.named
        return {i: named(loadings) for i, loadings in enumerate(view.components)}

    @property
    def explained_variance_(self) -> dict[int, float]:
        """Variance along each component."""
        view = self._model.newest()
        return {} if view is None else dict(enumerate(view.model.eigenvalues.tolist()))

    @property
    def explained_variance_ratio_(self) -> dict[int, float]:
        """Share of the total variance along each component."""
        view = self._model.newest()
        return {} if view is None else dict(enumerate(view.model.ratio.tolist()))

    @property
    def mean_(self) -> dict[Hashable, float]:
        """Mean of each feature."""
        view = self._model.newest()
        return {} if view is None else self._model.records.layout.named(view.model.mean)

    # --- inside --------------------------------------------------------------------------------

    @property
    def _n_outputs(self) -> int:
        """Coordinates there are in any case."""
        return self.n_components if isinstance(self.n_components, int) else 0

    def _projections(self, view: View) -> tuple[Float64, Float64 | None]:
        """(outputs, n), and the same with centring where that may be; made once for each view."""
        made_for, directions, folded = self._directions
        if made_for is not view:
            p, n = view.components.shape
            directions = np.zeros((max(p, self._n_outputs), n))
            directions[:p] = view.components
            if self.whiten:
                directions[:p] *= view.model.scales(view.components)[:, None]
            folded = view.folded(directions)
            self._directions = view, directions, folded
        return directions, folded
