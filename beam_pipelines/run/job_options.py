"""Options of the Beam job besides those of files: parameters of LearnComponents by their names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any

from streampca.files.options import SECONDS, Option, add_to_parser, flag, half_life_of
from streampca.files.options import TABLE as FILES

TIMES = (
    Option("allowed_lateness", "TIME",
           "How long after its end a window takes late rows, such as 90s or 1h, where the pipeline "
           "is streaming; default 0."),
    Option("early_every", "TIME",
           "Report a window that is still open after such a (processing) time, where the pipeline "
           "is streaming."),
    Option("idle_timeout", "TIME",
           "Forget a key whose newest window ended so long ago, by event time."),
)  # fmt: skip

NUMBERS = (
    Option("hot_key_shards", "N", "Deal the rows of each key into N parts; default 1.", int),
    Option("batch_size", "M", "Rows in a minibatch; default by memory.", int),
    Option("oversample", "N", "Directions that are remembered beyond P; default by P.", int),
    Option("random_state", "N", "Seed of what is drawn.", int),
    Option("forgetting_factor", "G", "What a row keeps of its weight with each row after it.",
           float),
)  # fmt: skip

CHOICES = (
    Option("solver", "exact|first_order", "How components are computed; default exact.",
           choices=("exact", "first_order")),
    Option("dtype", "float32|float64", "Of products; default that of the rows.",
           choices=("float32", "float64")),
    Option("moments", "all|last|none|K",
           "Which checkpoints can be gone on from: all, the last of a key, that and every K-th, or "
           "none; the others are smaller."),
    Option("device", "DEVICE", "Where workers compute, such as cuda; default: numpy."),
)  # fmt: skip

WATCH = (
    Option("watch", "TIME",
           "Files are still to come: see every so often, such as 30s, which have; each is learned "
           "once, and a window is closed when a row has come that is later than its end."),
    Option("watch_delay", "TIME",
           "With watch: how much later than its end that row has to be, for files that come late; "
           "default 0."),
    Option("watch_for", "TIME",
           "With watch: end after such a time, and close all windows; default: never."),
)  # fmt: skip

MESSAGES = (
    Option("expansion_service", "HOST:PORT",
           "Of kafka://: where Beam's Java side answers that has ReadFromKafka; default: Beam "
           "starts its own, which needs Java, and to fetch it."),
    Option("consumer_config", "FILE",
           "Of kafka://: properties of the connector's client, as Kafka's own tools name them."),
    Option("message_delay", "TIME",
           "Of kafka://: how much later than its end a row has to be that closes a window, for "
           "rows that are not in the order of their times in their partition; default 0."),
    Option("idle_partitions", "TIME",
           "Of kafka://: windows no longer wait for a partition that has shown nothing for so long "
           "(processing time); its rows that come afterwards are late. Default: they wait."),
)  # fmt: skip

TABLE = (*TIMES, *NUMBERS, *CHOICES)
_ALL = (*TABLE, *WATCH, *MESSAGES)

OF_MESSAGES = tuple(option.name for option in MESSAGES)

OF_FILES_TO_COME = tuple(option.name for option in WATCH)

SWITCHES = {
    "no_carry": "each window's own components instead of the running model's",
    "no_center": "do not take the mean away",
    "whiten": "coordinates of variance 1",
    "resume": "the job was killed: go on from the checkpoints that it left in --output; needs the "
    "same options and files",
}

OF_FILES = tuple(option for option in FILES if option.kind is bool)
"""Switches of the table of files, which a template's launcher sets as it sets these."""

SWITCH = "true|false"

_FROM_NOTHING = ("allowed_lateness", "watch_delay", "message_delay")


def add(parser: argparse.ArgumentParser) -> None:
    """Give a parser these options, and all switches; values are for `check` to judge."""
    add_to_parser(parser, _ALL)
    switches = SWITCHES | {option.name: option.help for option in OF_FILES}
    for name, meaning in switches.items():
        parser.add_argument(
            flag(name),
            nargs="?",  # a launcher of templates writes --no-carry=true
            const=True,
            default=False if name in SWITCHES else None,
            type=_switch,
            metavar=SWITCH,
            help=meaning,
        )


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text}: give true or false, or nothing for true")
    return text == "true"


def check(given: Mapping[str, Any], *, say: Any = flag) -> dict[str, Any]:
    """Return the values of the options that are given; `say` is what messages call an option.

    Raises
    ------
    ValueError
        Naming the option, and what it takes.

    Examples
    --------
    >>> check({"idle_timeout": "2h", "batch_size": "64", "solver": None})
    {'idle_timeout': 7200.0, 'batch_size': 64}
    """
    found: dict[str, Any] = {}
    for option in _ALL:
        text = given.get(option.name)
        if text is not None:
            found[option.name] = _value(option, str(text), say(option.name))
    return found


def _value(option: Option, text: str, called: str) -> Any:
    if option.metavar == "TIME":
        least = 0.0 if option.name in _FROM_NOTHING else 1e-6
        return seconds(called, text, least=least)
    if option.choices and text not in option.choices:
        raise ValueError(f"{called} {text}: give one of {', '.join(option.choices)}")
    if option.kind is str:
        return text
    try:
        return option.kind(text)
    except ValueError:
        what = "a whole number" if option.kind is int else "a number"
        raise ValueError(f"{called} {text}: give {what}") from None


def seconds(called: str, text: str, least: float = 1e-6) -> float:
    """Return the seconds of a time such as 90s, 10min, 1h, 2d or 3600.

    Examples
    --------
    >>> seconds("--early-every", "10min")
    600.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?", text.strip())
    value = float(found[1]) * SECONDS[found[2] or "s"] if found else -1.0
    if value < least:
        raise ValueError(f"{called} {text}: give a time such as 90s, 10min, 1h or 2d")
    return value


def parameters(given: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of LearnComponents that a parsed command line asks for."""
    found = check(vars(given))
    found |= {"whiten": True} if given.whiten else {}
    return found | ({"center": False} if given.no_center else {})


def parted(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return other options, and those of this table.

    Examples
    --------
    >>> parted({"columns": ["oil"], "dtype": "float32"})
    ({'columns': ['oil']}, {'dtype': 'float32'})
    """
    names = {option.name for option in _ALL}
    others = {name: value for name, value in given.items() if name not in names}
    return others, {name: value for name, value in given.items() if name in names}


def forgetting(half_life: Any, called: str = "half_life") -> dict[str, float]:
    """The parameter of LearnComponents that a half-life is: of event time, or of rows.

    Examples
    --------
    >>> forgetting("10min"), forgetting("1")
    ({'half_life': 600.0}, {'forgetting_factor': 0.5})
    """
    rows, seconds = half_life_of(half_life, called)
    if rows is not None:
        return {"forgetting_factor": 0.5 ** (1 / rows)}
    return {} if seconds is None else {"half_life": seconds}
