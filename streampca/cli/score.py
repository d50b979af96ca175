"""`streampca score`: SPE and T^2 of rows against their control limits, and which feature it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli import rules as said_rules
from streampca.cli.progress import Course, watching
from streampca.cli.sources import sources_of
from streampca.cli.tally import Tally, Watch, report
from streampca.cli.transform import Keep, passed_on, refuse_inputs
from streampca.cli.using import Using
from streampca.cli.writer import Writer
from streampca.files import BadRows, Order, Source, check_topics, no_rows
from streampca.files import options as table


@options.with_options(*table.READING)
def score(
    place: options.Place,
    files: options.Files,
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
        options.components(
            "How many of the model's to use, or the share of the variance, or parallel; "
            "default: all, or by parallel analysis where all leave nothing for SPE."
        ),
    ] = None,
    rules: said_rules.Text = None,
    k_of_n: said_rules.KofN = None,
    hold_off: said_rules.HoldOff = None,
    release: said_rules.Release = None,
    ewma: said_rules.Ewma = None,
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
    """Find rows that are unlike those learned from.

    And the feature that makes each of them so.
    """
    if not 0 < confidence < 1:
        raise typer.BadParameter(f"--confidence {confidence}: give a share such as 0.99")
    if json and target == "-":
        raise typer.BadParameter("--json and --output - both want stdout; give --output FILE")
    bad_rows = str(asked.pop("bad_rows", "fail"))
    form = asked.get("input_format")
    sources, calm = (sources_of(some, form, place) if some else [] for some in (files, normal))
    check_topics([*calm, *sources], asked, table.flag)
    refuse_inputs([*sources, *calm, place], target, bad_rows)
    using = Using(place, key, at, asked, moments=True)
    single = {"k_of_n": k_of_n, "hold_off": hold_off, "release": release, "ewma": ewma}
    how, whence = said_rules.read_rules(rules, single, confidence, bool(normal))
    kept = options.names(keep) or []
    kept_components = using.checked(options.number_or_share(n_components))
    watches: dict[int, Watch] = {}
    tally, order = Tally(max(show, 1)), Order()

    def watch(model: Checkpoint) -> Watch:
        if id(model) not in watches:
            watches[id(model)] = Watch(model, how, kept_components, whence)
        return watches[id(model)]

    def rows_of(source: Source) -> Any:
        return course.of(source, using.read(source, using.columns(source, kept), bad))

    with ExitStack() as stack:
        bad = stack.enter_context(BadRows(bad_rows))
        course = Course(stack.enter_context(watching([*calm, *sources], quiet=False)))
        if normal:
            _calibrate(calm, rows_of, watch)
        writer = None
        if target is not None:
            writer = stack.enter_context(Writer(target, output_format))
        for source in sources:
            for rows, groups in rows_of(source):
                if rows.times is not None:
                    order.add(rows.times, rows.keys)
                out, known = _scored(source, rows, groups, watch, tally)
                if writer is not None and out:
                    first = passed_on(rows, asked.get("key_column"), known)
                    writer.write(first | {name: column[known] for name, column in out.items()})
        if tally.n_rows == 0:
            raise ValueError(no_rows(sources, bad.count))
    for watched in watches.values():
        watched.log.finish()
    if order.n_back:
        output.say(
            f"{order.said()}: events are of rows in the order of the files; sort them by time"
        )
    if target != "-":
        report(tally, list(watches.values()), bad.count, show, json=json)
    if fail_on_alarm and tally.n_alarms:
        raise typer.Exit(1)


def _scored(
    source: Source, rows: Any, groups: Any, watch: Callable[[Checkpoint], Watch], tally: Tally
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Score a chunk: columns of all its rows, and which of them a model knows."""
    out: dict[str, Any] = {}
    known = np.zeros(len(rows.values), bool)
    for model, where, values in groups:
        watched = watch(model)
        scores = watched.score(values)
        places = np.arange(len(rows.values))[where]
        known[places] = True
        labels = _labels(source, rows, places)
        tally.add(scores, labels, model.key)
        times = None if rows.times is None else rows.times[places]
        watched.log.add(values, _named(labels), times)
        _put(out, scores, places, len(rows.values))
    return out, known


def _labels(source: Source, rows: Any, places: Any) -> Any:
    return lambda row: (source.name, rows.label(int(places[row])))


def _put(out: dict[str, Any], scores: dict[str, Any], places: Any, n_rows: int) -> None:
    """Scores of some rows into columns of all."""
    for name, column in scores.items():
        if name not in out:
            kind = object if column.dtype.kind == "U" else column.dtype
            out[name] = np.zeros(n_rows, kind)
        out[name][places] = column


def _named(labels: Any) -> Any:
    return lambda row: ", ".join(labels(row))


def _calibrate(sources: Sequence[Source], rows_of: Any, watch: Any) -> None:
    """Take limits from rows known to be normal."""
    calibrated = {}
    for source in sources:
        for _, groups in rows_of(source):
            for model, _, values in groups:
                watched = watch(model)
                watched.monitor.calibrate(values, ewma=watched.rules.ewma)
                calibrated[id(watched)] = watched
    for watched in calibrated.values():
        watched.settle()
