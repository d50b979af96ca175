"""Options of the command line that say when rows make an event; what they mean is `Rules`."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from streampca.cli import output
from streampca.monitor import Monitor, Rules
from streampca.text import counted

Text = Annotated[
    str | None,
    typer.Option(
        "--rules",
        metavar="RULES",
        help='When rows make an event, such as "k=3, n=5, hold_off=10, ewma=0.2", or a .json '
        "file; see docs/monitoring.md.",
    ),
]
KofN = Annotated[
    str | None,
    typer.Option(
        "--k-of-n", metavar="K/N", help="An event opens when K of the last N rows were out."
    ),
]
HoldOff = Annotated[
    int | None,
    typer.Option(
        "--hold-off", metavar="ROWS", help="It is over after so many rows that are not out."
    ),
]
Release = Annotated[
    float | None,
    typer.Option(
        "--release", metavar="SHARE", help="An open event goes on above this share of a limit."
    ),
]
Ewma = Annotated[
    float | None,
    typer.Option(
        "--ewma",
        metavar="WEIGHT",
        help="Weight of a new row in running means of SPE and T², which then take their place.",
    ),
]


def read_rules(
    text: str | None, single: dict[str, Any], confidence: float, normal: bool
) -> tuple[Rules, str]:
    """Rules of a run, and where its limits come from.

    Rules are those of `--rules`, those with an option of their own, and the rest. Limits are from
    "normal" rows that are given, from "theory" or what the model was "calibrated" with if
    `--rules` says so, else "auto": calibrated where they can be.

    Parameters
    ----------
    text : str, optional
        Of `--rules`.
    single : dict
        The value of each rule that has an option of its own, None where it is not given.
    confidence : float
        Where `--rules` says nothing.
    normal : bool
        Whether there are rows to take limits from.
    """
    rules = Rules.read(text)
    said, asked_method = rules.as_dict(), _says_method(text)
    if asked_method and normal and rules.method == "theory":
        raise typer.BadParameter("--rules method=theory and --normal are two sources of limits")
    given = {name: value for name, value in single.items() if value is not None}
    if "k_of_n" in given:
        given |= _k_of_n(given.pop("k_of_n"))
    for name in given:
        if name in said and said[name] != given[name]:
            raise typer.BadParameter(
                f"--rules says {name}={said[name]}, an option of its own {given[name]}: give one"
            )
    made = Rules.read({"confidence": confidence} | said | given)
    if normal:
        return dataclasses.replace(made, method="empirical"), "normal"
    if not asked_method:
        return made, "auto"
    return made, "calibrated" if made.method == "empirical" else "theory"


def settled(monitor: Monitor, rules: Rules, whence: str, whose: str) -> Rules:
    """Rules with the method of a model's limits, where that is for its calibration to say."""
    count, confidence = monitor.n_calibrated, rules.confidence
    if whence == "calibrated" and not monitor.is_calibrated(confidence, rules.ewma):
        by = "" if rules.ewma is None else f" --ewma {rules.ewma:g}"
        raise typer.BadParameter(
            f"--rules method=empirical: {whose} was calibrated with {counted(count, 'row')}, too "
            f"few for --confidence {confidence:g}{by}: `streampca calibrate{by}` keeps limits of "
            "rows known to be normal, or give such rows with --normal"
        )
    if whence != "auto":
        return rules
    if monitor.is_calibrated(confidence, rules.ewma):
        return dataclasses.replace(rules, method="empirical")
    if count:
        least = math.ceil(1 / (1 - confidence) - 1e-6)
        why = f"without --ewma {rules.ewma}"
        if count < least:
            why = f"too few for --confidence {confidence:g}, which needs {least:,}"
        output.say(
            f"{whose} was calibrated with {counted(count, 'row')}, {why}: its limits are those of "
            "theory"
        )
    return rules


def _says_method(text: str | None) -> bool:
    """Whether rules name a method: theory is the default, and may be asked for all the same."""
    if text is None:
        return False
    if text.strip().endswith(".json"):
        return "method" in json.loads(Path(text.strip()).read_text("utf-8"))
    return "method" in [each.partition("=")[0].strip() for each in text.split(",")]


def _k_of_n(text: str) -> dict[str, int]:
    k, slash, n = text.partition("/")
    try:
        return {"k": int(k), "n": int(n if slash else k)}
    except ValueError:
        raise typer.BadParameter(f"--k-of-n {text}: give two numbers such as 3/5") from None
