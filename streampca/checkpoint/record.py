"""What a checkpoint is: one model of one key at one time, as an immutable value.

Whatever it was built from, it fits together: `__post_init__` checks every field by the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import columns, fields
from streampca.checkpoint.drift import Drift, measure_drift
from streampca.checkpoint.fields import Key, time_text
from streampca.checkpoint.models import model_of
from streampca.checkpoint.parquet import from_parquet, to_parquet
from streampca.checkpoint.shown import InNotebook
from streampca.checkpoint.values import NUMBERS
from streampca.wire import seal, unseal

if TYPE_CHECKING:
    import pyarrow as pa

    from streampca.arrays import Array
    from streampca.learning import Model

__all__ = ["Checkpoint"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Checkpoint(InNotebook):
    """Everything learned up to a time: enough to transform rows, to go on learning, and to read.

    Arrays are copied and cannot be written to, so that a checkpoint that was handed out never
    changes. Equal content makes checkpoints equal.

    Parameters
    ----------
    key : str, int or None
        Which of many models; None where there is one.
    window_start, window_end : int or None
        Event time covered, microseconds since 1970 in UTC; None outside windows. A datetime
        with a time zone is taken too, and becomes this number.
    sequence : int
        Which of several checkpoints with the same window end; a later one is larger.
    n_samples_seen, weight : int, float
        Rows seen, and their weight after forgetting.
    effective_rows : float or None
        How many equal rows say as much, whatever the unit of weights: control limits depend on
        it. None in files of schema 1 and 2, of which only moments know it.
    feature_names : tuple of str, or None
        Where the rows had names.
    mean : ndarray of shape (n,)
        Weighted mean of each feature.
    components : ndarray of shape (p, n)
        Principal directions in order.
    explained_variance, explained_variance_ratio : ndarray of shape (p,)
        Variance along each, and its share of `total_variance`.
    total_variance : float
        Sum of the variances of all features.
    scale : ndarray of shape (n,), or None
        What centred features are divided by (`scale=True`). Variances, components, decoder and
        encoder are then of features in these units; the mean is not.
    decoder, encoder : ndarray of shape (n, p) and (p, n)
        A and B of the linear autoencoder.
    residuals : ndarray of shape (p,)
        ||Sigma a - lambda a|| / lambda_1 of each component.
    discarded_variance : float
        Bound on what the moments have lost of the covariance (spectral norm).
    drift : Drift or None
        Against the previous checkpoint; None for the first. See `with_drift`.
    moments_kind, moments : str, dict of str to ndarray
        What is remembered of the stream, for going on; "" and {} where that was left out.
    settings : dict
        The estimator's parameters, as JSON values.
    calibration : dict of str to ndarray
        Sketches of SPE and T^2 of rows known to be normal, for limits; see `Monitor.checkpoint`.
    late : bool
        Whether late rows made this checkpoint, after one of the same window had been written.

    Raises
    ------
    ValueError
        If the parts do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import Checkpoint, StreamingPCA
    >>> pca = StreamingPCA(2).partial_fit(np.diag([3.0, 2.0, 1.0]))
    >>> checkpoint = pca.checkpoint(key="press 4", window_start=0, window_end=60_000_000)
    >>> checkpoint
    Checkpoint(key='press 4', window_end=1970-01-01T00:01:00Z, sequence=0, 3 rows, 2 of 3)
    >>> Checkpoint.from_bytes(checkpoint.to_bytes()) == checkpoint
    True
    >>> checkpoint.transform(np.ones((4, 3))).shape
    (4, 2)
    """

    key: Key = None
    window_start: int | None = None
    window_end: int | None = None
    sequence: int = 0
    n_samples_seen: int
    weight: float
    feature_names: tuple[str, ...] | None = None
    mean: NDArray[np.float64]
    components: NDArray[Any]
    explained_variance: NDArray[np.float64]
    explained_variance_ratio: NDArray[np.float64]
    total_variance: float
    decoder: NDArray[Any]
    encoder: NDArray[Any]
    residuals: NDArray[np.float64]
    discarded_variance: float = 0.0
    drift: Drift | None = None
    moments_kind: str = ""
    moments: Mapping[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    late: bool = False
    scale: NDArray[np.float64] | None = None
    calibration: Mapping[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    effective_rows: float | None = None

    def __post_init__(self) -> None:
        """Check every field, and make every array this checkpoint's own."""
        components = np.asarray(self.components)
        if components.ndim != 2 or 0 in components.shape:
            raise ValueError(f"components must be a (p, n) matrix, not of shape {components.shape}")
        p, n = components.shape
        self._set(
            key=fields.key(self.key),
            window_start=fields.time("window_start", self.window_start),
            window_end=fields.time("window_end", self.window_end),
            sequence=fields.count("sequence", self.sequence),
            n_samples_seen=fields.count("n_samples_seen", self.n_samples_seen),
            effective_rows=fields.real_or_none("effective_rows", self.effective_rows),
            feature_names=fields.names(self.feature_names, n),
            mean=fields.array("mean", self.mean, (n,), "float64"),
            components=fields.array("components", components, (p, n)),
            decoder=fields.array("decoder", self.decoder, (n, p)),
            encoder=fields.array("encoder", self.encoder, (p, n)),
            **{name: fields.real(name, getattr(self, name)) for name in NUMBERS},
            moments_kind=str(self.moments_kind),
            moments={str(k): fields.own(f"moments {k!r}", v) for k, v in self.moments.items()},
            settings=fields.settings(self.settings),
            calibration=fields.calibration(self.calibration),
            late=bool(self.late),
            scale=fields.scale(self.scale, n),
        )
        for name in ("explained_variance", "explained_variance_ratio", "residuals"):
            self._set(**{name: fields.array(name, getattr(self, name), (p,), "float64")})
        if self.drift is not None:
            angle, cosines = self.drift
            cosines = fields.array("drift.cosines", cosines, (min(p, len(cosines)),), "float64")
            self._set(drift=Drift(fields.real("drift.angle", angle), cosines))
        start, end = self.window_start, self.window_end
        if start is not None and end is not None and start > end:
            raise ValueError(f"window_start={start} lies after window_end={end}")

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen

    # --- using ------------------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Coordinates of rows, (m, p): what the estimator returned when this was taken.

        Parameters
        ----------
        X : array-like of shape (m, n)
            As for `StreamingPCA.transform`; a frame's columns are matched by name.

        Raises
        ------
        ValueError
            If a row cannot be used; it names the row and the feature.
        """
        from streampca.learning import coordinates
        from streampca.rows import read_rows

        names, n = self.feature_names, self.components.shape[1]
        impute = self.settings.get("missing") == "impute"

        def read(part: Any) -> Array:
            rows = read_rows(part, feature_names=names, n_features=n, allow_missing=impute, least=0)
            return rows.values

        whiten = bool(self.settings.get("whiten"))
        return coordinates(X, self._model, read, impute=impute, whiten=whiten)

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: vars(self)[each.name] for each in dataclasses.fields(self)}

    @cached_property
    def _model(self) -> Model:
        return model_of(self)

    def with_drift(self, previous: Checkpoint | None) -> Self:
        """This checkpoint with `drift` measured against the one before it (None: the first).

        Where the number of components changed, those that both have are compared.

        Raises
        ------
        ValueError
            If the two do not have the same features.
        """
        if previous is None:
            return dataclasses.replace(self, drift=None)
        if previous.components.shape[1] != self.components.shape[1] or (
            None not in (previous.feature_names, self.feature_names)
            and previous.feature_names != self.feature_names
        ):
            raise ValueError(
                f"cannot compare {self!r} with {previous!r}: their features are not the same"
            )
        return dataclasses.replace(self, drift=measure_drift(self.components, previous.components))

    def without_moments(self) -> Self:
        """This checkpoint without what only resuming needs; much smaller for dense moments."""
        lighter = object.__new__(type(self))  # nothing is checked twice
        vars(lighter).update(self.__getstate__(), moments_kind="", moments={})
        return lighter

    # --- leaving and coming back --------------------------------------------------------------

    def to_record_batch(self) -> pa.RecordBatch:
        """One Arrow row of plain columns; see `streampca.checkpoint.columns.SCHEMA`."""
        return columns.to_batch(vars(self))

    @classmethod
    def from_record_batch(
        cls, batch: pa.RecordBatch, row: int = 0, *, moments: bool = True
    ) -> Self:
        """Read one row of a record batch (or table) of checkpoints, and check all of it.

        `moments` False leaves out what is only for going on; the column may then be missing.

        Raises
        ------
        CheckpointError
            If it is torn, changed, foreign, or written by a newer streampca.
        """
        with columns.as_checkpoint_error("record batch"):
            return cls(**columns.from_batch(batch, row, moments=moments))

    def to_bytes(self) -> bytes:
        """Arrow IPC bytes with a checksum, for state and for messages; never a pickle."""
        return seal(self.to_record_batch())

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        CheckpointError
            If it is torn, changed, foreign, or written by a newer streampca.
        """
        with columns.as_checkpoint_error("bytes"):
            return cls(**columns.from_batch(unseal(data, columns.check_schema)))

    def to_parquet_bytes(self) -> bytes:
        """The content of this checkpoint's file in a store, for writing through another system."""
        return to_parquet(self.to_record_batch())

    @classmethod
    def from_parquet_bytes(cls, data: bytes, *, moments: bool = True) -> Self:
        """Read the content of a checkpoint's file; `moments` False leaves out what is for resuming.

        Raises
        ------
        CheckpointError
            If it is torn, changed, foreign, or written by a newer streampca.
        """
        with columns.as_checkpoint_error("Parquet file"):
            return cls(**from_parquet(data, moments=moments))

    # --- as a value -----------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Checkpoint):
            return NotImplemented
        return fields.equal(self.__getstate__(), other.__getstate__())

    def __hash__(self) -> int:
        return hash((self.key, self.window_end, self.sequence, self.n_samples_seen))

    def __repr__(self) -> str:
        end, (p, n) = time_text(self.window_end), self.components.shape
        return (
            f"Checkpoint(key={self.key!r}, window_end={end}, sequence={self.sequence}, "
            f"{self.n_samples_seen} rows, {p} of {n}{', late' if self.late else ''})"
        )
