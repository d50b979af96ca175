r"""The main job: files of rows in, checkpoints of ordered components out.

    python -m beam_pipelines.run --input 'plant/*.parquet' --timestamp-column time \
        --key-column press --window 1h --n-components 4 --output checkpoints

Any Beam pipeline option may follow, for example ``--runner=DataflowRunner``; by default everything
runs in this process on Beam's FnApiRunner, which needs no network.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.window import GlobalWindows, WindowFn

from beam_pipelines.files import WriteCheckpoints
from beam_pipelines.reading import ReadRows, choose_columns, find_files
from beam_pipelines.rows import BAD_ROWS, BadRow
from beam_pipelines.transforms import LearnComponents
from beam_pipelines.windows import parse
from streampca._asked import number_or_share
from streampca.files import options

DEFAULT_RUNNER = "FnApiRunner"
"""Named, because Beam's DirectRunner first tries to download another runner."""


class Job(NamedTuple):
    """What the command line asks for, checked."""

    paths: list[str]
    columns: Any
    windowfn: WindowFn
    n_components: int | float | None
    output: str
    carry: bool
    memory: str
    bad_rows: str | None
    beam_options: list[str]
    parameters: dict[str, Any]  # of LearnComponents, besides


class Summary(NamedTuple):
    """What a job did, as far as its runner counts."""

    rows: int
    bad_rows: int
    checkpoints: int


def read_arguments(argv: Sequence[str] | None = None) -> Job:
    """Return the job that a command line asks for.

    Raises
    ------
    ValueError
        If it cannot be run as it stands: no such file, column, window.
    """
    given, beam_options = _parser().parse_known_args(argv)
    refuse_unknown(beam_options)
    for name in ("input", "timestamp_column", "window", "n_components", "output"):
        if getattr(given, name) is None:
            raise ValueError(f"{options.flag(name)} is needed; --help says what it is")
    asked = options.check(
        {each.name: getattr(given, each.name) for each in options.TABLE}, say=options.flag
    )
    paths = find_files(given.input)
    columns = choose_columns(
        paths[0],
        asked["timestamp_column"],
        asked.get("key_column"),
        asked.get("columns"),
        asked.get("timestamp_unit", "s"),
    )
    if isinstance(given.n_components, int) and given.n_components > len(columns.names):
        raise ValueError(
            f"--n-components {given.n_components} is more than the {len(columns.names)} features "
            f"of {paths[0]}"
        )
    if not any(re.match(r"--runner(=|$)", option) for option in beam_options):
        beam_options = [f"--runner={DEFAULT_RUNNER}", *beam_options]
    return Job(
        paths=paths,
        columns=columns,
        windowfn=parse(given.window),
        n_components=given.n_components,
        output=given.output,
        carry=not given.no_carry,
        memory=asked.get("memory", "auto"),
        bad_rows=asked.get("bad_rows"),
        beam_options=beam_options,
        parameters=_parameters(asked),
    )


def _parameters(asked: dict[str, Any]) -> dict[str, Any]:
    """Parameters of LearnComponents by the options of the table."""
    found = {"missing": asked["missing"]} if "missing" in asked else {}
    if "half_life" in asked:
        rows, seconds = options.half_life_of(asked["half_life"], "--half-life")
        found |= (
            {"half_life": seconds} if rows is None else {"forgetting_factor": 0.5 ** (1 / rows)}
        )
    return found


