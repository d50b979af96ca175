"""`streampca store`: a store of many checkpoints kept in order, also while a job writes to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from streampca import CheckpointStore
from streampca.checkpoint import which_moments
from streampca.cli import options, output
from streampca.cli.app import APP
from streampca.cli.find import is_store, open_store
from streampca.cli.ledger import Ledger
from streampca.cli.models import Point
from streampca.text import counted

store = typer.Typer(
    help="Keep a store in order.\n\nFew files, no old checkpoints, nothing damaged.",
    no_args_is_help=True,
    **APP,
)

Store = Annotated[str, typer.Argument(metavar="STORE", help="A folder or URI of checkpoints.")]


def _keep(which: str) -> Any:
    help_ = f"Keep the last of so many {which}, or of those since a time before the newest (365d)."
    return typer.Option(metavar="N|TIME", help=help_)


@store.command()
def compact(place: Store, moments: options.Moments = "all", json: options.Json = False) -> None:
    """Put the checkpoints of each day into few files."""
    found = open_store(place)
    done = found.compact(moments=which_moments(moments), spare=_resumed(found))
    _say(done._asdict(), f"{counted(done.files_before, 'file')} became {done.files:,}", json)


@store.command()
def prune(
    place: Store,
    keep_last: Annotated[
        str | None,
        typer.Option(metavar="N|TIME", help="Keep so many, or those since a time (365d)."),
    ] = None,
    keep_hourly: Annotated[str | None, _keep("hours")] = None,
    keep_daily: Annotated[str | None, _keep("days")] = None,
    keep_weekly: Annotated[str | None, _keep("weeks")] = None,
    keep_monthly: Annotated[str | None, _keep("months")] = None,
    keep_yearly: Annotated[str | None, _keep("years")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would go.")] = (
        False
    ),
    json: options.Json = False,
) -> None:
    """Remove checkpoints that no --keep option keeps.

    The newest of each key stays.
    """
    rules = {
        "keep_last": keep_last,
        "keep_hourly": keep_hourly,
        "keep_daily": keep_daily,
        "keep_weekly": keep_weekly,
        "keep_monthly": keep_monthly,
        "keep_yearly": keep_yearly,
    }
    if not any(rules.values()):
        raise typer.BadParameter(
            "say what to keep, such as --keep-last 48 --keep-hourly 365d; --dry-run shows what goes"
        )
    found = open_store(place)
    try:
        done = found.prune(**rules, spare=_resumed(found), dry_run=dry_run)
    except ValueError as error:
        raise typer.BadParameter(str(error).replace("keep_", "--keep-").replace("=", " ")) from None
    would = "would go" if dry_run else "went"
    _say(done._asdict(), f"{done.removed:,} checkpoints {would}, {done.checkpoints:,} stay", json)


@store.command()
def copy(
    place: Store,
    to: Annotated[str, typer.Argument(metavar="TO", help="A folder or URI; made if need be.")],
    json: options.Json = False,
) -> None:
    """Copy all checkpoints into another store, many to a file."""
    found = open_store(place)
    if is_store(place) and os.path.realpath(place) == os.path.realpath(to):
        raise typer.BadParameter(f"{to} is the store itself")
    ledger = _ledger(found)  # before: what it names is there by now
    count = found.copy_to(CheckpointStore(to))
    if ledger is not None and "://" not in to:
        ledger.write(CheckpointStore(to))
    _say({"checkpoints": count, "store": to}, f"{count:,} checkpoints copied to {to}", json)


@store.command()
def verify(place: Store, json: options.Json = False) -> None:
    """Read every file to its end.

    Exit code 1 if one is torn, changed or foreign.
    """
    done = open_store(place).verify()
    problems = [{"file": file, "reason": why} for file, why in done.problems.items()]
    if not json:
        for each in problems:
            output.text(f"{each['file']}: {each['reason']}")
    text = f"{done.checkpoints:,} checkpoints in {counted(done.files, 'file')}"
    text += f", {len(problems):,} unreadable"
    _say(done._asdict() | {"problems": problems}, text, json)
    if problems:
        raise typer.Exit(1)


# --- inside -------------------------------------------------------------------------------------


def _say(done: dict[str, Any], text: str, json: bool) -> None:
    if json:
        output.as_json(done)
    else:
        output.text(text)


def _ledger(found: CheckpointStore) -> Ledger | None:
    """What a fit has written beside its checkpoints, on this machine's disks."""
    root = found.places.files.path("")  # of file:// URIs, too
    return Ledger.read(CheckpointStore(root)) if Path(root).is_dir() else None


def _resumed(found: CheckpointStore) -> Iterator[Point]:
    """What `fit --resume` would go on from, once this is iterated: after the store was listed.

    So it is either among these or a newer one of its key, which stays anyway.
    """
    ledger = _ledger(found)
    if ledger is not None:
        yield from ledger.points
