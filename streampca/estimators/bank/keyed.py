"""KeyedPCA: rows and their keys in, a model for each key, learned and solved together.

It validates and hands on: moments/bank.py remembers, solvers/many.py solves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import dtype_name
from streampca.checkpoint import Checkpoint, Key
from streampca.estimators.bank.keys import groups, known, listed
from streampca.estimators.bank.learning import most_rows
from streampca.estimators.bank.member import Member
from streampca.estimators.bank.state import SHARED, Models
from streampca.estimators.shared import refuse_other_names
from streampca.learning import Gaps
from streampca.moments import Moments


class KeyedPCA(Models):
    """Ordered principal components of many streams, one for each key, learned together.

    What each model says is what a `StreamingPCA` of its key's rows says, to 1e-12, for a twentieth
    of the time where rows are few: sums and eigenproblems of all models are formed at once.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of components p of each model; None for all.
    whiten, scale, forgetting_factor, half_life, center, missing, dtype
        As for `StreamingPCA`; rows are counted by key. Sums are float64 for float32 rows too. Gaps
        of a call's rows are filled by the model of the rows before that call, or of each 512.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where the rows had names.

    Notes
    -----
    Memory is dense: 8 n**2 bytes for each key, 8 m n for m rows that are fewer than n / 2. Rows are
    folded in when they come; nothing waits. `bank[key]` is a view: whatever `StreamingPCA` has, it
    has, and what is learned through it the bank has learned. A call that ends in an error has
    changed nothing.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> keys = np.repeat(np.arange(1000), 20)
    >>> X = rng.normal(size=(20_000, 8)) * (1 + keys[:, None] % 5 * np.eye(8)[2])
    >>> bank = KeyedPCA(2).partial_fit(X, keys)
    >>> len(bank), 7 in bank, bank.transform(X, keys).shape
    (1000, True, (20000, 2))
    >>> int(np.abs(bank[4].components_[0]).argmax()), bank[4].n_samples_seen_
    (2, 20)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        whiten: bool = False,
        scale: bool = False,
        forgetting_factor: float = 1.0,
        half_life: float | None = None,
        center: bool = True,
        missing: str = "error",
        dtype: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.scale = scale
        self.forgetting_factor = forgetting_factor
        self.half_life = half_life
        self.center = center
        self.missing = missing
        self.dtype = dtype

    # --- learning -------------------------------------------------------------------------------

    def fit(self, X: Any, keys: Any, sample_weight: Any = None) -> Self:
        """Forget everything and learn from rows and their keys."""
        fresh = type(self)(**self.get_params()).partial_fit(X, keys, sample_weight)
        if fresh._bank is None:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
        self.__dict__ |= fresh.__dict__
        return self

    def partial_fit(self, X: Any, keys: Any, sample_weight: Any = None) -> Self:
        """Learn from more rows, each by the model of its key.

        Parameters
        ----------
        X : array-like of shape (m, n_features)
            As for `StreamingPCA.partial_fit`.
        keys : array-like of shape (m,)
            Text, whole numbers or None; 1 and "1" are two keys. Rows of a key count in the order
            in which they stand.
        sample_weight : array-like of shape (m,), optional
            How much each row counts.

        Raises
        ------
        ValueError
            If a row, a key or a weight cannot be used; it names the row, and nothing is learned.
        """
        self._learn(self._rows(X, keys, sample_weight))
        return self

    def decay(self, factor: Any, keys: Iterable[Key] | None = None) -> Self:
        """Multiply the weight of rows so far, of some keys or of all, by a factor from 0 to 1.

        Or by one factor for each of the keys, for forgetting that goes by time.
        """
        self._decay(factor, self if keys is None else keys)
        return self

    def merge(self, other: KeyedPCA) -> Self:
        """Add what another bank has learned, key by key, as if its rows had come here.

        Raises
        ------
        TypeError
            If it is no bank.
        ValueError
            If the two do not have the same features, or centring; nothing is changed.
        """
        if not isinstance(other, KeyedPCA):
            raise TypeError(f"merge takes a KeyedPCA, not {type(other).__name__}")
        if other._bank is None:
            return self
        theirs = other._begun
        refuse_other_names("feature", self._feature_names, other._feature_names)
        if self._bank is None:
            self._start(theirs.n_features, theirs.dtype, other._feature_names)
        ours = self._begun
        for what in ("n_features", "center"):
            here, there = getattr(ours, what), getattr(theirs, what)
            if here != there:
                raise ValueError(
                    f"cannot merge banks of different {what}: {here} here, {there} there"
                )
        if not np.isfinite(8 * (ours.bound + theirs.bound)):
            raise ValueError("the sums of squares of both together may be too large for a float")
        with self._change:
            for key, model in list(other._models.items()):
                moments: Moments = theirs.load(model)
                unseen = other._gaps.of(model)
                if key in self._models:
                    gaps = Gaps(ours.n_features)
                    gaps.unseen = self._gaps.of(self._models[key])
                    own = ours.load(self._models[key])
                    moments, unseen = gaps.merged(own, moments, unseen), gaps.unseen
                self._put(key, moments, unseen, ours)
        return self

    def __delitem__(self, key: Key) -> None:
        """Forget a key; its memory is used for the next one."""
        (model,), bank = self._numbers([key]), self._begun
        with self._change:
            bank.clear(int(model))
            self._gaps.put(int(model), np.zeros(bank.n_features, bool))
            del self._models[key]
            self._spare.append(int(model))
            self._changed(np.array([model]))
            self._solved.forget(np.array([model]))

    # --- answers --------------------------------------------------------------------------------

    def transform(self, X: Any, keys: Any) -> NDArray[Any]:
        """Coordinates of rows in the components of their keys, (m, p).

        Raises
        ------
        UnknownKeyError
            If a key has no model; it names the row.
        """
        most, rows = most_rows(self._begun.n_features), self._rows(X, keys)
        X, dtype = rows.X, dtype_name(rows.X)
        models = known(rows.keys, rows.codes, self._models)
        self._solved.refresh(models)
        found = np.empty((len(X), self._solved.components.shape[1]), dtype)
        impute = self.missing == "impute" and bool(np.isnan(X).any())
        for which, at in groups(rows.codes, len(models), most):
            some = models[which]
            C = self._solved.components[some].astype(dtype)
            mine = self._gaps.expected(some, X[at]) if impute else X[at]
            Z = self._solved.centred(some, mine) @ C.transpose(0, 2, 1)
            if self.whiten:
                Z *= self._solved.scales(some, dtype).astype(dtype)[:, None]
            found[at] = Z
        return found

    def __getitem__(self, key: Key) -> Member:
        """The model of a key, as a view: see `StreamingPCA`."""
        self._numbers([key])
        return Member(self, key)

    def __contains__(self, key: object) -> bool:
        return not isinstance(key, bool | float) and key in self.keys()

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self.keys()))

    def keys(self) -> KeysView[Key]:
        """The keys, in the order of their first rows."""
        models: dict[Key, int] = {}
        if self._bank is not None:
            self._change.check()
            models = self._models
        return models.keys()

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered, and of the components that have been read."""
        if self._bank is None:
            return 0
        return self._bank.nbytes + self._solved.nbytes + self._gaps.nbytes

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._begun.n_features

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features, where the rows had any."""
        if self._feature_names is None:
            raise AttributeError("feature_names_in_: the rows came without feature names")
        return np.asarray(self._feature_names, dtype=object)

    # --- checkpoints ----------------------------------------------------------------------------

    def checkpoints(self, keys: Iterable[Key] | None = None, **where: Any) -> Iterator[Checkpoint]:
        """A checkpoint of each key, or of some, as `StreamingPCA.checkpoint`; one at a time.

        Parameters
        ----------
        keys : iterable of keys, optional
        **where
            `window_start`, `window_end` (UTC microseconds, or datetimes with a time zone),
            `sequence`, `late`.
        """
        wanted = listed(self if keys is None else keys)
        models = self._numbers(wanted)
        if not wanted:
            return
        self._solved.refresh(models)
        same = {"feature_names": self._feature_names, "settings": self._settings()} | where
        for key, model in zip(wanted, models.tolist(), strict=True):
            yield Checkpoint(key=key, **self._solved.fields(model, self._one(model)), **same)

    @classmethod
    def from_checkpoints(cls, checkpoints: Iterable[Checkpoint]) -> Self:
        """A bank that goes on where checkpoints were taken, one for each key.

        Raises
        ------
        ValueError
            If one has no dense moments, or was learned with other parameters than the first, or
            two are of one key.
        """
        self: Self | None = None
        for checkpoint in checkpoints:
            if self is None:
                settings = checkpoint.settings
                self = cls(**{name: settings[name] for name in SHARED if name in settings})
            self._adopt(checkpoint)
        if self is None:
            raise ValueError("there is no checkpoint to go on from")
        return self
