"""`streampca inspect`: what is in a file or a store, and whether it can be trusted."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from streampca import Checkpoint, CheckpointStore, CheckpointWarning
from streampca.checkpoint import all_in, is_bundle, versions
from streampca.cli import options, output
from streampca.cli.describe import heading
from streampca.cli.find import is_store, read_file
from streampca.cli.ledger import Ledger
from streampca.files import require_readable


def inspect(
    place: Annotated[str, typer.Argument(metavar="FILE", help="A checkpoint's file, or a store.")],
    json: options.Json = False,
) -> None:
    """Say what is in a file or store.

    Exit code 1 if anything in it is torn, changed or foreign.
    """
    if is_store(place):
        report = _store(CheckpointStore(place), place)
        sound = not report["unreadable"]
    else:
        report = _file(place)
        sound = report["state"] == "sound"
    if json:
        output.as_json(report)
    else:
        made = output.Table(None, ["", ""], bare=True)
        for name, value in report.items():
            for i, each in enumerate(value if isinstance(value, list) else [value]):
                made.add_row("" if i else name.replace("_", " "), _shown(each))
        made.show()
    if not sound:
        raise typer.Exit(1)


def _file(place: str) -> dict[str, Any]:
    require_readable(place)
    data = Path(place).read_bytes()
    try:
        if is_bundle(data):
            return _many(place, data)
        found = read_file(place, moments=True)
    except ValueError as error:
        text = str(error).removeprefix(f"{place}: ")
        return {"file": place, "bytes": len(data), "state": "unreadable", "reason": text}
    p, n = found.components.shape
    return {
        "file": place,
        "bytes": len(data),
        "state": "sound",
        "reason": "the checksum matches, and all values fit together",
        **versions(data),
        **heading(found),
        "n_features": n,
        "n_components": p,
        "dtype": found.components.dtype.name,
        "explained_variance_ratio": float(found.explained_variance_ratio.sum()),
        "moments_kind": found.moments_kind,
        "moments_bytes": sum(int(array.nbytes) for array in found.moments.values()),
        "can_resume": bool(found.moments),
        "feature_names": found.feature_names,
        "settings": dict(found.settings),
    }


def _many(place: str, data: bytes) -> dict[str, Any]:
    """Of a file of many checkpoints."""
    found = list(all_in(data, moments=False))
    return {
        "file": place,
        "bytes": len(data),
        "state": "sound",
        "reason": "the checksums match, and all values fit together",
        **versions(data),
        "n_checkpoints": len(found),
        "n_keys": len({(type(each.key), each.key) for each in found}),
    }


def _store(store: CheckpointStore, place: str) -> dict[str, Any]:
    newest: dict[Any, Checkpoint | None] = {}
    counts: Counter[Any] = Counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointWarning)
        for key in store.keys():  # noqa: SIM118 - a method that lists files
            newest[key] = None  # in their order
        for each in store.everything():  # each file is read once, whatever is in it
            counts[each.key] += 1
            last = newest.get(each.key)
            if last is None or _order(each) > _order(last):
                newest[each.key] = each.without_moments()
    keys = [heading(each) | {"n_checkpoints": counts[key]} for key, each in newest.items() if each]
    unreadable = list(dict.fromkeys(str(each.message) for each in caught))
    ledger = None
    try:
        ledger = Ledger.read(store)
    except ValueError as error:
        unreadable.append(str(error))
    return {
        "store": place,
        "n_checkpoints": sum(each["n_checkpoints"] for each in keys),
        "keys": keys,
        "fit": None
        if ledger is None
        else {
            "n_rows": ledger.n_rows,
            "n_bad_rows": ledger.n_bad,
            "files": [
                {"file": name, "read_to_end": reading.done}
                for name, reading in ledger.readings.items()
            ],
        },
        "unreadable": unreadable,
    }


def _order(checkpoint: Checkpoint) -> tuple[bool, int, int]:
    end = checkpoint.window_end
    return end is not None, end or 0, checkpoint.sequence


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_shown(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value[:12])) + (", ..." if len(value) > 12 else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if type(value) is int and value >= 10_000 else str(value)
