"""A checkpoint as bytes that are cheap to make: for state that is written again and again.

A tenth of the time of Arrow columns that anybody can read, which nobody reads here. What a model
and its next checkpoint have in common (key, names, settings) stands in the header, what changes in
arrays, so that the header is the same each time and made once (wire/arrays.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint.columns import as_checkpoint_error
from streampca.checkpoint.drift import Drift
from streampca.checkpoint.fields import freeze
from streampca.checkpoint.record import Checkpoint
from streampca.checkpoint.table import COMPONENTS_TOO, are_components
from streampca.checkpoint.values import NUMBERS, VECTORS
from streampca.wire import Wire, WireError, decode, encode

__all__ = ["from_state", "to_state"]

_KIND = "model"
_WHOLE = ("window_start", "window_end", "sequence", "n_samples_seen")
_GROUPS = ("moments", "calibration")


def to_state(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as sealed bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from streampca import StreamingPCA
    >>> checkpoint = StreamingPCA(1).partial_fit(np.eye(3)).checkpoint(key=4, window_end=60)
    >>> from_state(to_state(checkpoint)) == checkpoint
    True
    """
    fields = vars(checkpoint)
    whole = [fields[name] for name in _WHOLE]
    arrays: dict[str, NDArray[Any]] = {
        "whole": np.array([each or 0 for each in whole] + [each is not None for each in whole]),
        "late": np.array(checkpoint.late),
        "real": np.array([fields[name] for name in NUMBERS]),
        "components": checkpoint.components,
    }
    arrays |= {name: fields[name] for name in VECTORS}
    if not are_components(fields):
        arrays |= {name: fields[name] for name in COMPONENTS_TOO}
    if checkpoint.scale is not None:
        arrays["scale"] = checkpoint.scale
    if checkpoint.effective_rows is not None:
        arrays["effective_rows"] = np.array(checkpoint.effective_rows)
    if checkpoint.drift is not None:
        arrays["drift"] = np.array([checkpoint.drift.angle, *checkpoint.drift.cosines])
    for group in _GROUPS:
        arrays |= {f"{group}/{name}": array for name, array in fields[group].items()}
    names = checkpoint.feature_names
    meta = {
        "key": checkpoint.key,
        "feature_names": None if names is None else list(names),
        "settings": checkpoint.settings,
        "moments_kind": checkpoint.moments_kind,
    }
    return encode(_KIND, arrays, meta, packed=True)


def from_state(data: bytes) -> Checkpoint:
    """Read what `to_state` wrote, or `Checkpoint.to_bytes`, as versions before wrote state.

    Raises
    ------
    CheckpointError
        If it is torn, changed, foreign, or written by a newer streampca.
    """
    try:
        wire = decode(data, kind=_KIND)
    except WireError:
        return Checkpoint.from_bytes(data)
    with as_checkpoint_error("state"):
        return Checkpoint(**_fields(wire))


def _fields(wire: Wire) -> dict[str, Any]:
    arrays, meta = {name: freeze(a) for name, a in wire.arrays.items()}, wire.meta
    values, there = np.split(arrays.pop("whole"), 2)
    found: dict[str, Any] = {
        name: int(value) if is_there else None
        for name, value, is_there in zip(_WHOLE, values, there, strict=True)
    }
    found |= {name: float(v) for name, v in zip(NUMBERS, arrays.pop("real"), strict=True)}
    found["late"] = bool(arrays.pop("late"))
    drift = arrays.pop("drift", None)
    found["drift"] = None if drift is None else Drift(float(drift[0]), freeze(drift[1:].copy()))
    for group in _GROUPS:
        mine = [name for name in arrays if name.startswith(f"{group}/")]
        found[group] = {name.partition("/")[2]: arrays.pop(name) for name in mine}
    components = arrays["components"]
    found |= {"decoder": freeze(np.ascontiguousarray(components.T)), "encoder": components}
    names = meta["feature_names"]
    return found | arrays | meta | {"feature_names": None if names is None else tuple(names)}
