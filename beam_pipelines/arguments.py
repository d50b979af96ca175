"""The command line of the main job: read, checked, and told from the options of Beam."""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import WindowFn

from beam_pipelines import job_options
from beam_pipelines.formats import find_files
from beam_pipelines.record import JobRecord
from beam_pipelines.submission import absolute, of_engines
from beam_pipelines.submission import check as check_submission
from beam_pipelines.windows import parse
from streampca._asked import number_or_share
from streampca.files import names, options
from streampca.files.columns import Columns, choose_columns

DEFAULT_RUNNER = "FnApiRunner"
"""Named, because Beam's DirectRunner first tries to download another runner."""


NEEDED = ("input", "window", "n_components", "output")
"""Options that have no default."""


class Job(NamedTuple):
    """What the command line asks for, checked."""

    paths: list[str]
    columns: Columns
    asked: dict[str, Any]  # options of the table
    windowfn: WindowFn
    n_components: int | float | None
    output: str
    carry: bool
    bad_rows: str | None
    skip: bool  # bad rows are counted and go nowhere
    beam_options: list[str]
    parameters: dict[str, Any]  # of LearnComponents, besides
    lateness: float  # seconds
    resume: bool
    record: JobRecord


def read_arguments(argv: Sequence[str] | None = None) -> Job:
    """Return the job that a command line asks for.

    Raises
    ------
    ValueError
        If it cannot be run as it stands: no such file, column, window.
    """
    given, beam_options = parser().parse_known_args(argv)
    if not any(re.match(r"--runner(=|$)", option) for option in beam_options):
        beam_options = [f"--runner={DEFAULT_RUNNER}", *beam_options]
    refuse_unknown(beam_options)
    asked = options.check(
        {each.name: getattr(given, each.name) for each in options.TABLE}, say=options.flag
    )
    for name in NEEDED:
        if getattr(given, name) is None:
            raise ValueError(f"{options.flag(name)} is needed; --help says what it is")
    if "timestamp_column" not in asked and given.window != "global":
        raise ValueError("--timestamp-column is needed for every window but global")
    windowfn = parse(given.window)
    parameters = _parameters(asked, given)
    mode = asked.pop("bad_rows", "fail")
    bad_rows = None if mode in ("fail", "skip") else absolute(mode)
    output = absolute(given.output)
    sources = find_files([absolute(each) for each in given.input], asked.get("input_format"))
    names.refuse_inputs([("--bad-rows", bad_rows), ("--output", output)], sources)
    columns = choose_columns(sources[0], asked, say=say)
    if isinstance(given.n_components, int) and given.n_components > len(columns.names):
        raise ValueError(
            f"--n-components {given.n_components} is more than the {len(columns.names)} features "
            f"of {sources[0].name}"
        )
    paths = [source.path for source in sources]
    places = {"--input": paths[0], "--output": output} | (
        {"--bad-rows": bad_rows} if bad_rows else {}
    )
    check_submission(beam_options, places)
    lateness = parameters.pop("allowed_lateness", 0.0)
    # What the checkpoints depend on, as a record can hold it.
    wanted = (
        asked
        | parameters
        | {
            "window": given.window,
            "n_components": given.n_components,
            "carry": not given.no_carry,
            "columns": columns.names,
            "allowed_lateness": lateness,
        }
    )
    return Job(
        paths=paths,
        columns=columns,
        asked=asked,
        windowfn=windowfn,
        n_components=given.n_components,
        output=output,
        carry=not given.no_carry,
        bad_rows=bad_rows,
        skip=mode == "skip",
        beam_options=beam_options,
        parameters=parameters,
        lateness=lateness,
        resume=given.resume,
        record=JobRecord.of(json.loads(json.dumps(wanted, default=str)), paths),
    )


def _parameters(asked: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Parameters of LearnComponents by the options of both tables."""
    found: dict[str, Any] = {name: asked[name] for name in ("missing", "memory") if name in asked}
    found |= job_options.check(vars(given))
    found |= {"whiten": True} if given.whiten else {}
    found |= {"center": False} if given.no_center else {}
    if "half_life" in asked and "forgetting_factor" in found:
        raise ValueError(
            "--half-life and --forgetting-factor both say how fast to forget: give one of them"
        )
    if "half_life" in asked:
        rows, seconds = options.half_life_of(asked["half_life"], "--half-life")
        found |= (
            {"half_life": seconds} if rows is None else {"forgetting_factor": 0.5 ** (1 / rows)}
        )
    return found


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
        options.refuse_unknown([name[2:]], sorted(each[2:] for each in known), say=_dashed)


def _dashed(name: str) -> str:
    return f"--{name}"


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
    """Return the parser of the job's own options; those of Beam follow."""
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
        help="Parquet, CSV or JSON lines; patterns such as 'day*.csv' or gs://bucket/*.parquet",
    )
    add(
        "--window",
        metavar="W",
        help="1h, fixed:3600, sliding:1h,10m, session:10m or global",
    )
    add(
        "--n-components",
        type=_components,
        metavar="P",
        help="how many, or the share of variance to explain, such as 0.95",
    )
    add("--output", metavar="STORE", help="folder or URI for the checkpoints")
    options.add_to_parser(made)
    job_options.add(made)
    return made


def _components(text: str) -> int | float:
    try:
        return number_or_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def say(text: str) -> None:
    """Tell whoever started the job."""
    print(text, file=sys.stderr)
