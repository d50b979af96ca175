"""What each field of a checkpoint may be; every check names the field and its value."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.rows import is_whole

__all__ = [
    "Key",
    "array",
    "calibration",
    "count",
    "equal",
    "finite",
    "freeze",
    "key",
    "microseconds",
    "names",
    "own",
    "real",
    "real_or_none",
    "scale",
    "settings",
    "time_text",
]

Key = str | int | None

_MOST_BITS = 3300
"""Fewer than a thousand decimal digits, sign included, which is what is read."""


def key(value: Any) -> Key:
    """Text, a whole number that can be read back, or None."""
    if is_whole(value):
        if int(value).bit_length() > _MOST_BITS:
            raise ValueError(
                f"key is a whole number of {int(value).bit_length()} bits, and no more than "
                f"{_MOST_BITS} can be read back: convert it to text"
            )
        return int(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"key must be a str, an int or None, not {value!r}: convert it to text")
    return _text("key", value)


def time(name: str, value: Any) -> int | None:
    """Microseconds that fit an Arrow timestamp; its smallest value would be read as missing."""
    if isinstance(value, datetime.datetime):
        value = microseconds(value)
    return None if value is None else _whole(name, value, least=-(2**63) + 1)


def microseconds(time: int | datetime.datetime) -> int:
    """A time that somebody asks for: microseconds, or a datetime with a time zone."""
    if isinstance(time, datetime.datetime):
        if time.tzinfo is None:
            raise ValueError(f"time {time} has no time zone: give one, such as datetime.UTC")
        since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return since // datetime.timedelta(microseconds=1)
    if isinstance(time, bool) or not isinstance(time, int):
        raise ValueError(f"time must be microseconds as an int, or a datetime, not {time!r}")
    return time


def count(name: str, value: Any) -> int:
    """A whole number of at least 0."""
    return _whole(name, value, least=0)


def real(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
    return number


def real_or_none(name: str, value: Any) -> float | None:
    """A finite number of at least 0, where it is known."""
    return None if value is None else real(name, value)


def names(value: Any, n_features: int) -> tuple[str, ...] | None:
    """One name for each feature, no two the same."""
    if value is None:
        return None
    found = tuple(value)
    if len(found) != n_features:
        raise ValueError(f"{len(found)} feature names for {n_features} features")
    for name in found:
        if not isinstance(name, str):
            raise ValueError(f"feature names must be text, not {name!r}")
        _text("feature name", name)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"feature name {twice!r} stands for more than one feature")
    return found


def array(name: str, value: Any, shape: tuple[int, ...], dtype: str | None = None) -> NDArray[Any]:
    """Finite float32 or float64 numbers of this shape, in C order."""
    given = np.asarray(value, dtype)
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {given.shape}")
    if given.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, not {given.dtype}")
    return own(name, np.ascontiguousarray(given))


def scale(value: Any, n_features: int) -> NDArray[np.float64] | None:
    """What each feature is divided by, where it is."""
    found = None if value is None else array("scale", value, (n_features,), "float64")
    if found is not None and not (found > 0).all():
        raise ValueError("scale must hold numbers above 0")
    return found


def own(name: str, value: Any) -> NDArray[Any]:
    """Finite numbers that nobody can write to: as they are if nobody could, else a copy."""
    found = np.asarray(value)
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers or booleans, not {found.dtype}")
    if found.dtype.kind == "f" and not finite(found):
        raise ValueError(f"{name} holds NaN or infinity")
    below: Any = found
    while isinstance(below, np.ndarray) and not below.flags.writeable:
        below = below.base
    return found if below is None else freeze(found.copy(order="K"))


_ZEROS = {"f": np.zeros(2**12, "float32"), "d": np.zeros(2**12, "float64")}


def finite(found: NDArray[Any]) -> bool:
    """Whether all numbers are finite: zero times NaN or infinity is NaN, times others zero.

    A checkpoint has some 17 arrays, mostly of a few numbers: isfinite and all take 5 microseconds.
    """
    zeros = _ZEROS.get(found.dtype.char)
    if zeros is None or found.size > len(zeros):
        return bool(np.isfinite(found).all())
    return bool(np.vdot(found.ravel("K"), zeros[: found.size]) == 0)  # dot would warn


def calibration(value: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Sketches by name: (2, k) values in order, and how many rows stand for each."""
    found: dict[str, NDArray[Any]] = {}
    for name, sketch in value.items():
        clusters = own(f"calibration {name!r}", np.asarray(sketch, "float64"))
        if clusters.ndim != 2 or len(clusters) != 2 or clusters.shape[1] == 0:
            raise ValueError(f"calibration {name!r} must have shape (2, k), not {clusters.shape}")
        if (np.diff(clusters[0]) < 0).any() or not (clusters[1] > 0).all():
            raise ValueError(f"calibration {name!r} must hold values in order and their counts")
        found[str(name)] = clusters
    return found


def freeze(value: NDArray[Any]) -> NDArray[Any]:
    """The array itself, from now on read-only, and all that it is a view of."""
    below: Any = value
    while isinstance(below, np.ndarray):
        below.flags.writeable = False
        below = below.base
    return value


def settings(value: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values by name; numpy numbers become Python's."""

    def plain(number: Any) -> Any:
        if isinstance(number, np.generic):
            return number.item()
        raise TypeError(f"{number!r} is no JSON value")

    found: dict[str, Any] = {}
    for name, setting in value.items():
        # JSON as they are
        kind = type(setting)
        if (
            setting is None
            or kind in (bool, str, int)
            or (kind is float and math.isfinite(setting))
        ):
            found[str(name)] = setting
            continue
        try:
            found[str(name)] = json.loads(json.dumps(setting, default=plain, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"setting {name!r} cannot be stored as JSON: {error}") from error
    return found


def equal(left: Any, right: Any) -> bool:
    """Equal in type, shape and bits of every number."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def _whole(name: str, value: Any, least: int) -> int:
    if not is_whole(value):
        unit = "; give UTC microseconds, or a datetime with a time zone"
        unit = unit if name.startswith("window_") else ""
        raise ValueError(f"{name} must be a whole number, not {value!r}{unit}")
    if not least <= int(value) < 2**63:
        raise ValueError(f"{name} must lie between {least} and {2**63 - 1}, not {value}")
    return int(value)


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} {value!r} cannot be written as UTF-8: {error.reason}") from error
    return str(value)


def time_text(microseconds: int | None) -> str | None:
    """A time in UTC, to the second where there is no fraction.

    Examples
    --------
    >>> time_text(60_000_000), time_text(60_500_000), time_text(None)
    ('1970-01-01T00:01:00Z', '1970-01-01T00:01:00.500000Z', None)
    """
    if microseconds is None:
        return None
    return f"{np.datetime64(microseconds, 'us')}".removesuffix(".000000") + "Z"
