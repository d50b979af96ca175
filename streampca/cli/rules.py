"""Options of the command line that say when rows make an event; what they mean is `Rules`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from streampca.monitor import Rules

__all__ = ["Ewma", "HoldOff", "KofN", "Release", "Text", "read_rules"]

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


def read_rules(text: str | None, single: dict[str, Any], confidence: float, normal: bool) -> Rules:
    """Rules of a run: those of `--rules`, those with an option of their own, and the rest.

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
    said = Rules.read(text).as_dict()
    if "method" in said and not normal:
        raise typer.BadParameter("--rules method=empirical needs rows known to be normal: --normal")
    given = {name: value for name, value in single.items() if value is not None}
    if "k_of_n" in given:
        given |= _k_of_n(given.pop("k_of_n"))
    for name in given:
        if name in said and said[name] != given[name]:
            raise typer.BadParameter(
                f"--rules says {name}={said[name]}, an option of its own {given[name]}: give one"
            )
    rules = Rules.read({"confidence": confidence} | said | given)
    return dataclasses.replace(rules, method="empirical" if normal else "theory")


def _k_of_n(text: str) -> dict[str, int]:
    k, slash, n = text.partition("/")
    try:
        return {"k": int(k), "n": int(n if slash else k)}
    except ValueError:
        raise typer.BadParameter(f"--k-of-n {text}: give two numbers such as 3/5") from None
