"""The limits that rules use: of single rows or of running means, in terms of a monitor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streampca.monitor import limits
from streampca.monitor.calibration import METHODS
from streampca.monitor.events import Levels
from streampca.monitor.monitor import Monitor
from streampca.monitor.rules import Rules


def levels_of(monitor: Monitor, rules: Rules, key: Any = None) -> Levels:
    """Limits of what rules judge, and what SPE and T^2 are on average.

    `key` says whose rows they are: rules may have limits of single keys.
    """
    spe, t2 = _limits(monitor, rules, rules.limits.get(str(key), {}))
    mean_t2 = limits.hotelling_moments(monitor.statistics.n_kept, monitor.n_rows)[0]
    return Levels(spe, t2, monitor.statistics.expected_spe, mean_t2)


def _limits(monitor: Monitor, rules: Rules, own: Mapping[str, float]) -> tuple[float, float]:
    if "spe" in own and "t2" in own:
        return own["spe"], own["t2"]
    if rules.ewma is None:
        of_spe, of_t2 = METHODS[rules.method]
        spe = monitor.spe_limit(rules.confidence, of_spe)
        t2 = monitor.t2_limit(rules.confidence, of_t2)
    elif rules.method == "empirical":
        spe, t2 = monitor.smooth_limits(rules.confidence, rules.ewma)
    else:
        spe, t2 = _smooth(monitor, rules.confidence, rules.ewma)
    return own.get("spe", spe), own.get("t2", t2)


def _smooth(monitor: Monitor, confidence: float, weight: float) -> tuple[float, float]:
    monitor.spe_limit(confidence)  # raises where nothing is left out
    rest = monitor.left_out
    of_spe = float(rest.sum()), 2.0 * float((rest**2).sum())
    of_t2 = limits.hotelling_moments(monitor.statistics.n_kept, monitor.n_rows)
    return (
        limits.smoothed(*of_spe, weight, confidence),
        limits.smoothed(*of_t2, weight, confidence),
    )
