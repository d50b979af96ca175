"""`streampca fit`: its options, checked; the loop itself is in fitting.py."""

from __future__ import annotations

import os
import time
import warnings
from typing import Annotated, Any

import numpy as np
import typer

from streampca import CheckpointStore, StreamingPCA
from streampca.checkpoint import which_moments
from streampca.cli import options, output, report
from streampca.cli.fitting import Fit, Interval, Stopped, settle
from streampca.cli.ledger import Ledger
from streampca.cli.models import Models
from streampca.cli.one_writer import one_writer
from streampca.cli.progress import watching
from streampca.cli.sources import sources_of
from streampca.files import BadRows, Columns, Rule, Source, check_topics, choose_columns, names
from streampca.files import options as table
from streampca.learning import check_parameters

_ROWS = 250_000
"""Rows between checkpoints: at a million rows a second, four checkpoints of a few milliseconds."""

_MINUTE = 60.0

_OF_FILES = ("delimiter", "decimal", "encoding", "skip_rows", "na", "input_format", "avro_schema")
"""Options that later files may need otherwise than earlier ones."""


@options.with_options(*table.TABLE)
def fit(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Parquet, CSV or JSON lines; patterns; URIs; kafka://host:9092/topic; - for "
            "standard input."
        ),
    ],
    output_: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="STORE",
            help="Folder or URI for the checkpoints. Without it, components are only shown.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from what STORE holds; rows that it holds are not read again."
        ),
    ] = False,
    n_components: Annotated[
        str | None,
        options.components(
            "How many, or the share of the variance to explain such as 0.95, or parallel "
            "(those larger than chance gives); default: all."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="M", help="Rows in a minibatch; default by memory.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="float32|float64", help="Of products; default that of the rows."),
    ] = None,
    checkpoint_rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows from one checkpoint to the next.")
    ] = _ROWS,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="S",
            help="Also one after so many seconds; of a topic without an end by default 60.",
        ),
    ] = None,
    moments: options.Moments = "all",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    json: options.Json = False,
    *,
    asked: dict[str, Any],
) -> None:
    """Learn ordered principal components from files of rows."""
    if resume and output_ is None:
        raise typer.BadParameter("--resume needs --output, which says what to go on from")
    of_run = {name: asked.pop(name) for name in table.OF_A_RUN if name in asked}
    bad_rows = os.fspath(asked.pop("bad_rows", "fail"))
    bad_path = os.path.abspath(bad_rows) if BadRows.file_of(bad_rows) else bad_rows
    given = _given(asked) | {
        "n_components": options.number_or_share(n_components),
        "batch_size": batch_size,
        "dtype": dtype,
    }
    sources = sources_of(files, asked.get("input_format"))
    check_topics(sources, asked | of_run, table.flag)
    names.refuse_inputs([("--bad-rows", BadRows.file_of(bad_path)), ("--output", output_)], sources)
    store = None if output_ is None else CheckpointStore(output_)
    with one_writer(store):
        ledger = None if store is None else _ledger(store, resume)
        settings = settle(given, None if ledger is None else ledger.settings, _OF_FILES)
        parameters, half_life_us = _parameters(settings)
        say = (lambda _: None) if quiet else output.say
        chosen = _columns(sources[0], settings, of_run, parameters, say)
        _refuse_more(parameters.get("n_components"), chosen, sources[0])
        kept = which_moments(moments)
        models = Models(parameters, tuple(chosen.names), half_life_us, store, kept)
        ledger = _begun(store, settings, resume=resume) if ledger is None else ledger
        for point in ledger.points:
            models.resume(point)
        bad = BadRows(bad_path, ledger.bad_rows_size if ledger.bad_rows == bad_path else None)
        ledger.bad_rows = bad_path
        started = time.monotonic()
        complete = False
        try:
            with watching(sources, quiet=quiet) as watch:
                said = {name: value for name, value in settings.items() if value is not None}
                due = Interval(checkpoint_rows, checkpoint_seconds or _seconds(sources, of_run))
                each = (chosen, models, ledger, bad, store, due, watch, say)
                run = Fit(sources, said | of_run, *each)
                run.run()
            complete = True
        except Stopped as stopped:
            complete = store is not None
            output.say(report.interrupted(run, output_))
            raise typer.Exit(128 + stopped.signal) from None
        finally:
            bad.close(complete=complete)
            if not complete and store is None:
                bad.discard()
        if not quiet:
            report.notes(run)
        report.finished(run, models, output_, time.monotonic() - started, json=json, quiet=quiet)


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """What is said of files, all of them."""
    not_kept = ("bad_rows", *table.OF_A_RUN)
    return {each.name: asked.get(each.name) for each in table.TABLE if each.name not in not_kept}


