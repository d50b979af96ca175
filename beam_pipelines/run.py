r"""The main job: files of rows in, checkpoints of ordered components out.

    python -m beam_pipelines.run --input 'plant/*.parquet' --timestamp-column time \
        --key-column press --window 1h --n-components 4 --output checkpoints

Any Beam pipeline option may follow, for example ``--runner=DataflowRunner``; by default everything
runs in this process on Beam's FnApiRunner, which needs no network.
"""

from __future__ import annotations

import argparse
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
from streampca._asked import column_names, number_or_share
from streampca._cells import UNITS

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
    paths = find_files(given.input)
    features = None if given.features is None else column_names(given.features)
    columns = choose_columns(
        paths[0], given.timestamp_column, given.key_column, features, given.timestamp_unit
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
        memory=given.memory,
        bad_rows=given.bad_rows,
        beam_options=beam_options,
    )


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
        required=True,
        metavar="FILES",
        help="Parquet, CSV or JSON lines; patterns such as 'day*.csv' or gs://bucket/*.parquet",
    )
    add("--timestamp-column", required=True, metavar="C", help="when each row happened")
    add(
        "--timestamp-unit",
        choices=UNITS,
        default="s",
        help="of timestamps that are numbers since 1970 (default: s)",
    )
    add("--key-column", metavar="K", help="one model for each value of this column")
    add(
        "--features",
        metavar="A,B,...",
        help="columns to learn from (default: all others)",
    )
    add(
        "--window",
        required=True,
        metavar="W",
        help="1h, fixed:3600, sliding:1h,10m, session:10m or global",
    )
    add(
        "--n-components",
        type=_components,
        required=True,
        metavar="P",
        help="how many, or the share of variance to explain, such as 0.95",
    )
    add("--output", required=True, metavar="STORE", help="folder or URI for the checkpoints")
    add(
        "--no-carry",
        action="store_true",
        help="each window's own components instead of the running model's",
    )
    add(
        "--memory",
        choices=("auto", "dense", "factored"),
        default="auto",
        help="what is remembered of the stream (default: auto)",
    )
    add(
        "--bad-rows",
        metavar="FILE",
        help="write rows that cannot be used here, as JSON lines with the reason; without it the "
        "first of them ends the job",
    )
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
