"""StreamingReducedRankRegression: rows and targets in, ordered pairs out, at any time.

It validates and hands on: learning/pairs.py remembers, solvers/reduced_rank.py solves.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array
from streampca.checkpoint import Part
from streampca.estimators.pairs import PairResults
from streampca.learning import (
    CONSTRAINTS,
    PairLearner,
    add_pairs,
    check_parameters,
    learner_of_pairs,
    refuse_changes,
)
from streampca.moments import DenseMoments
from streampca.rows import (
    InputRows,
    Targets,
    answers,
    check_weighted,
    r2,
    read_inputs,
    read_targets,
    read_weights,
    that_count,
)

Float64 = NDArray[np.float64]


class StreamingReducedRankRegression(PairResults):
    """Linear regression of rank p, its p pairs of directions in order, at any time of a stream.

    The linear autoencoder of Oftadeh, Shen, Wang and Shell (ICML 2020) with Y != X: targets y are
    fitted by A B x, and A's columns are the eigenvectors of Sigma = Syx Sxx^-1 Sxy, largest first.
    Cutting the model to its first k pairs gives the best model of rank k, for every k at once.
    Also known as redundancy analysis. With all components it is ordinary least squares.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of pairs p, at most the number of targets; None for as many as there can be.
    ridge : float, default=0.0
        Added to the diagonal of the scatter matrix of X, as `alpha` of scikit-learn's `Ridge`.
        With 0, directions in which the (standardised) features do not vary beyond rounding are
        left out: of all coefficients that fit equally well, the smallest in standardised features.
        The exact solver's alone.
    memory : {"auto", "dense", "minibatch"}, default="auto"
        "dense": all moments of the n' features and n targets, 8 (n' + n)**2 bytes, exact.
        "minibatch": the last minibatch, for the first-order solver. "auto" is the one that goes
        with the solver.
    solver : {"exact", "first_order"}, default="exact"
        "exact" is the closed form; "first_order" is the paper's stochastic gradient descent, which
        never forms Sxx^-1 and, with minibatch memory, nothing larger than A, B and the rows.
    optimizer : callable, optional
        For "first_order": called with the list [A, B] of parameters, returns a `torch.optim`
        optimizer, or an optimizer and a learning-rate scheduler. Default: Adam at 1e-3.
    batch_size : int, optional
        Rows to collect before they are folded in (512; 256 for minibatch memory). Results are
        folded in before they are read, whatever the size.
    forgetting_factor : float, default=1.0
        Weight of a row after one more row has come; 1.0 never forgets.
    half_life : float, optional
        The same, as the number of rows after which a row has half its weight.
    fit_intercept : bool, default=True
        Whether rows and targets are taken about their running means.
    device : str or torch.device, optional
        Where moments are kept; None for the CPU or, if the first rows are a tensor, where that
        lies. The closed form is solved on the host.
    dtype : {"float32", "float64"}, optional
        Type of products with the rows. None is float64, whatever the rows: Sxx^-1 multiplies
        rounding by its condition. Predictions are in the type of the rows.
    random_state : int, optional
        Seed of the first-order solver's starting point.

    Attributes
    ----------
    decoder_, encoder_ : ndarray of shape (n_targets, p) and (p, n_features)
        A and B. With the exact solver A is orthonormal. Beyond the rank, columns of A lie in the
        kernel of Sigma and rows of B are zero.
    singular_values_ : ndarray of shape (p,)
        Singular values of the (centred, weighted) fitted targets, largest first.
    explained_variance_, explained_variance_ratio_ : ndarray of shape (p,)
        Variance of the targets that each pair fits, lambda_i, and its share of their total.
    coef_, intercept_ : ndarray of shape (n_targets, n_features) and (n_targets,)
        A B, and what is added, as in scikit-learn; one dimension less for a single target that
        was given as a vector.
    mean_, target_mean_ : ndarray of shape (n_features,) and (n_targets,)
        Weighted means of what came in; zero without an intercept.
    loss_ : float
        The nested loss per unit of weight.
    rank_ : int
        Directions of the features that have coefficients.
    n_features_in_, n_targets_, n_components_, n_samples_seen_, weight_
        As their names say.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4)) + 10.0
    >>> Y = X @ rng.normal(size=(4, 2)) @ rng.normal(size=(2, 3)) + 5.0
    >>> model = StreamingReducedRankRegression(n_components=2)
    >>> for start in range(0, 500, 64):
    ...     model = model.partial_fit(X[start : start + 64], Y[start : start + 64])
    >>> bool(np.allclose(model.predict(X), Y))
    True
    >>> model.decoder_.shape, model.encoder_.shape, round(model.score(X, Y), 6)
    ((3, 2), (2, 4), 1.0)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        ridge: float = 0.0,
        memory: str = "auto",
        solver: str = "exact",
        optimizer: Any = None,
        batch_size: int | None = None,
        forgetting_factor: float = 1.0,
        half_life: float | None = None,
        fit_intercept: bool = True,
        device: Any = None,
        dtype: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.ridge = ridge
        self.memory = memory
        self.solver = solver
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self.fit_intercept = fit_intercept
        self.device = device
        self.dtype = dtype
        self.random_state = random_state

    # --- learning -------------------------------------------------------------------------

    def fit(self, X: Any, Y: Any, sample_weight: Any = None) -> Self:
        """Forget everything and learn from X and Y, as `partial_fit` on a new estimator would.

        No rows raise a ValueError: there is no model of none.
        """
        return self._learned_anew(X, Y, sample_weight=sample_weight)

    def partial_fit(self, X: Any, Y: Any, sample_weight: Any = None) -> Self:
        """Learn from more rows and their targets.

        Parameters
        ----------
        X : array-like of shape (m, n_features)
            Rows: numpy, torch, Arrow, a data frame or scipy sparse. Never changed. No rows change
            nothing.
        Y : array-like of shape (m, n_targets) or (m,)
            The same, not sparse.
        sample_weight : array-like of shape (m,), optional
            How many copies each row stands for.

        Raises
        ------
        ValueError
            If a row cannot be used; it names the row and the feature, and nothing is learned.
        """
        if self._learner is not None and self._differs(self._learner.parameters):
            refuse_changes(self._learner.parameters, self._given())
        rows = self._read(X)
        targets = self._read_targets(Y, rows.values.shape[0])
        weights = read_weights(sample_weight, rows.values.shape[0])
        if rows.values.shape[0] == 0:
            return self
        if weights is not None:
            check_weighted(rows, weights, self._feature_names)
            check_weighted(targets.rows, weights, self._target_names)
        weights, (inputs, outputs) = that_count(weights, rows, targets.rows)
        add_pairs(self._started(rows, targets), inputs.values, outputs.values, weights)
        return self

    def merge(self, other: StreamingReducedRankRegression) -> Self:
        """Add what another estimator has learned, as if its rows had come here.

        The other does not change. Features and targets with names are matched by them, in any
        order. For bytes, and many at once, there is `streampca.merge_all`.

        Raises
        ------
        TypeError
            If it is no such estimator.
        ValueError
            If the two differ in features, targets, memory or centring; nothing is changed.
        """
        return self._add(other)

    def widened_from(
        self, other: StreamingReducedRankRegression, mean: Float64, target_mean: Float64
    ) -> Self:
        """Take over what another has learned about fewer features or targets, which come first.

        Parameters
        ----------
        other : StreamingReducedRankRegression
            With dense memory.
        mean, target_mean : ndarray of shape (n_features,) and (n_targets,)
            Where the new features and targets count as having stood, without variance, in the rows
            so far.
        """
        moments = other._moments
        if not isinstance(moments, DenseMoments):
            raise ValueError("only a regression with dense memory can be widened")
        k, old, targets = len(mean), other.n_features_in_, other.n_targets_
        places = np.concatenate([np.arange(old), k + np.arange(targets)])
        self._learner = self._made(k, len(target_mean), moments.device)
        self._learner.moments = moments.widened(places, np.concatenate([mean, target_mean]))
        return self

    # --- using ------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """Targets of rows, (m, n_targets), of the kind and dtype of array that came in."""
        model = self._model
        predicted = answers(X, lambda part: model.predict(self._read(part).values))
        return predicted[:, 0] if self._single else predicted

    def transform(self, X: Any) -> Array:
        """Coordinates B (x - mean) of rows, (m, p): what the inputs say about the targets."""
        model = self._model
        return answers(X, lambda part: model.coordinates(self._read(part).values))

    def fit_transform(self, X: Any, Y: Any, sample_weight: Any = None) -> Array:
        """`fit`, then `transform`."""
        return self.fit(X, Y, sample_weight=sample_weight).transform(X)

    def score(self, X: Any, Y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2 of the predictions, averaged over the targets."""
        model = self._model
        rows = self._read(X).values
        targets = self._read_targets(Y, rows.shape[0]).rows.values
        weights = read_weights(sample_weight, rows.shape[0])
        return r2(targets, model.predict(rows), weights)

    # --- inside -------------------------------------------------------------------------------

    def _read(self, X: Any) -> InputRows:
        return read_inputs(
            X,
            feature_names=self._feature_names,
            n_features=None if self._learner is None else self._learner.n_features,
            largest=self._largest(),
            least=0,
        )

    def _read_targets(self, Y: Any, n_rows: int) -> Targets:
        return read_targets(
            Y,
            n_rows,
            names=self._target_names,
            n_targets=None if self._learner is None else self._learner.n_targets,
            largest=self._largest(),
        )

    @classmethod
    def _estimator(cls) -> type:
        return StreamingReducedRankRegression

    def _started(self, rows: InputRows, targets: Targets) -> PairLearner:
        """The learner, made for rows like these if there is none yet."""
        X, Y = rows.values, targets.rows.values
        if self._learner is None:
            self._learner = self._made(X.shape[1], Y.shape[1], self._place(X))
            self._single = targets.single
        self._feature_names = self._feature_names or rows.feature_names
        self._target_names = self._target_names or targets.rows.feature_names
        return self._learner

    def _learner_like(self, part: Part, device: str | None) -> PairLearner:
        assert part.targets is not None
        return self._made(part.n_features, part.targets.n, device)

    def _made(self, n_features: int, n_targets: int, device: str | None) -> PairLearner:
        parameters = self._given()
        check_parameters(parameters, CONSTRAINTS)
        return learner_of_pairs(parameters, n_features, n_targets, self.dtype or "float64", device)
