"""Single values of a checkpoint as its columns hold them, and the checksum of all."""

from __future__ import annotations

import functools
import json
import sys
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streampca import wire
from streampca.checkpoint.fields import freeze
from streampca.wire import WireError

__all__ = [
    "MATRICES",
    "NUMBERS",
    "SCALARS",
    "VECTORS",
    "calibration_bytes",
    "calibration_of",
    "checksum",
    "key_of",
    "settings_of",
    "settings_text",
]

NUMBERS = ("weight", "total_variance", "discarded_variance")
SCALARS = ("sequence", "late", "n_samples_seen", *NUMBERS)
VECTORS = ("mean", "explained_variance", "explained_variance_ratio", "residuals")
MATRICES = ("components", "decoder", "encoder")
_LITTLE = sys.byteorder == "little"


def calibration_bytes(checkpoint: Mapping[str, Any]) -> bytes | None:
    """What rows known to be normal said, sealed on its own; None where there is none."""
    arrays = checkpoint["calibration"]
    return wire.encode("calibration", arrays, {}) if arrays else None


def calibration_of(column: pa.Array | None, row: int = 0) -> dict[str, NDArray[Any]]:
    """The same of a row of a column, which files of older versions lack."""
    if column is None or not column[row].is_valid:
        return {}
    found = wire.decode(memoryview(column[row].as_buffer()), kind="calibration").arrays
    return {name: freeze(array) for name, array in found.items()}


def key_of(text: str | None, kind: str) -> str | int | None:
    """The key of a text and the type that stands beside it."""
    match kind, text:
        case "none", None:
            return None
        case "str", str():
            return text
        case "int", str() if len(text) < 1000 and text.removeprefix("-").isdecimal():
            return int(text)
    raise WireError(
        f"key {str(text)[:80]!r} is not of the type {kind[:80]!r} that stands beside it"
    )


def settings_of(text: str) -> dict[str, Any]:
    """Settings from JSON."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"its settings are not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise WireError("its settings are not a JSON object")
    return settings


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as JSON, made once: those of one job are the same in each of its checkpoints."""
    # 1, 1.0 and True are one key of a dictionary, and so are 0.0 and -0.0
    values = tuple(v.hex() if type(v) is float else v for v in settings.values())
    try:
        return _settings_text(tuple(settings), values, tuple(map(type, settings.values())))
    except TypeError:  # lists and the like cannot be looked up
        return json.dumps(settings, allow_nan=False)


@functools.lru_cache(maxsize=256)
def _settings_text(names: tuple[str, ...], values: tuple[Any, ...], types: tuple[type, ...]) -> str:
    found = {
        name: float.fromhex(value) if kind is float else value
        for name, value, kind in zip(names, values, types, strict=True)
    }
    return json.dumps(found, allow_nan=False)


def checksum(checkpoint: Mapping[str, Any]) -> int:
    """CRC-32 of every value but the moments; the same before writing and after reading."""
    drift = checkpoint["drift"]
    names = (*SCALARS, "key", "window_start", "window_end", "feature_names", "moments_kind")
    text = [repr(checkpoint[name]) for name in names] + [settings_text(checkpoint["settings"])]
    arrays = [checkpoint[name] for name in (*VECTORS, *MATRICES)]
    if checkpoint["effective_rows"] is not None:
        text.append(f"effective_rows {checkpoint['effective_rows']!r}")
    if drift is not None:
        text.append(repr(drift.angle))
        arrays.append(drift.cosines)
    if checkpoint["scale"] is not None:
        arrays.append(checkpoint["scale"])
    total = zlib.crc32("\n".join(text).encode())
    for array in arrays:
        total = zlib.crc32(_shape_and_type(array.shape, array.dtype), total)
        if not _LITTLE:
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total = zlib.crc32(array.data, total)
    return total


@functools.lru_cache(maxsize=1024)
def _shape_and_type(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """As the checksum has them; names of types take numpy a while."""
    return repr((shape, dtype.name)).encode()
