"""`streampca score`: SPE and T^2 of rows against their control limits, and which feature it is."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np
import typer

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli.describe import feature_names
from streampca.cli.transform import Files, Keep, Place, _chosen, refuse_inputs
from streampca.cli.using import Using
from streampca.cli.writer import Writer
from streampca.files import BadRows, Source, names, no_rows
from streampca.files import options as table
from streampca.monitor import Monitor, in_limits

__all__ = ["score"]


class Watch:
    """One model's monitor with its two limits."""

    def __init__(self, model: Checkpoint, confidence: float, n_components: Any = "auto") -> None:
        self.names = feature_names(model)
        self.monitor = Monitor(model, n_components=n_components)
        k, p = self.monitor.n_components, len(model.components)
        if n_components == "auto" and k < p:
            whose = "the model" if model.key is None else f"the model of {model.key}"
            output.say(
                f"{whose} has {p} components, which leave nothing for SPE: the first {k} are used "
                "(parallel analysis); --n-components says otherwise"
            )
        self.key = model.key
        self.spe_limit = self.monitor.spe_limit(confidence)
        self.t2_limit = self.monitor.t2_limit(confidence)

    def score(self, X: Any) -> dict[str, Any]:
        """Columns of the rows: statistics, limits, whether they alarm, and the feature."""
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
        over = np.maximum(
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


@options.with_options(*table.READING)
def score(
    place: Place,
    files: Files,
    target: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Scores of all rows: .csv, .jsonl, .parquet, -."
        ),
    ] = None,
    key: options.KeyOption = None,
    at: options.At = None,
    keep: Keep = None,
    confidence: Annotated[
        float, typer.Option(metavar="SHARE", help="Of normal rows that lie within a limit.")
    ] = 0.99,
    n_components: Annotated[
        str | None,
        typer.Option(
            "--n-components",
            "-n",
            metavar="P",
            help="How many of the model's to use, or the share of the variance, or parallel; "
            "default: all, or by parallel analysis where all leave nothing for SPE.",
        ),
    ] = None,
    normal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Rows known to be normal: limits are taken from them instead."
        ),
    ] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Alarms to show, the worst.")] = 10,
    fail_on_alarm: Annotated[
        bool, typer.Option("--fail-on-alarm", help="Exit code 1 if any row alarms.")
    ] = False,
    output_format: Annotated[
        str | None, typer.Option(metavar="csv|jsonl|parquet", help="By default by the suffix.")
    ] = None,
    json: options.Json = False,
    *,
    asked: dict[str, Any],
) -> None:
    """Find rows that are unlike those learned from, and the feature that makes them so."""
    if not 0 < confidence < 1:
        raise typer.BadParameter(f"--confidence {confidence}: give a share such as 0.99")
    if json and target == "-":
        raise typer.BadParameter("--json and --output - both want stdout; give --output FILE")
    bad_rows = str(asked.pop("bad_rows", "fail"))
    form = asked.get("input_format")
    sources, calm = names.find(files, form), names.find(normal, form) if normal else []
    refuse_inputs([*sources, *calm], place, target, bad_rows)
    using = Using(place, key, at, asked, moments=True)
    kept = options.names(keep) or []
    kept_components = options.number_or_share(n_components) or "auto"
    watches: dict[int, Watch] = {}
    tally = Tally(max(show, 1))

    def watch(model: Checkpoint) -> Watch:
        if id(model) not in watches:
            watches[id(model)] = Watch(model, confidence, kept_components)
        return watches[id(model)]

    def rows_of(source: Source) -> Any:
        found = using.columns(source, kept=kept, gaps=False)
        return using.read(source, found, bad)

    with ExitStack() as stack:
        bad = stack.enter_context(BadRows(bad_rows))
        if normal:
            _calibrate(calm, rows_of, watch, confidence)
        writer = None
        if target is not None:
            writer = stack.enter_context(Writer(target, output_format))
        for source in sources:
            for rows, groups in rows_of(source):
                out: dict[str, Any] = {}
                known = np.zeros(len(rows.values), bool)
                for model, where, values in groups:
                    scores = watch(model).score(values)
                    places = np.arange(len(rows.values))[where]
                    known[places] = True
                    labels = _labels(source, rows, places)
                    tally.add(scores, labels, model.key)
                    _put(out, scores, places, len(rows.values))
                if writer is not None and out:
                    first = {name: _chosen(column, known) for name, column in rows.kept.items()}
                    if rows.keys is not None and asked["key_column"] not in first:
                        first[str(asked["key_column"])] = _chosen(rows.keys, known)
                    writer.write(first | {name: column[known] for name, column in out.items()})
        if tally.n_rows == 0:
            raise ValueError(no_rows(sources, bad.count))
    if target != "-":
        _report(tally, list(watches.values()), confidence, bad.count, show, json=json)
    if fail_on_alarm and tally.n_alarms:
        raise typer.Exit(1)


def _labels(source: Source, rows: Any, places: Any) -> Any:
    return lambda row: (source.name, rows.label(int(places[row])))


def _put(out: dict[str, Any], scores: dict[str, Any], places: Any, n_rows: int) -> None:
    """Scores of some rows into columns of all."""
    for name, column in scores.items():
        if name not in out:
            kind = object if column.dtype.kind == "U" else column.dtype
            out[name] = np.zeros(n_rows, kind)
        out[name][places] = column


def _calibrate(sources: Sequence[Source], rows_of: Any, watch: Any, confidence: float) -> None:
    """Take limits from rows known to be normal."""
    calibrated = {}
    for source in sources:
        for _, groups in rows_of(source):
            for model, _, values in groups:
                watched = watch(model)
                watched.monitor.calibrate(values)
                calibrated[id(watched)] = watched
    for watched in calibrated.values():
        watched.spe_limit = watched.monitor.spe_limit(confidence, "empirical")
        watched.t2_limit = watched.monitor.t2_limit(confidence, "empirical")


def _report(
    tally: Tally, watches: list[Watch], confidence: float, n_bad: int, show: int, *, json: bool
) -> None:
    worst = tally.worst[:show]
    if json:
        limits = [{"key": w.key, "spe": w.spe_limit, "t2": w.t2_limit} for w in watches]
        output.as_json(
            {
                "n_rows": tally.n_rows,
                "n_bad_rows": n_bad,
                "confidence": confidence,
                "limits": limits,
                "n_alarms": tally.n_alarms,
                "n_spe_alarms": tally.n_spe,
                "n_t2_alarms": tally.n_t2,
                "alarms": worst,
            }
        )
        return
    if worst:
        left = ["row", "feature", "its part"]
        made = output.table("The worst alarms", left, ["SPE", "limit", "T²", "limit"])
        for each in worst:
            numbers = (each[name] for name in ("spe", "spe_limit", "t2", "t2_limit"))
            where = f"{each['file']}, {each['row']}"
            part = f"{each['contribution']:.0%} of {'SPE' if each['statistic'] == 'spe' else 'T²'}"
            made.add_row(where, each["feature"], part, *(f"{number:.4g}" for number in numbers))
        output.show(made)
    share = tally.n_alarms / tally.n_rows
    output.text(
        f"{tally.n_rows:,} rows, {tally.n_alarms:,} alarms ({share:.2%}): {tally.n_spe:,} by SPE, "
        f"{tally.n_t2:,} by T²; limits at {confidence:.4g}" + (f"; {n_bad:,} bad" if n_bad else "")
    )