def refuse_unknown(beam_options: Sequence[str]) -> None:
    """Raise for an option that neither this job nor Beam knows, with the nearest that is.

    What a portable runner's job server may know, Beam does not: there only what is nearly one of
    ours is refused.

    Raises
    ------
    ValueError
        Naming the option.

    Examples
    --------
    >>> refuse_unknown(["--half-lif", "1h"])
    Traceback (most recent call last):
        ...
    ValueError: there is no option --half-lif: did you mean --half-life?
    """
    ours = _names_of(_parser())
    known = ours | _beam_names()
    portable = any(
        re.search(r"(Portable|Flink|Spark|Prism|Samza)Runner", option) for option in beam_options
    )
    for option in beam_options:
        name = option.partition("=")[0]
        if not name.startswith("--") or name in known or name.replace("-", "_") in known:
            continue
        if portable and options.nearest(name[2:], [each[2:] for each in ours]) is None:
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


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Add the steps of a job to a pipeline."""
    asked = job.bad_rows is not None
    read = (
        pipeline
        | "Files" >> beam.Create(list(enumerate(job.paths)))
        | "ReadRows" >> ReadRows(job.columns, job.windowfn, asked, carry=job.carry)
    )
    learned = (
        read.rows
        | "Windows" >> beam.WindowInto(job.windowfn)
        | "LearnComponents"
        >> LearnComponents(
            job.n_components,
            features=job.columns.names,
            carry=job.carry,
            bad_rows=asked,
            memory=job.memory,
            **job.parameters,
        )
    )
    checkpoints = learned.checkpoints if asked else learned
    _ = checkpoints | "WriteCheckpoints" >> WriteCheckpoints(job.output)
    if job.bad_rows is not None:
        late_found = learned.bad_rows | "OneWindow" >> beam.WindowInto(GlobalWindows())
        _ = (
            (read[BAD_ROWS], late_found)
            | "BadRows" >> beam.Flatten()
            | "AsJson" >> beam.Map(_as_json).with_output_types(str)
            | "WriteBadRows" >> beam.io.WriteToText(job.bad_rows, shard_name_template="")
        )


def run(job: Job) -> Summary:
    """Run a job to its end.

    Raises
    ------
    RuntimeError
        If the pipeline failed; its text holds the reason.
    """
    pipeline = beam.Pipeline(options=PipelineOptions(job.beam_options))
    build(pipeline, job)
    result = pipeline.run()
    state = result.wait_until_finish()
    if state in (PipelineState.FAILED, PipelineState.CANCELLED):
        raise RuntimeError(f"the pipeline ended as {state}")
    counters = result.metrics().query(MetricsFilter().with_namespace("streampca"))["counters"]
    counts: dict[str, int] = {}
    for counter in counters:
        name = counter.key.metric.name
        counts[name] = counts.get(name, 0) + counter.result
    return Summary(*(counts.get(name, 0) for name in Summary._fields))


def main(argv: Sequence[str] | None = None) -> int:
    """Run from a command line; returns 0, 1 if the pipeline failed, 2 if it could not start."""
    try:
        job = read_arguments(argv)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        summary = run(job)
    except Exception as error:  # noqa: BLE001 - whatever a runner raises becomes one line
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    text = f"{summary.checkpoints:,} checkpoints of {summary.rows:,} rows in {job.output}"
    if job.bad_rows is not None:
        text += f"; {summary.bad_rows:,} bad rows in {job.bad_rows}"
    print(text)
    return 0


def reason(error: BaseException) -> str:
    r"""Return the sentence inside a runner's exception, which holds whole tracebacks as text.

    Examples
    --------
    >>> reason(RuntimeError("Traceback ...\nValueError: row 3 is bad [while running 'Read']"))
    'row 3 is bad'
    """
    text = str(error)
    found = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
    line = found[-1] if found else (text.strip().splitlines() or [type(error).__name__])[-1]
    return re.sub(r"\s*\[while running .*\]$", "", line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m beam_pipelines.run",
        description="Learn ordered principal components from files, window by window.",
        epilog="Any Beam pipeline option may follow, such as --runner=DataflowRunner; the default "
        f"is --runner={DEFAULT_RUNNER}, in this process.",
        allow_abbrev=False,
    )
    add = parser.add_argument
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
    add(
        "--no-carry",
        action="store_true",
        help="each window's own components instead of the running model's",
    )
    options.add_to_parser(parser)
    return parser


def _components(text: str) -> int | float:
    try:
        return number_or_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _as_json(bad: BadRow) -> str:
    return json.dumps({"reason": bad.reason, "key": bad.key, "row": bad.element}, default=str)


if __name__ == "__main__":
    sys.exit(main())
