"""When single readings make an alarm: rules as data, the same in every face.

Knows nothing of models and rows; `events` applies them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from streampca.rows import is_whole
from streampca.text import nearest


@dataclasses.dataclass(frozen=True)
class Rules:
    """When readings of SPE and T^2 open an event, and when it is over.

    A row is *out* where either statistic is above its limit. By default every row that is out
    opens an event, which the first row within the limits ends.

    Parameters
    ----------
    confidence : float, default=0.99
        Share of normal rows within a limit.
    k, n : int, default=1
        An event opens when k of the last n rows were out; it starts with the first of them.
    hold_off : int, default=1
        Rows in sequence without any that is out, after which an event is over. A shorter pause
        belongs to it.
    release : float, default=1.0
        Hysteresis: an open event goes on while a statistic is above this share of its limit.
    ewma : float, optional
        Weight of a new row in the running mean that is compared with limits of its own, in place of
        the rows themselves: 0.2 sees small shifts that last, and passes over single rows.
    method : {"theory", "empirical"}, default="theory"
        Where limits come from: Gaussian rows, or rows that the monitor was calibrated with.
    limits : mapping, optional
        Limits of single keys, ``{"press 4": {"spe": 3.2, "t2": 20.0}}``, in place of those; one of
        the two may be left out. They are of what the rules judge: with `ewma`, of the mean.

    Examples
    --------
    >>> Rules.read("k=3, n=5, hold_off=10")
    Rules(k=3, n=5, hold_off=10)
    >>> Rules.read({"k": 3})
    Traceback (most recent call last):
        ...
    ValueError: rules: k=3 of n=1 rows can never be: give n of at least 3
    """

    confidence: float = 0.99
    k: int = 1
    n: int = 1
    hold_off: int = 1
    release: float = 1.0
    ewma: float | None = None
    method: str = "theory"
    limits: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("k", "n", "hold_off"):
            value = getattr(self, name)
            if not is_whole(value) or not 1 <= int(value) <= 1_000_000:
                _refuse(name, value, "a whole number of at least 1")
            object.__setattr__(self, name, int(value))
        if self.k > self.n:
            raise ValueError(
                f"rules: k={self.k} of n={self.n} rows can never be: give n of at least {self.k}"
            )
        if not _is_within(self.confidence, 1) or self.confidence == 1:
            _refuse("confidence", self.confidence, "a share such as 0.99")
        if not _is_within(self.release, 1):
            _refuse("release", self.release, "a share of the limit, above 0 and at most 1")
        if self.ewma is not None and not _is_within(self.ewma, 1):
            _refuse("ewma", self.ewma, "the weight of a new row, above 0 and at most 1")
        if self.method not in ("theory", "empirical"):
            _refuse("method", self.method, "one of theory, empirical")
        object.__setattr__(self, "limits", _checked_limits(self.limits))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"Rules({shown})"

    def as_dict(self) -> dict[str, Any]:
        """What differs from the default, as JSON values; `Rules.read` is the way back."""
        default = {field.name: field.default for field in dataclasses.fields(self)}
        found = {name: getattr(self, name) for name in default}
        found["limits"] = {key: dict(of) for key, of in self.limits.items()}
        return {
            name: value
            for name, value in found.items()
            if (value if name == "limits" else value != default[name])
        }

    @classmethod
    def read(cls, given: Rules | Mapping[str, Any] | str | None) -> Self | Rules:
        """Rules of a mapping, of text such as "k=3, n=5", of a JSON file, or the default (None).

        Raises
        ------
        ValueError
            Naming the rule that is not accepted, and the nearest name where there is none of it.
        """
        if given is None or isinstance(given, Rules):
            return given or cls()
        if isinstance(given, str):
            given = _of_text(given)
        if not isinstance(given, Mapping):
            raise ValueError(f"rules={given!r} are not accepted: give a mapping such as {{'k': 3}}")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                near = nearest(str(name), known)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
                raise ValueError(f"rules: there is no {name!r}; {hint}")
        return cls(**given)


def _of_text(text: str) -> Any:
    if text.strip().endswith(".json"):
        try:
            return json.loads(Path(text.strip()).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"rules: {text} cannot be read: {error}") from None
    found: dict[str, Any] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not value:
            raise ValueError(f"rules: {part!r} is no rule; write k=3, n=5 or name a .json file")
        if name in found:
            raise ValueError(f"rules: {name} is given twice")
        found[name] = _number(value)
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _is_within(value: Any, most: float) -> bool:
    """Whether it is a number above 0 and at most `most`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 < value <= most


def _checked_limits(given: Any) -> dict[str, dict[str, float]]:
    if not isinstance(given, Mapping):
        _refuse("limits", given, "a mapping such as {'press 4': {'spe': 3.2}}")
    found: dict[str, dict[str, float]] = {}
    for key, of in given.items():
        if not isinstance(of, Mapping) or not of or set(of) - {"spe", "t2"}:
            _refuse(f"limits of {key!r}", of, "a mapping of spe, t2, or both")
        for name, value in of.items():
            if not _is_within(value, math.inf):
                _refuse(f"limits of {key!r}: {name}", value, "a number above 0")
        found[str(key)] = {name: float(value) for name, value in of.items()}
    return found


def _refuse(name: str, value: Any, accepted: str) -> None:
    raise ValueError(f"rules: {name}={value!r} is not accepted: give {accepted}")
