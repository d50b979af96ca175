"""StreamingPCA as an estimator of scikit-learn: all that the plain class does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import metadata_routing

from streampca import StreamingPCA as Plain
from streampca.sklearn.attributes import Fitted
from streampca.sklearn.face import Face

if TYPE_CHECKING:
    from streampca import Checkpoint
    from streampca.moments import Moments


class StreamingPCA(Face):
    """`streampca.StreamingPCA` as a transformer of scikit-learn.

    Parameters, results and methods are those of the plain class, which says what they mean.
    Rows are what scikit-learn takes: arrays, data frames, sparse matrices; for tensors on a GPU or
    Arrow, use the plain class.

    Parameters
    ----------
    n_components, whiten, scale, copy, batch_size, memory, oversample, solver, optimizer, \
forgetting_factor, half_life, center, missing, device, dtype, random_state
        As in `streampca.StreamingPCA`.

    Notes
    -----
    Attributes may be assigned, or arrays written to: the model is then what was assigned, and
    further rows are added to it. One thread at a time, as in scikit-learn; the plain class may be
    read while it learns.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from streampca.sklearn import StreamingPCA
    >>> model = make_pipeline(StandardScaler(), StreamingPCA(n_components=0.9))
    >>> model.set_output(transform="pandas").fit_transform(load_iris().data).shape
    (150, 2)
    """

    __metadata_request__partial_fit: ClassVar[dict[str, Any]] = {
        "check_input": metadata_routing.UNUSED
    }

    weight_ = Fitted("Weight of the rows seen, after forgetting.")
    decoder_ = Fitted("Decoder A, (n, p).")
    encoder_ = Fitted("Encoder B, (p, n).")
    loss_ = Fitted("The nested loss per unit of weight.")
    residuals_ = Fitted("||Sigma a - lambda a|| / lambda_1 of each component, (p,).")
    discarded_variance_ = Fitted("Bound on what factored memory may have lost of the covariance.")
    scale_ = Fitted("What centred features are divided by, (n,); None without `scale=True`.")
    constant_features_ = Fitted("Features that have not varied: names, or else numbers.")
    memory_ = Fitted("Memory that was chosen.")
    memory_reason_ = Fitted("Why.")
    batch_size_ = Fitted("Rows that are folded in at once.")

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
        random_state: int | np.random.RandomState | None = None,
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

    # --- learning ------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Forget everything and learn from X; y is ignored."""
        with self._unchanged_on_error():
            self._forget()
            self._core = None
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.partial_fit(X, **weights)
        return self

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, check_input: bool = True
    ) -> Self:
        """Learn from more rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            One row or more.
        y : ignored
            There by convention.
        sample_weight : array-like of shape (m,), optional
            How many copies each row stands for.
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
                X = self._rows(X, accept_sparse="csr", reset=core is None)
            core = Plain() if core is None else core
            core.set_params(**self._settings())
            core.partial_fit(X, sample_weight=sample_weight)
            names = getattr(self, "feature_names_in_", None)
            core._feature_names = None if names is None else tuple(names)
            self._with_core(core)
        return self

    def merge(self, other: StreamingPCA | Plain | Moments) -> Self:
        """Add what another estimator (or moments) has learned, as if its rows had come here."""
        theirs = other._ready() if isinstance(other, StreamingPCA) else other
        with self._unchanged_on_error():
            core = self._going_on() or Plain(**self._settings())
            self._with_core(core.merge(theirs))
            self._name_features(core)
        return self

    def part(self) -> bytes:
        """What was learned so far, for `streampca.merge_all`: see `streampca.StreamingPCA.part`."""
        return (self._going_on() or Plain(**self._settings())).part()

    def decay(self, factor: float) -> Self:
        """Multiply the weight of all rows so far by a factor between 0 and 1."""
        return self._with_core(self._ready().decay(factor))

    def flush(self) -> Self:
        """Fold in what is buffered."""
        self._ready().flush()
        return self

    # --- using ---------------------------------------------------------------------------------

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Log-likelihood of each row under probabilistic PCA (Tipping & Bishop 1999)."""
        core = self._ready(variances=True)
        found: NDArray[np.float64] = core.score_samples(
            self._rows(X, accept_sparse="csr", reset=False)
        )
        return found

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of the rows."""
        return float(self.score_samples(X).mean())

    def checkpoint(self, **where: Any) -> Checkpoint:
        """Everything learned so far: see `streampca.StreamingPCA.checkpoint`."""
        return self._ready().checkpoint(**where)

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: Any = None, optimizer: Any = None
    ) -> Self:
        """An estimator that goes on where the checkpoint was taken."""
        core = Plain.from_checkpoint(checkpoint, device=device, optimizer=optimizer)
        settings = core.get_params()
        own = cls().get_params()
        self = cls(**{name: value for name, value in settings.items() if name in own})
        self.__dict__ |= settings  # a subclass may leave some out
        self._with_core(core)._name_features(core)
        return self

    # --- inside --------------------------------------------------------------------------------

    def _name_features(self, core: Plain) -> None:
        """What scikit-learn compares further rows with."""
        if core._learner is not None:
            self.n_features_in_ = core.n_features_in_
        if core._feature_names is not None:
            self.feature_names_in_ = core.feature_names_in_

    @property
    def _allow_missing(self) -> bool:  # type: ignore[override]
        return getattr(self, "missing", "error") == "impute"

    def _settings(self) -> dict[str, Any]:
        defaults = Plain().get_params()  # of a subclass that leaves some out
        settings = {name: getattr(self, name, value) for name, value in defaults.items()}
        if isinstance(settings["random_state"], np.random.RandomState):
            core = self._core  # one seed is drawn for the life of a model
            drawn = None if core is None else core.random_state
            settings["random_state"] = drawn or settings["random_state"].randint(1, 2**31 - 1)
        return settings

    def _read_off(self, name: str) -> Any:
        if name == "batch_size_":
            super()._read_off("n_samples_seen_")
            assert self._core is not None
            return self._core._started_learner.options.batch_size
        return super()._read_off(name)
