"""The one table of options about files and learning from them.

The command line, the Beam job, the Beam YAML provider, `streampca.files.read` and the table of
docs/files.md are made from it. Knows nothing of files themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streampca.files.values import (
    CHECKS,
    SECONDS,
    half_life_of,
    list_of_names,
    number_or_share,
    whole,
)
from streampca.text import nearest

__all__ = [
    "LEARNING",
    "OF_A_RUN",
    "READING",
    "SECONDS",
    "TABLE",
    "TOPICS",
    "Option",
    "add_to_parser",
    "check",
    "half_life_of",
    "markdown",
    "nearest",
    "number_or_share",
    "refuse_topics_only",
    "refuse_unknown",
]

FORMATS = ("parquet", "csv", "jsonl", "arrow", "npy", "avro")
ONLY_OF_TOPICS = ("avro",)
UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds in a unit of numeric timestamps."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its name and meaning in every face."""

    name: str  # as Python and YAML spell it; a command line writes --name-with-dashes
    metavar: str
    help: str
    kind: type = str  # list: names, with commas between them on a command line
    choices: tuple[str, ...] = ()
    learning: bool = False  # only where something is learned
    topic: bool = False  # only of topics of messages
    aliases: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return flag(self.name)


def flag(name: str) -> str:
    """The name of an option on a command line."""
    return "--" + name.replace("_", "-")


TABLE = (
    Option("columns", "A,B,...", "Columns to learn from or use; default: all others.", list,
           aliases=("features",)),
    Option("exclude", "A,B,...", "Columns that are no features.", list),
    Option("key_column", "C", "One model for each value of this column (or hive partition).",
           aliases=("key",)),
    Option("timestamp_column", "C", "When each row happened."),
    Option("timestamp_format", "FORMAT",
           "Of times that are text, such as %d.%m.%Y %H:%M; default: ISO 8601, detected."),
    Option("timestamp_unit", "s|ms|us|ns",
           "Of times that are numbers since 1970; default: by their size, and said.",
           choices=tuple(UNITS)),
    Option("timezone", "ZONE",
           "Of times that name none, such as Europe/Berlin or +01:00; default UTC."),
    Option("delimiter", "SIGN", "Between cells of CSV (tab: \\t); default: detected."),
    Option("decimal", ".|,", "Decimal sign of CSV; default: detected.", choices=(".", ",")),
    Option("encoding", "NAME", "Of text, such as latin-1; default: detected."),
    Option("skip_rows", "N", "Lines of CSV before the line of names.", int),
    Option("na", "TEXT,...",
           "Cells that stand for a missing value, besides empty ones, NA, null; * for all texts "
           "among numbers.", list),
    Option("bad_rows", "fail|skip|FILE",
           "Rows that cannot be used: the first ends all (fail), or they are skipped, or written "
           "to FILE as JSON lines with the reason; default fail."),
    Option("input_format", "|".join(FORMATS),
           "Default: what name and first bytes say; of a topic jsonl, arrow or avro, default "
           "jsonl.", choices=FORMATS),
    Option("start_at", "earliest|latest|TIME",
           "Of a topic: where what has not been read yet begins; default earliest.", topic=True),
    Option("until_end", "",
           "Of a topic: stop where it ended when reading began, instead of waiting for more.", bool,
           topic=True),
    Option("max_messages", "N", "Of a topic: stop after so many messages.", int, topic=True),
    Option("kafka_config", "FILE",
           "Of a topic: properties of its client, a key=value on each line: TLS, SASL, ...",
           topic=True),
    Option("avro_schema", "FILE", "Of a topic: the schema of messages of one Avro record.",
           topic=True),
    Option("missing", "error|impute", "What empty cells are: bad, or filled in; default error.",
           choices=("error", "impute"), learning=True),
    Option("half_life", "ROWS|TIME",
           "After so many rows, or (with times) after such a time as 1h, a row has half its "
           "weight.", learning=True),
    Option("memory", "auto|dense|factored", "What is remembered of the stream; default auto.",
           choices=("auto", "dense", "factored"), learning=True),
    Option("scale", "", "Features count in units of their standard deviations (correlation).",
           bool, learning=True),
)  # fmt: skip
"""Every option, in the order in which help and documentation show them."""

