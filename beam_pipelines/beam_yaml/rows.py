"""The outputs of transforms of Beam YAML, in the types that every language of Beam has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from apache_beam.coders import RowCoder
from apache_beam.coders.typecoders import registry

from beam_pipelines.rows import BadRow
from streampca.checkpoint import Checkpoint


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
    scale: Sequence[float]  # none where features have their own units


class BadYamlRow(NamedTuple):
    """A row that could not be used."""

    key: Optional[str]  # noqa: UP045
    reason: str
    element: str  # as JSON


registry.register_coder(CheckpointRow, RowCoder)
registry.register_coder(BadYamlRow, RowCoder)


def fields_of(row: Any, key: str | None, features: Sequence[str] | None) -> Any:
    """The key and those features that the row has (None: all but the key).

    What is missing is for the reader to say.
    """
    values = row._asdict()
    wanted = [name for name in values if name != key] if features is None else features
    found = {name: values[name] for name in wanted if name in values}
    if key is None:
        return found
    if key not in values:
        raise ValueError(f"the row has no field {key!r} for its key; it has {', '.join(values)}")
    return values[key], found


def as_row(keyed: tuple[Any, Checkpoint]) -> CheckpointRow:
    """Return a checkpoint as a plain row."""
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
        scale=[] if found.scale is None else found.scale.tolist(),
    )


def as_bad(bad: BadRow) -> BadYamlRow:
    """Return a row that could not be used as a plain row."""
    key = None if bad.key is None else str(bad.key)
    return BadYamlRow(key, bad.reason, json.dumps(bad.element, default=str))
