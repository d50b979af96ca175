"""StreamingPCA: arrays in, ordered components out, at any time.

It validates and hands on: moments/ remembers, solvers/ solve, and the classes
that it inherits from read off the answers.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from streampca.arrays import Array, dtype_name, namespace
from streampca.estimators.checkpoints import Checkpoints
from streampca.estimators.coordinates import Coordinates
from streampca.estimators.joining import Joining
from streampca.learning import (
    ComponentLearner,
    adopt,
    check_parameters,
    learn_parts,
    learner_of_components,
)
from streampca.rows import (
    InputRows,
    check_weighted,
    in_parts,
    read_weights,
    refuse_what_is_read_once,
    that_count,
)


class StreamingPCA(Coordinates, Checkpoints, Joining):
    """Ordered principal components of a stream, exact at any time and for any batch size.

    A linear autoencoder with decoder A and encoder B that descends the nested loss of Oftadeh,
    Shen, Wang and Shell (ICML 2020), every minimum of which is the ordered eigenvectors. A drop-in
    for scikit-learn's ``IncrementalPCA`` that also forgets, merges, weighs, and takes single rows.

    Parameters
    ----------
    n_components : int, float, "parallel" or None, default=None
        Number of components p; or the share of variance to explain, such as 0.95; or "parallel",
        those larger than what rows of independent features give (Horn's parallel analysis, 95th
        percentile), at least 1; or None for all.
    whiten : bool, default=False
        Whether `transform` divides each coordinate by its standard deviation.
    scale : bool, default=False
        Whether features count in units of their standard deviations (correlation instead of
        covariance), as they are at each reading: exact after any order, forgetting, merging and
        weights. Needs dense memory. Constant features are divided by 1.
    copy : bool, default=True
        There for callers of `IncrementalPCA`: rows are never changed, whatever it says.
    batch_size : int, optional
        Rows to collect before they are folded in; larger inputs are cut to about this size. The
        default depends on `memory` and the number of features. Results are folded in before they
        are read, whatever the size.
    memory : {"auto", "dense", "factored", "minibatch"}, default="auto"
        What is remembered of the stream. "dense": all of the covariance, 8 n**2 bytes, exact.
        "factored": its p + oversample leading directions, for many features. "minibatch": the
        last minibatch, for first-order solvers. "auto" is dense up to 1,024 features, up to 4,096
        where that takes at most five times as long, and up to 8,192 where it takes no longer;
        `memory_` says which it was.
    oversample : int, optional
        Directions remembered beyond p by factored memory; more make it robust against drift. The
        default is about p, and at least 30.
    solver : {"exact", "first_order"}, default="exact"
        "exact" has no learning rate; "first_order" is the paper's stochastic gradient descent.
    optimizer : callable, optional
        For "first_order": called with the list [A, B] of parameters, returns a `torch.optim`
        optimizer, or an optimizer and a learning-rate scheduler. Sigma is scaled to unit trace, so
        a learning rate does not depend on the scale of the data. Default: Adam at 1e-3.
    forgetting_factor : float, default=1.0
        Weight of a row after one more row has come; 1.0 never forgets.
    half_life : float, optional
        The same, as the number of rows after which a row has half its weight.
    center : bool, default=True
        Whether components are taken about the running mean.
    missing : {"error", "impute"}, default="error"
        What to do with NaN: refuse it, or fill it from the row's own entries through the current
        components (from the mean at first).
    device : str or torch.device, optional
        Where to compute; None for the CPU or, if the first rows are a tensor, where that lies.
    dtype : {"float32", "float64"}, optional
        Type of products with the rows and of components; None for that of the first rows.
    random_state : int, optional
        Seed of the first-order solver's starting point.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        Ordered orthonormal principal directions. The sign is that of the components read before.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray of shape (p,)
        As in scikit-learn; variances are about `mean_` and unbiased.
    mean_, var_ : ndarray of shape (n_features_in_,)
        Weighted mean and variance of each feature.
    scale_, constant_features_ : ndarray
        With `scale=True` what centred features are divided by, (n_features_in_,); variances,
        components and what follows from them are then of features in these units. And which
        features have not varied.
    noise_variance_ : float
        Mean of the variances left out, from the exact total variance.
    n_samples_seen_, weight_ : int, float
        Rows seen, and their weight after forgetting.
    memory_, memory_reason_ : str
        What is remembered, "dense", "factored" or "minibatch", and why; the repr says it too.
    decoder_, encoder_ : ndarray of shape (n, p) and (p, n)
        A and B.
    loss_ : float
        The nested loss per unit of weight.
    residuals_ : ndarray of shape (p,)
        ||Sigma a - lambda a|| / lambda_1 of each component: the certificate that what is
        remembered has been solved.
    discarded_variance_ : float
        Worst-case bound on how far the remembered covariance may be from the true one, in
        spectral norm; 0 for dense memory.

    Notes
    -----
    Reading a fitted attribute folds in what is buffered and solves, so it is never stale, and
    costs a solve if rows have come since the last reading.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 4)) * [1.0, 5.0, 2.0, 0.1] + 3.0
    >>> pca = StreamingPCA(n_components=2)
    >>> for start in range(0, 1000, 7):
    ...     pca = pca.partial_fit(X[start : start + 7])
    >>> np.abs(pca.components_).round(1)
    array([[0., 1., 0., 0.],
           [0., 0., 1., 0.]])
    >>> pca.transform(X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        whiten: bool = False,
        scale: bool = False,
        copy: bool = True,
        batch_size: int | None = None,
        memory: str = "auto",
        oversample: int | None = None,
        solver: str = "exact",
        optimizer: Any = None,
        forgetting_factor: float = 1.0,
        half_life: float | None = None,
        center: bool = True,
        missing: str = "error",
        device: Any = None,
        dtype: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.scale = scale
        self.copy = copy
        self.batch_size = batch_size
        self.memory = memory
        self.oversample = oversample
        self.solver = solver
        self.optimizer = optimizer
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self.center = center
        self.missing = missing
        self.device = device
        self.dtype = dtype
        self.random_state = random_state

    # --- learning -------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Forget everything and learn from X, as `partial_fit` on a new estimator would.

        y is ignored, as in scikit-learn. No rows raise a ValueError: there is no model of none.
        """
        return self._learned_anew(X, sample_weight=sample_weight)

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, check_input: bool = True
    ) -> Self:
        """Learn from more rows.

        Parameters
        ----------
        X : array-like of shape (m, n_features)
            Rows: numpy, torch, Arrow, a data frame, scipy sparse, xarray; dask and Arrow streams,
            of which one part is loaded at a time. Never changed. No rows change nothing.
        y : ignored
            There for pipelines: labels are no part of principal components. Weights are given by
            name, or third.
        sample_weight : array-like of shape (m,), optional
            How much each row counts: 3 as three copies, 0 as if it were absent. See Notes.
        check_input : bool, default=True
            There for callers of `IncrementalPCA`: rows are checked whatever it says.

        Raises
        ------
        ValueError
            If a row cannot be used; it names the row and the feature, and nothing is learned. Or
            if all weights are zero.
        TornError
            If a call before was broken off (Ctrl-C, no memory) and left sums in part.

        Notes
        -----
        A row of weight w of which forgetting has left g counts w g. With W the sum of these,
        variances are sums of squares about the mean divided by the larger of
        W - sum(w g**2) / W (weights as counts: W - 1 where nothing is forgotten) and
        W - sum((w g)**2) / W (weights as shares: 1 - 1 / n for n of 1 / n). So counts
        as weights give what repeated rows give, and a factor on all weights changes next to
        nothing.

        Where rows come part by part, a call that ends in an error forgets what came during it.

        Rows on a device, and pinned ones on their way to it, are checked there while the next
        ones come: a call does not wait. One that cannot be used is left out alone, and a later
        call, or reading, says so.
        """
        parts = in_parts(X, floats=False)
        if parts is not None:
            learn_parts(self, parts, sample_weight)
            return self
        learner = self._learner
        if learner is not None and self._differs(learner.parameters):
            adopt(learner, self._given())
        later = None if learner is None else learner.looks_at
        rows = self._read(X, later, None if learner is None else learner.wants_squares)
        weights = read_weights(sample_weight, rows.values.shape[0])
        if rows.values.shape[0] == 0:
            return self
        if weights is not None:
            gaps, names = self.missing == "impute", self._feature_names
            far = later is not None and namespace(rows.values) is not np and later(rows.values)
            check_weighted(rows, weights, names, allow_missing=gaps, seen_later=far)
        weights, (rows,) = that_count(weights, rows)
        learner = self._started(rows)
        learner.add(rows.minibatch(weights), self._feature_names)
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Array:
        """`fit`, then `transform`."""
        refuse_what_is_read_once(X)
        return self.fit(X, sample_weight=sample_weight).transform(X)

    # --- inside -------------------------------------------------------------------------------

    @classmethod
    def _estimator(cls) -> type:
        return StreamingPCA

    def _started(self, rows: InputRows) -> ComponentLearner:
        """The learner, made for rows like these if there is none yet."""
        X = rows.values
        if self._learner is None:
            self._start(X.shape[1], dtype_name(X), self._place(X), rows.feature_names)
        elif self._feature_names is None:
            self._feature_names = rows.feature_names
        assert self._learner is not None
        return self._learner

    def _start(
        self,
        n_features: int,
        dtype: str,
        device: str | None,
        names: tuple[str, ...] | None,
        memory: str | None = None,
    ) -> None:
        self._learner = self._made(n_features, dtype, device, memory)
        self._feature_names = names

    def _made(
        self, n_features: int, dtype: str, device: str | None, memory: str | None
    ) -> ComponentLearner:
        parameters, dtype = self._given(), self.dtype or dtype
        check_parameters(parameters)
        return learner_of_components(parameters, n_features, dtype, device, memory)
