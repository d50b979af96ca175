"""`streampca plot`: the figures of streampca.plots into a file."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli import rules as said_rules
from streampca.cli.find import find, find_history
from streampca.cli.rows import LastRows, last_rows
from streampca.cli.sources import sources_of
from streampca.cli.transform import refuse_inputs
from streampca.cli.using import Using
from streampca.files import atomic, check_topics
from streampca.files import options as table
from streampca.monitor import METHODS, Monitor, Rules, Watch
from streampca.text import counted

_OF_ROWS = ("scores", "course", "biplot", "control", "event")
_KINDS = ("scree", "elbow", "loadings", "drift", "acs", *_OF_ROWS)
_SUFFIXES = (".png", ".svg", ".pdf")


@options.with_options(*table.READING)
def plot(
    kind: Annotated[str, typer.Argument(metavar="|".join(_KINDS), help="What to draw.")],
    place: options.Place,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Rows, for scores, course, biplot, control, event: Parquet, CSV, JSON lines; or -."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Ends with .png, .svg or .pdf.")
    ] = "",
    key: options.KeyOption = None,
    at: options.At = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="B",
            help="For acs: the store or file to compare with; default: the "
            "first checkpoint of STORE.",
        ),
    ] = None,
    n_components: Annotated[
        int | None,
        typer.Option(
            "--n-components", "-n", min=1, metavar="P", help="How many components to draw, or use."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(metavar="SHARE", help="Of normal rows that lie within a limit.")
    ] = 0.99,
    last: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows to draw: the last ones.")
    ] = 10_000,
    rules: said_rules.Text = None,
    k_of_n: said_rules.KofN = None,
    hold_off: said_rules.HoldOff = None,
    release: said_rules.Release = None,
    ewma: said_rules.Ewma = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Above the picture.")] = None,
    *,
    asked: dict[str, Any],
) -> None:
    """Draw a model, its history, or rows beside it."""
    if kind not in _KINDS:
        hint = f"; it comes before the store: plot {place} {kind}" if place in _KINDS else ""
        raise typer.BadParameter(f"{kind!r}: give one of {', '.join(_KINDS)}{hint}")
    if Path(target).suffix not in _SUFFIXES:
        what = f"--output {target}: the name" if target else "--output FILE is needed; its name"
        raise typer.BadParameter(f"{what} must end with {', '.join(_SUFFIXES)}")
    if bool(files) != (kind in _OF_ROWS):
        needs = "needs FILES of rows" if kind in _OF_ROWS else "draws no rows: leave FILES out"
        raise typer.BadParameter(f"{kind} {needs}")
    from streampca import plots  # an extra, and slow to import

    if kind in _OF_ROWS:
        single = {"k_of_n": k_of_n, "hold_off": hold_off, "release": release, "ewma": ewma}
        how, whence = said_rules.read_rules(rules, single, confidence, normal=False)
        mode = str(asked.pop("bad_rows", "fail"))
        sources = sources_of(files or [], asked.get("input_format"), place)
        check_topics(sources, asked, table.flag, ends=True)
        refuse_inputs([*sources, place], target, mode)
        using = Using(place, key, at, asked, moments=True, of_one_key=True)
        _check_count(kind, n_components, using.first)
        figure = _of_rows(
            kind,
            using.first,
            last_rows(using, sources, mode, last),
            (how, whence),
            title,
            n_components,
        )
    elif kind == "drift":
        figure = plots.plot_components(
            find_history(place, key), n_components=n_components, title=title
        )
    elif kind == "acs":
        now = find(place, key, at)
        other = find_history(place, key)[0] if against is None else find(against, key)
        titles = ("newest", "first") if against is None else (place, against)
        figure = plots.plot_acs(now, other, names=titles, title=title)
    else:
        model = find(place, key, at)
        options.refuse_more(n_components, model)
        if kind == "loadings":
            figure = plots.plot_loadings(model, n_components=n_components, title=title)
        else:
            figure = plots.plot_scree(
                model, n_components=n_components, parallel=kind == "elbow", title=title
            )
    made = io.BytesIO()
    figure.savefig(made, format=Path(target).suffix[1:])
    atomic.write(target, made.getvalue())
    output.text(target)


def _check_count(kind: str, n_components: int | None, model: Checkpoint) -> None:
    """Raise where a picture of two components cannot be drawn, or more are to be used than are."""
    options.refuse_more(n_components, model)
    if kind in ("control", "event"):
        return
    if len(model.components) == 1:
        raise typer.BadParameter(
            f"{kind} draws two components, and the model has one: learn two with fit "
            "--n-components 2, or draw these rows with control"
        )
    if n_components not in (None, 2):
        raise typer.BadParameter(
            f"--n-components {n_components}: {kind} draws the first two components; leave it out"
        )


def _of_rows(
    kind: str,
    model: Checkpoint,
    rows: LastRows,
    how: tuple[Rules, str],
    title: Any,
    n_components: int | None,
) -> Any:
    """A picture of rows beside a model; `how` is what `read_rules` gave."""
    from streampca import plots

    rules, whence = how
    X, confidence = rows.values, rules.confidence
    x = rows.numbers if rows.times is None else rows.times
    if kind == "scores":
        return plots.plot_scores(model, X, confidence=confidence, title=title)
    if kind == "course":
        return plots.plot_scores(model, X, times=x, confidence=confidence, title=title)
    if kind == "biplot":
        return plots.plot_biplot(model, X, title=title)
    monitor = Monitor(model, n_components=n_components or "auto")
    if kind == "control":  # of rows, not of running means
        rules = dataclasses.replace(rules, ewma=None)
    rules = said_rules.settled(monitor, rules, whence, "the model")
    if kind == "control":
        spe, t2 = METHODS[rules.method]
        return plots.plot_control(
            monitor, X, confidence=confidence, spe_method=spe, t2_method=t2, times=x, title=title
        )
    watch = Watch(monitor, rules)
    told = {event.start: event for event in [*watch.add(X), *watch.finish()]}
    if not told:
        raise ValueError(f"there is no event in these {counted(len(X), 'row')}")
    event = max(told.values(), key=lambda each: each.peak)
    margin = max(event.n_rows // 3, 10)
    first, end = max(event.start - margin, 0), event.end + 1 + margin
    if rows.times is None:  # the event counts rows from the first that was read, the axis as files
        shift = int(rows.numbers[first]) - first
        event = dataclasses.replace(event, start=event.start + shift, end=event.end + shift)
        return plots.plot_event(monitor, X[first:end], event, start=first + shift, title=title)
    times = rows.times[first:end]
    return plots.plot_event(monitor, X[first:end], event, start=first, times=times, title=title)
