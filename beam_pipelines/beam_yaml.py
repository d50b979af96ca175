"""LearnComponents for Beam YAML: fields of rows in, checkpoints as plain rows out.

Name it in a pipeline's file as a provider, on machines that have streampca installed::

    providers:
      - type: python
        config: {}
        transforms:
          LearnComponents: beam_pipelines.beam_yaml.LearnComponents
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import apache_beam as beam
from apache_beam.coders import RowCoder
from apache_beam.coders.typecoders import registry

from beam_pipelines import transforms
from beam_pipelines.rows import BadRow
from beam_pipelines.stores import WriteCheckpoints
from streampca import Checkpoint


class CheckpointRow(NamedTuple):
    """A checkpoint in the types that every language of Beam has; times are UTC microseconds."""

    key: Optional[str]  # noqa: UP045 - Beam reads types as they stand here
    window_start: Optional[int]  # noqa: UP045
    window_end: Optional[int]  # noqa: UP045
    sequence: int
    late: bool
    n_samples_seen: int
    weight: float
    feature_names: Sequence[str]
    mean: Sequence[float]
    components: Sequence[Sequence[float]]
    explained_variance: Sequence[float]
    explained_variance_ratio: Sequence[float]
    total_variance: float
    drift_angle: Optional[float]  # noqa: UP045


class BadYamlRow(NamedTuple):
    """A row that could not be used."""

    key: Optional[str]  # noqa: UP045
    reason: str
    element: str  # as JSON


registry.register_coder(CheckpointRow, RowCoder)
registry.register_coder(BadYamlRow, RowCoder)


class LearnComponents(beam.PTransform):
    """Ordered principal components of the rows so far, at the end of every window.

    Args:
      features: Names of the fields to learn from.
      n_components: How many components, or the share of variance to explain, such as 0.95.
      key: Name of a field: one model for each of its values.
      store: Folder or URI where the checkpoints are written as files, too.
      carry: True for the running model, false for each window's own.
      half_life: Seconds of event time in which what was learned loses half its weight.
      early_every: Seconds after which an open window is reported.
      idle_timeout: Seconds of event time after which a silent key is forgotten.
      resume_from: A store of checkpoints to go on from.
      options: Other parameters of StreamingPCA by name.
      error_handling: Name of an output for rows that cannot be used, as {"output": name}.
    """

    def __init__(
        self,
        features: Sequence[str],
        n_components: float | None = None,
        key: str | None = None,
        store: str | None = None,
        carry: bool = True,
        half_life: float | None = None,
        early_every: float | None = None,
        idle_timeout: float | None = None,
        resume_from: str | None = None,
        options: Mapping[str, Any] | None = None,
        error_handling: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        whole = isinstance(n_components, float) and n_components >= 1 and n_components % 1 == 0
        self._features = list(features)
        self._key = key
        self._store = store
        self._bad_rows = None if error_handling is None else error_handling["output"]
        self._learn = transforms.LearnComponents(
            int(n_components) if whole and n_components is not None else n_components,
            features=self._features,
            carry=carry,
            half_life=half_life,
            early_every=early_every,
            idle_timeout=idle_timeout,
            resume_from=resume_from,
            bad_rows=self._bad_rows is not None,
            **dict(options or {}),
        )

    def expand(self, rows: Any) -> Any:
        """Build the steps."""
        learned = (
            rows | "Fields" >> beam.Map(_fields, self._key, self._features) | "Learn" >> self._learn
        )
        checkpoints = learned if self._bad_rows is None else learned.checkpoints
        if self._store is not None:
            _ = checkpoints | "Write" >> WriteCheckpoints(self._store)
        found = checkpoints | "AsRows" >> beam.Map(_as_row).with_output_types(CheckpointRow)
        if self._bad_rows is None:
            return found
        bad = learned.bad_rows | "BadAsRows" >> beam.Map(_as_bad).with_output_types(BadYamlRow)
        return {"output": found, self._bad_rows: bad}


def _fields(row: Any, key: str | None, features: list[str]) -> Any:
    """The key and those features that the row has; what is missing is for the reader to say."""
    values = row._asdict()
    found = {name: values[name] for name in features if name in values}
    return found if key is None else (values.get(key), found)


def _as_row(keyed: tuple[Any, Checkpoint]) -> CheckpointRow:
    key, found = keyed
    return CheckpointRow(
        key=None if key is None else str(key),
        window_start=found.window_start,
        window_end=found.window_end,
        sequence=found.sequence,
        late=found.late,
        n_samples_seen=found.n_samples_seen,
        weight=found.weight,
        feature_names=list(found.feature_names or ()),
        mean=found.mean.tolist(),
        components=found.components.tolist(),
        explained_variance=found.explained_variance.tolist(),
        explained_variance_ratio=found.explained_variance_ratio.tolist(),
        total_variance=found.total_variance,
        drift_angle=None if found.drift is None else found.drift.angle,
    )


def _as_bad(bad: BadRow) -> BadYamlRow:
    key = None if bad.key is None else str(bad.key)
    return BadYamlRow(key, bad.reason, json.dumps(bad.element, default=str))