def _refuse_more(n_components: int | float | str | None, chosen: Columns, source: Source) -> None:
    """Raise where there are fewer features than components."""
    if isinstance(n_components, int) and n_components > len(chosen.names):
        raise typer.BadParameter(
            f"--n-components {n_components} is more than the {len(chosen.names)} features of "
            f"{source.name}"
        )


# --- before -----------------------------------------------------------------------------------


def _ledger(store: CheckpointStore, resume: bool) -> Ledger | None:
    if resume:
        return Ledger.read(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ledger = Ledger.read(store)
        if store.keys() or (ledger is not None and ledger.points):
            raise typer.BadParameter(
                f"{store.uri} holds checkpoints already; go on from them with --resume, or give "
                "another folder"
            )
    return None


def _begun(store: CheckpointStore | None, settings: dict[str, Any], *, resume: bool) -> Ledger:
    """The ledger of a store that has none."""
    ledger = Ledger({}, [], 0, 0, "", 0, settings)
    if store is not None:
        ledger.points = _points(store) if resume else []
        # before any checkpoint: one that is alone in the store would count without its rows
        ledger.write(store)
    return ledger


def _points(store: CheckpointStore) -> list[tuple[Any, int | None, int]]:
    """Where each key of a store that another job wrote is to go on from."""
    found = [store.resume_point(key, moments=False) for key in store.keys()]  # noqa: SIM118
    return [(c.key, c.window_end, c.sequence) for c in found if c is not None]


def _parameters(settings: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
    """Parameters of the estimator, and a half-life that is a time."""
    names = ("n_components", "memory", "missing", "scale", "batch_size", "dtype")
    parameters = {name: settings[name] for name in names if settings[name] is not None}
    half_life_us = None
    if settings["half_life"] is not None:
        rows, seconds = table.half_life_of(settings["half_life"], "--half-life")
        if seconds is None:
            parameters["half_life"] = rows
        elif settings["timestamp_column"] is None:
            raise typer.BadParameter(
                f"--half-life {settings['half_life']} is a time, and rows have none without "
                "--timestamp-column"
            )
        else:
            half_life_us = seconds * 1e6
    check_parameters(StreamingPCA(**parameters).get_params())
    return parameters, half_life_us


def _seconds(sources: list[Source], of_run: dict[str, Any]) -> float | None:
    """A topic without an end may be slow: what it gave is kept every minute."""
    ends = of_run.get("until_end") or "max_messages" in of_run
    return _MINUTE if sources[-1].is_topic and not ends else None


def _columns(
    source: Source,
    settings: dict[str, Any],
    of_run: dict[str, Any],
    parameters: dict[str, Any],
    say: Any,
) -> Columns:
    small = parameters.get("dtype") == "float32"
    limit: dict[str, Any] = {"largest": float(np.finfo("float32").max)} if small else {}
    asked = {name: value for name, value in settings.items() if value is not None} | of_run
    before = settings.get("features")
    if before:
        asked = {**asked, "columns": before}
        asked.pop("exclude", None)
    chosen = choose_columns(
        source,
        asked,
        **limit,
        known=settings.get("known"),
        rule=Rule(*settings["rule"]) if settings.get("rule") else None,
        say=say,
    )
    settings["features"] = chosen.features  # of later files too
    settings["known"] = None if chosen.known is None else list(chosen.known)
    settings["rule"] = list(chosen.rule)
    return chosen
