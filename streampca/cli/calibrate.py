"""`streampca calibrate`: limits of rows known to be normal, kept in the checkpoint they are for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli.find import is_store, open_store
from streampca.cli.progress import Course, watching
from streampca.cli.sources import sources_of
from streampca.cli.transform import refuse_inputs
from streampca.cli.using import Using
from streampca.files import BadRows, atomic, check_topics, no_rows
from streampca.files import options as table
from streampca.monitor import Monitor, Rules
from streampca.text import counted


@options.with_options(*table.READING)
def calibrate(
    place: options.Place,
    files: options.Files,
    key: options.KeyOption = None,
    at: options.At = None,
    n_components: Annotated[
        str | None,
        options.components(
            "How many of the model's to use, as score takes them; default: as score does."
        ),
    ] = None,
    ewma: Annotated[
        float | None,
        typer.Option(
            metavar="W", help="Also limits of running means that give a new row this weight."
        ),
    ] = None,
    json: options.Json = False,
    *,
    asked: dict[str, Any],
) -> None:
    """Keep limits of rows that are known to be normal.

    Rows that were not learned from; the limits are kept in the models that they are for.
    """
    Rules(ewma=ewma)  # raises where that is no weight
    bad_rows = str(asked.pop("bad_rows", "fail"))
    sources = sources_of(files, asked.get("input_format"), place)
    check_topics(sources, asked, table.flag, ends=True)
    refuse_inputs([*sources, place], None, bad_rows)
    using = Using(place, key, at, asked, moments=True)
    components = using.checked(options.number_or_share(n_components))
    monitors: dict[int, Monitor] = {}
    with BadRows(bad_rows) as bad, watching(sources, quiet=False) as watch:
        course = Course(watch)
        for source in sources:
            for _, groups in course.of(source, using.read(source, using.columns(source), bad)):
                for model, _, values in groups:
                    if id(model) not in monitors:
                        anew = dataclasses.replace(model, calibration={})
                        monitors[id(model)] = Monitor(anew, n_components=components)
                    monitors[id(model)].calibrate(values, ewma=ewma)
        if not monitors:
            raise ValueError(no_rows(sources, bad.count))
    said = []
    for monitor in monitors.values():
        saved: Checkpoint = monitor.checkpoint()
        file, count = _write(place, saved), monitor.n_calibrated
        said.append({"key": saved.key, "file": file, "n_rows": count})
        if not json:
            whose = "" if saved.key is None else f"{saved.key}: "
            output.text(f"{whose}limits from {counted(count, 'row')} kept in {file}")
        if not monitor.is_calibrated():
            output.say(
                f"{counted(count, 'row')} {'is' if count == 1 else 'are'} too few for limits at "
                "0.99, which need 100: until there are more, limits are those of theory"
            )
    if json:
        output.as_json(said)


def _write(place: str, checkpoint: Checkpoint) -> str:
    """Put a checkpoint in its place again, in one step."""
    if is_store(place):
        return open_store(place).write(checkpoint)
    parquet = Path(place).read_bytes()[:4] == b"PAR1"
    atomic.write(place, checkpoint.to_parquet_bytes() if parquet else checkpoint.to_bytes())
    return place
