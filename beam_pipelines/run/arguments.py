"""The command line of the Beam job: its parser, made from the one table, and what is mistyped."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.run import job_options
from beam_pipelines.run.submission import of_engines
from streampca.files import options

DEFAULT_RUNNER = "FnApiRunner"
"""Named, because Beam's DirectRunner first tries to download another runner."""

NEEDED = ("input", "window", "n_components", "output")
"""Options that have no default."""


def refuse_unknown(beam_options: Sequence[str]) -> None:
    """Raise for an option that neither this job nor Beam nor the engine knows.

    Beam itself drops such an option, and the job runs without what it should have said.

    Raises
    ------
    ValueError
        Naming the option, and the nearest that is known.

    Examples
    --------
    >>> refuse_unknown(["--half-lif", "1h"])
    Traceback (most recent call last):
        ...
    ValueError: there is no option --half-lif: did you mean --half-life?
    """
    known = _names_of(parser()) | _beam_names()
    for option in beam_options:
        name = option.partition("=")[0]
        if not name.startswith("--") or name in known or name.replace("-", "_") in known:
            continue
        if name[2:].replace("-", "_") in of_engines(beam_options):
            continue
        options.refuse_unknown([name[2:]], sorted(each[2:] for each in known), say="--{}".format)


def _names_of(parser: argparse.ArgumentParser) -> set[str]:
    return {text for action in parser._actions for text in action.option_strings}


@functools.cache
def _beam_names() -> set[str]:
    """The options that Beam's Python packages declare."""
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    for declared in set(PipelineOptions.__subclasses__()):
        declared._add_argparse_args(parser)  # type: ignore[arg-type]
    return _names_of(parser) | {"--runner", "--help"}


def parser() -> argparse.ArgumentParser:
    """The parser of the job: its own options, and those of the table."""
    made = argparse.ArgumentParser(
        prog="python -m beam_pipelines.run",
        description="Learn ordered principal components from files, window by window.",
        epilog="Any Beam pipeline option may follow, such as --runner=DataflowRunner; the default "
        f"is --runner={DEFAULT_RUNNER}, in this process.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "--input",
        nargs="+",
        metavar="FILES",
        help="Parquet, CSV or JSON lines; patterns such as 'day*.csv' or gs://bucket/*.parquet; "
        "kafka://broker:9092/topic or pubsub://PROJECT/SUBSCRIPTION",
    )
    add("--window", metavar="W", help="1h, fixed:3600, sliding:1h,10m, session:10m or global")
    add(
        "--n-components",
        type=_components,
        metavar="P",
        help="how many, or the share of variance to explain, such as 0.95, or parallel",
    )
    add("--output", metavar="STORE", help="folder or URI for the checkpoints")
    options.add_to_parser(made, [each for each in options.TABLE if each.kind is not bool])
    job_options.add(made)
    return made


def _components(text: str) -> int | float | str:
    try:
        return options.number_or_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
