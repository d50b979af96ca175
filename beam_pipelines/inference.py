"""Beam's RunInference with the components of a checkpoint store, refreshed while it runs."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beam_pipelines.rows import keyed
from beam_pipelines.scoring import Projected, Projector
from beam_pipelines.stores import open_store
from streampca.checkpoint import Checkpoint, Key


class Absent(enum.Enum):
    """What stands for no key at all; None is the key of a store's only model."""

    MODEL = "no default"


class StreamingPCAModelHandler(ModelHandler[Any, PredictionResult, "Models"]):
    """Applies the newest checkpoint of a store to rows, in `apache_beam.ml.inference.RunInference`.

    Gives a `PredictionResult` for each row: its `inference` is a `Projected` (coordinates, and SPE
    and T^2 by option), its `model_id` the checkpoint's window end and sequence.

    Parameters
    ----------
    store : str
        A folder on any file system that Beam has, or any other URI that `CheckpointStore` knows.
    key : str, int or None
        Which model of the store, for rows without keys.
    keyed : bool, default=False
        True: examples are (key, row) pairs and each uses the model of its own key; results are
        (key, PredictionResult) pairs.
    default_key : str, int or None, optional
        Which model to use for keys that the store has no checkpoint of, until it has one; None is
        the model without a key. The `model_id` of such a result ends with the key that was used.
        Without this option an unknown key is an error.
    spe, t2 : bool, default=False
        Whether to add SPE and Hotelling's T^2.
    refresh_every : float, default=60
        Seconds after which the store is read for a newer checkpoint, or one that has replaced the
        newest in its place. A path that ``RunInference(model_metadata_pcoll=...)`` brings is used
        at once, until the store has a newer one.
    min_batch_size, max_batch_size : int, optional
        Rows handed over at once, as Beam's own handlers have it.

    Examples
    --------
    >>> import tempfile
    >>> import apache_beam as beam, numpy as np
    >>> from apache_beam.ml.inference.base import RunInference
    >>> from streampca import CheckpointStore, StreamingPCA
    >>> store = tempfile.mkdtemp()
    >>> model = StreamingPCA(1).fit(np.diag([3.0, 1.0, 1.0]))
    >>> _ = CheckpointStore(store).write(model.checkpoint())
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     rows = pipeline | beam.Create([np.array([1.0, 1 / 3, 1 / 3])])
    ...     found = rows | RunInference(StreamingPCAModelHandler(store))
    ...     _ = found | beam.Map(lambda result: print(result.inference.coordinates.round(9) + 0.0))
    [0.]
    """

    def __init__(
        self,
        store: str,
        *,
        key: Key = None,
        keyed: bool = False,
        default_key: Key | Absent = Absent.MODEL,
        spe: bool = False,
        t2: bool = False,
        refresh_every: float = 60.0,
        min_batch_size: int | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        if refresh_every < 0:
            raise ValueError(f"refresh_every={refresh_every!r} is not accepted: give 0 or more")
        self._store = str(store)
        self._key = key
        self._keyed = keyed
        self._default_key = default_key
        self._wanted = (spe, t2)
        self._refresh_every = refresh_every
        sizes = {"min_batch_size": min_batch_size, "max_batch_size": max_batch_size}
        self._batching = {name: size for name, size in sizes.items() if size is not None}
        self._path: str | None = None
        self._env_vars: dict[str, str] = {}

    def load_model(self) -> Models:
        """Open the store; its files are read when a key needs them."""
        models = Models(self._store, self._wanted, self._refresh_every, self._default_key)
        if self._path is not None:
            with FileSystems.open(self._path) as file:
                models.use(Checkpoint.from_parquet_bytes(file.read(), moments=False))
        return models

    def update_model_path(self, model_path: str | None = None) -> None:
        """Use this checkpoint's file from now on: what RunInference's side input says."""
        self._path = model_path or self._path

    def run_inference(
        self, batch: Sequence[Any], model: Models, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Any]:
        """Project a batch.

        Raises
        ------
        ValueError
            If a row cannot be used, or the store has no checkpoint of its key.
        """
        pairs = [keyed(each) if self._keyed else (self._key, each) for each in batch]
        places: dict[Key, list[int]] = {}
        for i, (key, _) in enumerate(pairs):
            places.setdefault(key, []).append(i)
        results: list[Any] = [None] * len(pairs)
        for key, which in places.items():
            used, projector = model.used_for(key)
            found = projector.batch([pairs[i][1] for i in which])
            note = "" if used == key else f", key={used!r}"
            for i, projected in zip(which, found, strict=True):
                results[i] = self._result(key, projected, note)
        yield from results

    def _result(self, key: Key, projected: Projected, note: str) -> Any:
        model_id = f"window_end={projected.window_end}, sequence={projected.sequence}{note}"
        result = PredictionResult(projected.element, projected, model_id)
        return (key, result) if self._keyed else result

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Limits on the size of a batch."""
        return self._batching

    def get_metrics_namespace(self) -> str:
        """Where Beam's own inference metrics are counted."""
        return "streampca_inference"


@dataclasses.dataclass
class _Kept:
    """What a key uses, and since when the store need not be asked."""

    projector: Projector | None  # None: the store had no checkpoint of it
    asked: float
    given: bool = False  # by a side input, not by the store


class Models:
    """The newest checkpoint of each key of a store, which is asked again after a while."""

    def __init__(
        self,
        store: str,
        wanted: tuple[bool, bool],
        refresh_every: float,
        default_key: Key | Absent = Absent.MODEL,
    ) -> None:
        self._store = open_store(store)
        self._wanted = wanted
        self._refresh_every = refresh_every
        self._default_key = default_key
        self._kept: dict[Key, _Kept] = {}

    def use(self, checkpoint: Checkpoint) -> None:
        """Use a checkpoint for its key until the store has a newer one."""
        self._keep(checkpoint, given=True)

    def used_for(self, key: Key) -> tuple[Key, Projector]:
        """Whose model is to be used for a key now, and that model.

        Raises
        ------
        ValueError
            If there is none, nor a default.
        """
        own = self._of(key)
        if own is not None:
            return key, own
        other = self._default_key
        if isinstance(other, Absent):
            raise ValueError(f"there is no checkpoint of key {key!r} in {self._store.uri!r}")
        default = self._of(other)
        if default is None:
            raise ValueError(
                f"there is no checkpoint of key {key!r} in {self._store.uri!r}, nor of "
                f"default_key={other!r}"
            )
        return other, default

    def _of(self, key: Key) -> Projector | None:
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.asked < self._refresh_every:
            return kept.projector
        newest = self._store.latest(key, moments=False)
        before = None if kept is None or kept.projector is None else kept.projector.checkpoint
        if newest is not None and (kept is None or before is None or _follows(newest, kept)):
            return self._keep(newest)
        if kept is None:
            self._kept[key] = _Kept(None, time.monotonic())
            return None
        kept.asked = time.monotonic()
        return kept.projector

    def _keep(self, checkpoint: Checkpoint, given: bool = False) -> Projector:
        projector = Projector(checkpoint.without_moments(), *self._wanted)
        self._kept[checkpoint.key] = _Kept(projector, time.monotonic(), given)
        return projector

    def __iter__(self) -> Iterator[Key]:
        return iter(self._kept)


def _follows(newest: Checkpoint, kept: _Kept) -> bool:
    """Whether the store's newest checkpoint takes the place of what is used.

    One of the same window and sequence does where it is another: somebody has replaced the file.
    So does an older one, where a newer one was taken out of the store; not after a side input.
    """
    assert kept.projector is not None
    before = kept.projector.checkpoint
    if kept.given:
        return _age(newest) > _age(before)
    return newest.without_moments() != before


def _age(checkpoint: Checkpoint) -> tuple[bool, int, int]:
    end = checkpoint.window_end
    return end is not None, end or 0, checkpoint.sequence
