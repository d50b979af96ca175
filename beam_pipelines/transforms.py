"""The public transforms, made of small named steps: learn components, write checkpoints."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows, SlidingWindows, TimestampCombiner, WindowFn

from beam_pipelines.combine import MomentsFn
from beam_pipelines.dofn import CarryModel, Pending, TagWindow
from beam_pipelines.rows import BAD_ROWS, Block, ReadBlocks
from beam_pipelines.windows import Span, slots
from streampca import Checkpoint, CheckpointStore
from streampca.checkpoint import relative_path

Key = str | int | None


class Learned(NamedTuple):
    """What `LearnComponents(bad_rows=True)` returns."""

    checkpoints: Any
    """PCollection of (key, Checkpoint)."""
    bad_rows: Any
    """PCollection of BadRow: key, element, reason."""


class LearnComponents(beam.PTransform):
    """Ordered principal components of the rows so far, at the end of every window.

    Takes rows, or (key, row) pairs for one model per key, in any windows: fixed, sliding, session
    or global. A row is a mapping, a beam.Row, a NamedTuple or a numpy vector; a numpy matrix or an
    Arrow record batch holds many. Gives ``(key, Checkpoint)``, key None for rows without keys, with
    the last instant of the window as timestamp.

    Parameters
    ----------
    n_components : int, float or None
        As in `StreamingPCA`, as are all `options`.
    features : sequence of str or int, optional
        Names of the features in the order of the model, or how many there are. By default all that
        the rows have, names sorted; a row that has others than those before then fails the
        pipeline.
    carry : bool, default=True
        True: a checkpoint is the running model at its window's end, and a row counts once even
        where sliding windows overlap. False: it is of its window's rows alone.
    bad_rows : bool, default=False
        True: rows that cannot be used are an output of their own, with the reason, and `Learned` is
        returned. False: the first of them fails the pipeline, with the same reason.
    **options
        Of `StreamingPCA`: `whiten`, `memory`, `oversample`, `center`, `dtype`, `device`.

    Notes
    -----
    In the windows of the input, rows are reduced to moments (`MomentsFn`); these go to one stateful
    DoFn per key in the global window (`CarryModel`), which adds them up in event-time order.
    Rows later than the watermark, as far as the input's allowed lateness takes them, make a
    checkpoint of their window again, marked `late`.

    Examples
    --------
    >>> import apache_beam as beam
    >>> import numpy as np
    >>> from apache_beam.transforms.window import FixedWindows, TimestampedValue
    >>> rows = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 3.0, 2.0]
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     _ = (
    ...         pipeline
    ...         | beam.Create([TimestampedValue(row, second) for second, row in enumerate(rows)])
    ...         | beam.WindowInto(FixedWindows(50))
    ...         | LearnComponents(2)
    ...         | beam.Map(lambda keyed: print(keyed[1]))
    ...     )
    Checkpoint(key=None, window_end=1970-01-01T00:00:50Z, sequence=0, 50 rows, 2 of 3)
    Checkpoint(key=None, window_end=1970-01-01T00:01:40Z, sequence=1, 100 rows, 2 of 3)
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        features: Sequence[str] | int | None = None,
        carry: bool = True,
        bad_rows: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._options = {"n_components": n_components, **options}
        self._features = _checked_features(features)
        self._carry = carry
        self._bad_rows = bad_rows
        self._moments = MomentsFn(features=self._features, **self._options)
        _refuse(self._options)

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        windowing = rows.windowing
        overlapping = isinstance(windowing.windowfn, SlidingWindows)
        if overlapping:
            rows = rows | "OneCopy" >> beam.ParDo(_OneCopy(windowing.windowfn))
        read = beam.ParDo(ReadBlocks(self._features, self._bad_rows)).with_output_types(
            tuple[str, Block]
        )
        bad_rows = None
        if self._bad_rows:
            blocks, bad_rows = rows | "ReadRows" >> read.with_outputs(BAD_ROWS, main="blocks")
        else:
            blocks = rows | "ReadRows" >> read
        wanted = self._first_windowing(windowing)
        if overlapping or wanted != windowing:  # costs as much as all else that is done to a row
            blocks |= "Slots" >> beam.WindowInto(
                wanted, allowed_lateness=windowing.allowed_lateness
            )
        checkpoints = (
            blocks
            | "Moments" >> beam.CombinePerKey(self._moments).with_output_types(tuple[str, bytes])
            | "TagWindow"
            >> beam.ParDo(TagWindow(windowing.windowfn, self._carry)).with_output_types(
                tuple[str, Pending]
            )
            | "Global" >> beam.WindowInto(GlobalWindows())
            | "CarryModel"
            >> beam.ParDo(CarryModel(self._carry, self._options)).with_output_types(
                tuple[Key, Checkpoint]
            )
            | "Windows" >> beam.WindowInto(windowing, allowed_lateness=windowing.allowed_lateness)
        )
        if overlapping:
            checkpoints |= "OwnWindow" >> beam.ParDo(_OwnWindow()).with_output_types(
                tuple[Key, Checkpoint]
            )
        return Learned(checkpoints, bad_rows) if self._bad_rows else checkpoints

    def _first_windowing(self, windowing: Any) -> Any:
        """The windows in which rows become moments."""
        return Windowing(
            slots(windowing.windowfn) if self._carry else windowing.windowfn,
            windowing.triggerfn,
            # Carried, a row's moments must arrive once; a window's own must arrive complete.
            AccumulationMode.DISCARDING if self._carry else AccumulationMode.ACCUMULATING,
            TimestampCombiner.OUTPUT_AT_EOW,
            windowing.allowed_lateness,
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        shown = {name: str(value) for name, value in self._options.items()}
        return shown | {"carry": self._carry, "features": str(self._features)}


class WriteCheckpoints(beam.PTransform):
    """Write checkpoints into a store that `streampca.CheckpointStore` reads.

    Takes ``(key, Checkpoint)`` or checkpoints and gives the paths of the files. A retried bundle
    writes the same files again, and each appears whole or not at all.

    Parameters
    ----------
    uri : str
        A folder on any file system that Beam has: local, ``gs://``, ``s3://``, ``hdfs://``.

    Examples
    --------
    >>> import tempfile
    >>> import apache_beam as beam, numpy as np
    >>> from streampca import CheckpointStore
    >>> folder = tempfile.mkdtemp()
    >>> with beam.Pipeline("FnApiRunner") as pipeline:
    ...     rows = pipeline | beam.Create([("press 4", np.eye(3))])
    ...     _ = rows | LearnComponents(2) | WriteCheckpoints(folder)
    >>> CheckpointStore(folder).latest("press 4").n_samples_seen
    3
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri

    def expand(self, checkpoints: Any) -> Any:
        """Build the step."""
        return checkpoints | "Write" >> beam.ParDo(_Write(self._uri)).with_output_types(str)

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        return {"uri": self._uri}


class _OneCopy(beam.DoFn):
    """Keep one copy of a row that lies in several windows.

    Assigning windows again takes each copy for a row: those in two windows would count twice.
    """

    def __init__(self, windowfn: WindowFn) -> None:
        self._windowfn = windowfn

    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        context = WindowFn.AssignContext(timestamp, element)
        if window.end == min(each.end for each in self._windowfn.assign(context)):
            yield element


class _OwnWindow(beam.DoFn):
    """Keep the copy of a checkpoint in the very window that it covers: sliding windows overlap."""

    def process(self, element: Any, window: Any = beam.DoFn.WindowParam) -> Iterator[Any]:
        if Span.of(window).end == element[1].window_end:
            yield element


class _Write(beam.DoFn):
    def __init__(self, uri: str) -> None:
        self._uri = uri

    def process(self, element: Any) -> Iterator[str]:
        checkpoint = element[1] if isinstance(element, tuple) else element
        if FileSystems.get_scheme(self._uri) is None:
            yield CheckpointStore(self._uri).write(checkpoint)
            return
        path = FileSystems.join(self._uri, *relative_path(checkpoint).split("/"))
        folder, name = FileSystems.split(path)
        # The store passes over names with a dot: a writer that was killed leaves only such a one.
        temporary = FileSystems.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
        if not FileSystems.exists(folder):
            FileSystems.mkdirs(folder)
        with FileSystems.create(temporary, "application/octet-stream") as file:
            file.write(checkpoint.to_parquet_bytes())
        if FileSystems.exists(path):
            FileSystems.delete([path])
        FileSystems.rename([temporary], [path])
        yield path


def _checked_features(features: Sequence[str] | int | None) -> Sequence[str] | int | None:
    if features is None:
        return None
    if isinstance(features, int) and not isinstance(features, bool) and features > 0:
        return features
    if isinstance(features, str) or not isinstance(features, Sequence):
        raise ValueError(
            f"features={features!r} is not accepted: give a list of names, or how many features "
            "there are"
        )
    names = [str(name) for name in features]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"features={names} is not accepted: give each name once, at least one")
    return names


def _refuse(options: dict[str, Any]) -> None:
    """Options that moments which are merged in any order cannot follow."""
    for name, plain in (
        ("forgetting_factor", 1.0),
        ("half_life", None),
        ("missing", "error"),
        ("solver", "exact"),
        ("optimizer", None),
    ):
        if options.get(name, plain) != plain:
            raise ValueError(
                f"{name}={options[name]!r} is not available in Beam: workers reduce rows to "
                "moments in any order, and this depends on the order of the rows"
            )
    if options.get("memory") == "minibatch":
        raise ValueError("memory='minibatch' cannot be merged: use 'dense', 'factored' or 'auto'")
