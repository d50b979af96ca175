"""`streampca fit`: what is asked for, checked; the loop itself is in fitting.py."""

from __future__ import annotations

import os
import time
import warnings
from typing import Annotated, Any

import numpy as np
import typer

from streampca import CheckpointStore, StreamingPCA, _options
from streampca._cells import UNITS
from streampca._filetypes import FORMATS
from streampca.cli import options, output, report
from streampca.cli.fitting import Fit, Interval, settle
from streampca.cli.ledger import Ledger
from streampca.cli.models import Models
from streampca.cli.progress import watching
from streampca.cli.reading import BadRows, Columns, choose_columns
from streampca.cli.source import Source, find_sources
from streampca.rows.read import LARGEST

__all__ = ["fit"]

_ROWS = 250_000
"""Rows between checkpoints: at a million rows a second, four checkpoints of a few milliseconds."""


def fit(
    files: Annotated[
        list[str],
        typer.Argument(help="Parquet, CSV or JSON lines; patterns; URIs; - for standard input."),
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
        typer.Option(
            "--n-components",
            "-n",
            metavar="P",
            help="How many, or the share of the variance to explain such as 0.95; default: all.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns to learn from; default: all others."),
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns not to learn from.")
    ] = None,
    key_column: Annotated[
        str | None, typer.Option(metavar="C", help="One model for each value of this column.")
    ] = None,
    timestamp_column: Annotated[
        str | None,
        typer.Option(metavar="C", help="When each row happened: checkpoints get these times."),
    ] = None,
    timestamp_unit: Annotated[
        str | None,
        typer.Option(metavar="s|ms|us|ns", help="Of times that are numbers since 1970; default s."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="auto|dense|factored", help="What is remembered; default auto."),
    ] = None,
    half_life: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS|TIME",
            help="After so many rows, or with --timestamp-column after such a time as 1h, a row "
            "has half its weight.",
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(metavar="error|impute", help="What empty cells are: bad, or filled in."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="M", help="Rows in a minibatch; default by memory.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="float32|float64", help="Of products; default that of the rows."),
    ] = None,
    bad_rows: options.BadRowsOption = "fail",
    checkpoint_rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows from one checkpoint to the next.")
    ] = _ROWS,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="S", help="Also one after so many seconds."),
    ] = None,
    input_format: options.InputFormat = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    json: options.Json = False,
) -> None:
    """Learn ordered principal components from files of rows."""
    check_format(input_format)
    if resume and output_ is None:
        raise typer.BadParameter("--resume needs --output, which says what to go on from")
    given = {
        "n_components": options.number_or_share(n_components),
        "columns": options.names(columns),
        "exclude": options.names(exclude),
        "key_column": key_column,
        "timestamp_column": timestamp_column,
        "timestamp_unit": timestamp_unit,
        "memory": memory,
        "half_life": half_life,
        "missing": missing,
        "batch_size": batch_size,
        "dtype": dtype,
    }
    sources = find_sources(files, input_format)
    store = None if output_ is None else CheckpointStore(output_)
    ledger = None if store is None else _ledger(store, resume)
    settings = settle(given, None if ledger is None else ledger.settings)
    parameters, half_life_us = _parameters(settings)
    chosen = _columns(sources[0], settings, parameters)
    most = parameters.get("n_components")
    if isinstance(most, int) and most > len(chosen.names):
        raise typer.BadParameter(
            f"--n-components {most} is more than the {len(chosen.names)} features of "
            f"{sources[0].name}"
        )
    models = Models(parameters, tuple(chosen.names), half_life_us, store)
    if ledger is None:
        ledger = Ledger({}, [], 0, 0, "", 0, settings)
        if store is not None:
            ledger.points = _points(store) if resume else []
            # before any checkpoint: one that is alone in the store would count without its rows
            ledger.write(store)
    for point in ledger.points:
        models.resume(point)
    bad_path = bad_rows if bad_rows in ("fail", "skip") else os.path.abspath(bad_rows)
    known = ledger.bad_rows_size if ledger.bad_rows == bad_path else None
    bad = BadRows(bad_path, known)
    ledger.bad_rows = bad_path
    started = time.monotonic()
    with watching(sources, quiet=quiet) as watch:
        run = Fit(
            sources,
            chosen,
            models,
            ledger,
            bad,
            store,
            Interval(checkpoint_rows, checkpoint_seconds),
            watch,
        )
        try:
            run.run()
        except KeyboardInterrupt:
            output.say(report.interrupted(run, output_))
            raise typer.Exit(130) from None
        finally:
            bad.close()
    report.finished(run, models, output_, time.monotonic() - started, json=json, quiet=quiet)


def check_format(form: str | None) -> None:
    """Raise unless it is a format that can be read, or None."""
    if form is not None and form not in FORMATS:
        raise typer.BadParameter(f"--input-format {form}: give one of {', '.join(FORMATS)}")


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


def _points(store: CheckpointStore) -> list[tuple[Any, int | None, int]]:
    """Where each key of a store that another job wrote is to go on from."""
    found = [store.resume_point(key, moments=False) for key in store.keys()]  # noqa: SIM118
    return [(c.key, c.window_end, c.sequence) for c in found if c is not None]


def _parameters(settings: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
    """Parameters of the estimator, and a half-life that is a time."""
    names = ("n_components", "memory", "missing", "batch_size", "dtype")
    parameters = {name: settings[name] for name in names if settings[name] is not None}
    half_life_us = None
    if settings["half_life"] is not None:
        half_life_us = options.duration(settings["half_life"])
        if half_life_us is None:
            parameters["half_life"] = float(settings["half_life"])
        elif settings["timestamp_column"] is None:
            raise typer.BadParameter(
                f"--half-life {settings['half_life']} is a time, and rows have none without "
                "--timestamp-column"
            )
    if settings["timestamp_unit"] not in (None, *UNITS):
        raise typer.BadParameter(
            f"--timestamp-unit {settings['timestamp_unit']}: give one of {', '.join(UNITS)}"
        )
    _options.check(StreamingPCA(**parameters).get_params())
    return parameters, half_life_us


def _columns(source: Source, settings: dict[str, Any], parameters: dict[str, Any]) -> Columns:
    small = parameters.get("dtype") == "float32"
    before = settings.get("features")
    chosen = choose_columns(
        source,
        columns=before or settings["columns"],
        exclude=[] if before else settings["exclude"] or [],
        key=settings["key_column"],
        timestamp=settings["timestamp_column"],
        unit=settings["timestamp_unit"] or "s",
        gaps=parameters.get("missing") == "impute",
        largest=float(np.finfo("float32").max) if small else LARGEST,
    )
    settings["features"] = chosen.features  # of later files too, which may have more columns
    return chosen