READING = tuple(option for option in TABLE if not option.learning)
LEARNING = tuple(option for option in TABLE if option.learning)
TOPICS = tuple(option for option in TABLE if option.topic)
OF_A_RUN = ("start_at", "until_end", "max_messages", "kafka_config")
"""Options that do not change the meaning of rows: a job that goes on may change them."""

_BY_NAME = {name: option for option in TABLE for name in (option.name, *option.aliases)}


# --- values -----------------------------------------------------------------------------------


def check(given: Mapping[str, Any], *, say: Any = str) -> dict[str, Any]:
    """Return the options that are given, aliases by their names, every value checked.

    Parameters
    ----------
    given : mapping
        None stands for the default.
    say : callable
        What messages call an option: `flag` on a command line.

    Raises
    ------
    ValueError
        Naming the option, and the nearest one where there is none of this name.

    Examples
    --------
    >>> check({"features": "oil, air", "skip_rows": "2", "na": None})
    {'columns': ['oil', 'air'], 'skip_rows': 2}
    >>> check({"key_colum": "press"})
    Traceback (most recent call last):
        ...
    ValueError: there is no option key_colum: did you mean key_column?
    """
    refuse_unknown(given, _BY_NAME, say=say)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        option = _BY_NAME[name]
        if option.name in found:
            names = [say(each) for each in given if _BY_NAME[each] is option]
            raise ValueError(f"{' and '.join(names)} are the same option: give one")
        found[option.name] = _value(option, value, say(name))
    return found


def _value(option: Option, value: Any, called: str) -> Any:
    if option.kind is list:
        return list_of_names(value, called)
    if option.kind is int:
        return whole(value, called)
    if option.kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{called}={value!r} is not accepted: give true or false")
        return value
    if option.name == "half_life":
        half_life_of(value, called)
        return value
    if not isinstance(value, str) and not (
        option.name == "bad_rows" and hasattr(value, "__fspath__")
    ):
        raise ValueError(f"{called}={value!r} is not accepted: give text, as {option.metavar}")
    if option.choices and value not in option.choices:
        raise ValueError(f"{called} {value}: give one of {', '.join(option.choices)}")
    if option.name in CHECKS:
        CHECKS[option.name](value, called)
    return {"\\t": "\t", "tab": "\t"}.get(value, value) if option.name == "delimiter" else value


def refuse_topics_only(given: Mapping[str, Any], name: str, *, say: Any = str) -> None:
    """Raise for an option of topics where there is none; `name` is what there is instead."""
    for option in TOPICS:
        if given.get(option.name) is not None:
            raise ValueError(f"{say(option.name)} is of topics (kafka://...), and {name} is none")


# --- names ------------------------------------------------------------------------------------


def refuse_unknown(given: Iterable[str], known: Iterable[str], *, say: Any = str) -> None:
    """Raise ValueError for a name that is not known, with the nearest that is.

    Examples
    --------
    >>> refuse_unknown(["windw"], ["window"], say=flag)
    Traceback (most recent call last):
        ...
    ValueError: there is no option --windw: did you mean --window?
    """
    known = list(known)
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            raise ValueError(
                f"there is no option {say(name)}"
                + (f": did you mean {say(hint)}?" if hint else f"; there are {_listed(known, say)}")
            )


def _listed(names: Sequence[str], say: Any) -> str:
    return ", ".join(map(say, names))


# --- the table in other forms -----------------------------------------------------------------


def add_to_parser(parser: argparse.ArgumentParser, options: Iterable[Option] = TABLE) -> None:
    """Give a parser these options; `check` reads their values."""
    for option in options:
        if option.kind is bool:
            parser.add_argument(
                option.flag, action="store_const", const=True, dest=option.name, help=option.help
            )
            continue
        parser.add_argument(
            option.flag,
            *(flag(alias) for alias in option.aliases if alias != "key"),
            dest=option.name,
            metavar=option.metavar.replace("%", "%%"),
            help=option.help.replace("%", "%%"),
        )


def markdown(options: Iterable[Option] = TABLE) -> str:
    """The table as a page shows it."""
    lines = ["| option | value | meaning |", "|---|---|---|"]
    for option in options:
        value = f"`{option.metavar}`".replace("|", "\\|") if option.metavar else ""
        lines.append(f"| `{option.flag}` | {value} | {option.help} |")
    return "\n".join(lines) + "\n"
