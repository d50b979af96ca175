"""What `streampca score` counts of the rows of each model, and says of them at the end."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from typing import Any

import numpy as np

from streampca import Checkpoint
from streampca.cli import output
from streampca.cli.describe import feature_names
from streampca.cli.events import EventLog, event_table
from streampca.cli.rules import settled
from streampca.monitor import METHODS, Monitor, Rules, in_limits
from streampca.monitor import Watch as Events
from streampca.text import counted


class Watch:
    """One model's monitor with its two limits."""

    def __init__(
        self, model: Checkpoint, rules: Rules, n_components: Any = "auto", whence: str = "auto"
    ) -> None:
        self.names = feature_names(model)
        if whence == "normal":  # limits of other rows than those the model was kept with
            model = dataclasses.replace(model, calibration={})
        self.monitor = Monitor(model, n_components=n_components)
        self.key = model.key
        self._log: EventLog | None = None
        k, p = self.monitor.n_components, len(model.components)
        if n_components == "auto" and k < p:
            output.say(
                f"{self._whose} has {p} components, which leave nothing for SPE: the first {k} are "
                "used (parallel analysis); --n-components says otherwise"
            )
        self.rules = settled(self.monitor, rules, whence, self._whose)
        if whence != "normal":
            self.settle()

    @property
    def _whose(self) -> str:
        return "the model" if self.key is None else f"the model of {self.key}"

    def settle(self) -> None:
        """Take the limits, once all rows known to be normal have been seen."""
        confidence, how = self.rules.confidence, METHODS[self.rules.method]
        self.spe_limit = self.monitor.spe_limit(confidence, how[0])
        self.t2_limit = self.monitor.t2_limit(confidence, how[1])
        self._log = EventLog(Events(self.monitor, self.rules, key=self.key))

    @property
    def log(self) -> EventLog:
        """Events of its rows so far."""
        if self._log is None:  # there were no normal rows of this one
            output.say(f"no normal rows of {self.key!r}: its limits are those of theory")
            self.rules = dataclasses.replace(self.rules, method="theory")
            self.settle()
        assert self._log is not None
        return self._log

    @property
    def limits(self) -> dict[str, Any]:
        """What it holds rows against, and where that comes from."""
        method = self.rules.method
        return {"key": self.key, "spe": self.spe_limit, "t2": self.t2_limit, "method": method}

    def score(self, X: Any) -> dict[str, Any]:
        """Columns of the rows: statistics, limits, whether they alarm, and the feature."""
        _ = self.log  # which settles the limits
        found = self.monitor._against(X, self.spe_limit, self.t2_limit)
        return {
            "spe": found.spe,
            "spe_limit": np.full(len(X), found.spe_limit),
            "t2": found.t2,
            "t2_limit": np.full(len(X), found.t2_limit),
            "alarm": found.alarm,
            "statistic": np.where(found.by_spe, "spe", "t2"),
            "feature": np.array(self.names)[found.feature],
            "contribution": found.share,
        }


class Tally:
    """Counts of all rows, and the worst of them."""

    def __init__(self, most: int) -> None:
        self.n_rows = self.n_alarms = self.n_spe = self.n_t2 = 0
        self._most = most
        self._worst: list[tuple[float, int, dict[str, Any]]] = []
        self._order = itertools.count(0, -1)

    def add(self, scores: dict[str, Any], label: Any, key: Any) -> None:
        """Count scored rows; `label` and `key` say what a row is called and whose it is."""
        spe, t2, alarm = scores["spe"], scores["t2"], scores["alarm"]
        self.n_rows += len(alarm)
        self.n_alarms += int(alarm.sum())
        self.n_spe += int((spe > scores["spe_limit"]).sum())
        self.n_t2 += int((t2 > scores["t2_limit"]).sum())
        over = np.fmax(
            in_limits(spe, float(scores["spe_limit"][0])),
            in_limits(t2, float(scores["t2_limit"][0])),
        )
        over = np.where(alarm, over, -1.0)
        for row in np.argsort(-over, kind="stable")[: self._most].tolist():
            if over[row] < 0:
                break
            file, name = label(row)
            values = {k: v[row].item() for k, v in scores.items() if k != "alarm"}
            found = {"file": file, "row": name, "key": key, **values}
            entry = (float(over[row]), next(self._order), found)
            (heapq.heappush if len(self._worst) < self._most else heapq.heappushpop)(
                self._worst, entry
            )

    @property
    def worst(self) -> list[dict[str, Any]]:
        """Alarms, the farthest beyond its limit first."""
        return [found for *_, found in sorted(self._worst, key=lambda e: e[:2], reverse=True)]


def report(tally: Tally, watches: list[Watch], n_bad: int, show: int, *, json: bool) -> None:
    """Say what alarmed, and which events that makes."""
    worst = tally.worst[:show]
    events = [event for watched in watches for event in watched.log.events]
    n_events = sum(watched.log.n_events for watched in watches)
    rules = watches[0].rules
    confidence = rules.confidence
    if json:
        limits = [w.limits for w in watches]
        output.as_json(
            {
                "n_rows": tally.n_rows,
                "n_bad_rows": n_bad,
                "confidence": confidence,
                "limits": limits,
                "n_alarms": tally.n_alarms,
                "n_spe_alarms": tally.n_spe,
                "n_t2_alarms": tally.n_t2,
                "rules": rules.as_dict(),
                "n_events": n_events,
                "events": events,
                "alarms": worst,
            }
        )
        return
    if worst:
        left = ["row", "feature", "its part"]
        made = output.Table("The worst alarms", left, ["SPE", "limit", "T²", "limit"])
        for each in worst:
            numbers = (each[name] for name in ("spe", "spe_limit", "t2", "t2_limit"))
            where = f"{each['file']}, {each['row']}"
            part = f"{each['contribution']:.0%} of {'SPE' if each['statistic'] == 'spe' else 'T²'}"
            made.add_row(where, each["feature"], part, *(f"{number:.4g}" for number in numbers))
        made.show()
    if events and show:
        event_table(events, show).show()
    share = tally.n_alarms / tally.n_rows
    output.text(
        f"{counted(tally.n_rows, 'row')}, {counted(tally.n_alarms, 'alarm')} ({share:.2%}): "
        f"{tally.n_spe:,} by SPE, "
        f"{tally.n_t2:,} by T²; {counted(n_events, 'event')}; limits at {confidence:.4g} "
        + _whence(watches)
        + (f"; {n_bad:,} bad" if n_bad else "")
    )


def _whence(watches: list[Watch]) -> str:
    """Where limits come from, in words."""
    calm = [w for w in watches if w.rules.method == "empirical"]
    if not calm:
        return "from theory"
    rows = f"from {counted(sum(w.monitor.n_calibrated for w in calm), 'normal row')}"
    return rows if len(calm) == len(watches) else f"{rows} or from theory"
