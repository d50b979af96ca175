"""Options of LearnComponents: checked when the pipeline is built, carried as plain values."""

from __future__ import annotations

import dataclasses
import datetime
import math
import numbers
import os
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from apache_beam.transforms.window import GlobalWindows, Sessions, WindowFn

from beam_pipelines.learning import sizes
from beam_pipelines.learning.parameters import check, plain
from beam_pipelines.learning.running import Learning
from beam_pipelines.stores import absolute
from streampca.checkpoint import which_moments
from streampca.rows import LARGEST

_PLAIN = {
    "solver": "exact",
    "forgetting_factor": 1.0,
    "missing": "error",
    "memory": "auto",
}
"""Values with which the order of rows does not matter; memory "dense" or "factored" is as good."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of LearnComponents, checked."""

    options: dict[str, Any]  # those of StreamingPCA
    features: list[str] | int | None
    carry: bool
    half_life: float | None  # seconds
    early_every: float | None
    idle_timeout: float | None
    resume_from: str | None
    hot_key_shards: int
    bad_rows: bool
    rerun: bool = False
    moments: str | int = "all"

    @classmethod
    def checked(
        cls,
        options: dict[str, Any],
        *,
        features: Any,
        half_life: Any,
        early_every: Any,
        idle_timeout: Any,
        resume_from: Any,
        hot_key_shards: Any,
        moments: Any = "all",
        **switches: Any,
    ) -> Self:
        """Return options that fit each other.

        Raises
        ------
        ValueError
            If one is not accepted, or two contradict each other.
        """
        options, features = plain(options), _features(features)
        width = features if isinstance(features, int | None) else len(features)
        parameters = check(options, width)
        if width is not None:
            sizes.warn(parameters, width)
        if isinstance(hot_key_shards, bool) or not isinstance(hot_key_shards, int):
            hot_key_shards = 0
        if hot_key_shards < 1:
            raise ValueError("hot_key_shards must be a whole number of at least 1")
        for name, value in switches.items():
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r} is not accepted: it must be True or False")
        asked = cls(
            options=options,
            features=features,
            half_life=seconds("half_life", half_life),
            early_every=seconds("early_every", early_every),
            idle_timeout=seconds("idle_timeout", idle_timeout),
            resume_from=_store(resume_from),
            hot_key_shards=hot_key_shards,
            moments=which_moments(moments),
            **switches,
        )
        asked._check_together()
        return asked

    def _check_together(self) -> None:
        if self.rerun and self.resume_from is None:
            raise ValueError("rerun=True needs resume_from: the store of the job that is run again")
        if not self.carry and self.half_life is not None:
            raise ValueError(
                "half_life needs carry=True: a window's own components remember no other window"
            )
        if self.needs_rows:
            why = ", ".join(f"{k}={v!r}" for k, v in self.options.items() if _orders(k, v))
            if not self.carry:
                raise ValueError(
                    f"{why} needs carry=True: with the rows of one window alone it would begin "
                    "anew in each"
                )
            if self.hot_key_shards > 1:
                raise ValueError(
                    f"{why} takes the rows of a key in order: hot_key_shards must be 1"
                )

    def check_windows(self, windowfn: WindowFn) -> None:
        """Raise ValueError if the input's windows do not go with the options."""
        if self.half_life is not None and isinstance(windowfn, GlobalWindows):
            raise ValueError(
                "half_life needs windows that end: use fixed, sliding or session windows, or "
                "forgetting_factor, which counts rows"
            )
        if self.hot_key_shards > 1 and isinstance(windowfn, Sessions):
            raise ValueError(
                "hot_key_shards needs fixed, sliding or global windows: where a session ends "
                "depends on all rows of its key"
            )
        if self.early_every is not None and isinstance(windowfn, Sessions):
            raise ValueError(
                "early_every needs windows whose end is known before it comes: use fixed, sliding "
                "or global windows"
            )

    @property
    def needs_rows(self) -> bool:
        """Whether the order of the rows matters, so that moments would not do."""
        return any(_orders(name, value) for name, value in self.options.items())

    def reading(self) -> dict[str, Any]:
        """Parameters of the reader of rows."""
        single = self.options.get("dtype") == "float32"
        return {
            "features": self.features,
            "missing": self.options.get("missing", "error"),
            "largest": float(np.finfo("float32").max) if single else LARGEST,
        }

    def learning(self, allowed_lateness: Any, bounded: bool = False) -> Learning:
        """How every key learns, in microseconds."""
        lateness = allowed_lateness.micros
        idle = None if self.idle_timeout is None else max(_micros(self.idle_timeout), lateness)
        half_life = None if self.half_life is None else _micros(self.half_life)
        return Learning(
            self.options,
            self.carry,
            half_life,
            idle,
            lateness,
            self.moments,
            in_order=self.needs_rows,
            bounded=bounded,
        )

    def display_data(self) -> dict[str, Any]:
        """What a runner's console shows."""
        shown = {k: v for k, v in vars(self).items() if k != "options"} | self.options
        plain = (bool, int, float, str)
        return {k: v if isinstance(v, plain) else str(v) for k, v in shown.items() if v is not None}


def seconds(name: str, value: Any) -> float | None:
    """Seconds of a number or timedelta.

    Raises
    ------
    ValueError
        If it is neither, or not at least a microsecond.

    Examples
    --------
    >>> import datetime
    >>> seconds("half_life", datetime.timedelta(minutes=1))
    60.0
    """
    if value is None:
        return None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds() if value.total_seconds() > 0 else _not_accepted(name, value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return _not_accepted(name, value)
    given = float(value)
    return given if math.isfinite(given) and 1e-6 <= given < 1e12 else _not_accepted(name, value)


def _not_accepted(name: str, value: Any) -> float:
    raise ValueError(
        f"{name}={value!r} is not accepted: give seconds above 0, or a datetime.timedelta"
    )


def _micros(value: float) -> int:
    return round(value * 1e6)


def _orders(name: str, value: Any) -> bool:
    if name == "memory":
        return bool(value == "minibatch")
    return name in _PLAIN and value != _PLAIN[name]


def _store(resume_from: Any) -> str | None:
    if resume_from is None:
        return None
    if not isinstance(resume_from, (str, os.PathLike)):
        raise ValueError(
            f"resume_from={resume_from!r} is not accepted: give the folder or URI of a store"
        )
    return absolute(resume_from)


def _features(features: Any) -> list[str] | int | None:
    if features is None:
        return None
    if (
        isinstance(features, numbers.Integral)
        and not isinstance(features, bool)
        and int(features) > 0
    ):
        return int(features)
    if isinstance(features, (str, numbers.Integral)) or not isinstance(features, Iterable):
        raise ValueError(
            f"features={features!r} is not accepted: give a list of names, or how many features "
            "there are"
        )
    names = [str(name) for name in features]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"features={names} is not accepted: give each name once, at least one")
    return names
