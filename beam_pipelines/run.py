r"""The main job: files of rows in, checkpoints of ordered components out.

    python -m beam_pipelines.run --input 'plant/*.parquet' --timestamp-column time \
        --key-column press --window 1h --n-components 4 --output checkpoints

Any Beam pipeline option may follow, for example ``--runner=DataflowRunner``; by default everything
runs in this process on Beam's FnApiRunner, which needs no network.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.window import GlobalWindows, WindowFn

from beam_pipelines.arguments import DEFAULT_RUNNER, parser, refuse_unknown
from beam_pipelines.formats import find_files, source_of
from beam_pipelines.learning import parse
from beam_pipelines.reading import ReadRows
from beam_pipelines.rows import BAD_ROWS, BadRow
from beam_pipelines.stores import WriteCheckpoints
from beam_pipelines.transforms import LearnComponents
from streampca.files import Columns, Order, choose_columns, names, no_rows, options

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """What the command line asks for, checked."""

    paths: list[str]
    columns: Columns
    asked: dict[str, Any]  # options of the table
    windowfn: WindowFn
    n_components: int | float | None
    output: str | None
    carry: bool
    memory: str
    bad_rows: str | None
    skip: bool  # bad rows are counted and go nowhere
    beam_options: list[str]
    parameters: dict[str, Any]  # of LearnComponents, besides


class Summary(NamedTuple):
    """What a job did, as far as its runner counts."""

    rows: int
    bad_rows: int
    checkpoints: int
    rows_out_of_order: int
    repeated_times: int


def read_arguments(argv: Sequence[str] | None = None) -> Job:
    """Return the job that a command line asks for.

    Raises
    ------
    ValueError
        If it cannot be run as it stands: no such file, column, window.
    """
    given, beam_options = parser().parse_known_args(argv)
    refuse_unknown(beam_options)
    asked = options.check(
        {each.name: getattr(given, each.name) for each in options.TABLE}, say=options.flag
    )
    for name in ("input", "window", "n_components", "output"):
        if getattr(given, name) is None:
            raise ValueError(f"{options.flag(name)} is needed; --help says what it is")
    if not any(re.match(r"--runner(=|$)", option) for option in beam_options):
        beam_options = [f"--runner={DEFAULT_RUNNER}", *beam_options]
    return job_of(
        given.input,
        given.window,
        given.n_components,
        given.output,
        asked,
        carry=not given.no_carry,
        moments=given.moments,
        beam_options=beam_options,
        say=_say,
    )


def job_of(
    files: list[str],
    window: str,
    n_components: int | float | None,
    output: str | None,
    asked: dict[str, Any],
    *,
    carry: bool = True,
    moments: str | int = "all",
    beam_options: Sequence[str] = (),
    say: Any = _log.info,
) -> Job:
    """Return a job, held against the first of its files.

    Raises
    ------
    ValueError
        If it cannot be run as it stands: no such file, column, window.
    """
    asked = dict(asked)
    windowfn = parse(window)
    if "timestamp_column" not in asked and not isinstance(windowfn, GlobalWindows):
        raise ValueError("--timestamp-column is needed for every window but global")
    mode = asked.pop("bad_rows", "fail")
    bad_rows = None if mode in ("fail", "skip") else mode
    sources = find_files(files, asked.get("input_format"))
    names.refuse_inputs([("--bad-rows", bad_rows), ("--output", output)], sources)
    columns = choose_columns(sources[0], asked, say=say)
    if isinstance(n_components, int) and n_components > len(columns.names):
        raise ValueError(
            f"--n-components {n_components} is more than the {len(columns.names)} features "
            f"of {sources[0].name}"
        )
    return Job(
        paths=[source.path for source in sources],
        columns=columns,
        asked=asked,
        windowfn=windowfn,
        n_components=n_components,
        output=output,
        carry=carry,
        memory=asked.get("memory", "auto"),
        bad_rows=bad_rows,
        skip=mode == "skip",
        beam_options=list(beam_options),
        parameters=_parameters(asked) | {"moments": moments},
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


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Add the steps of a job to a pipeline."""
    checkpoints, bad = learned(pipeline, job, bad_rows=job.skip or job.bad_rows is not None)
    _ = checkpoints | "WriteCheckpoints" >> WriteCheckpoints(str(job.output))
    if job.bad_rows is not None:
        _ = (
            bad
            | "AsJson" >> beam.Map(_as_json).with_output_types(str)
            | "WriteBadRows" >> beam.io.WriteToText(job.bad_rows, shard_name_template="")
        )


def learned(pipeline: Any, job: Job, *, bad_rows: bool) -> tuple[Any, Any]:
    """Checkpoints of a job's files, and bad rows in the global window, if they are an output."""
    read = (
        pipeline
        | "Files" >> beam.Create(job.paths)
        | "ReadRows" >> ReadRows(job.columns, job.asked, job.windowfn, bad_rows)
    )
    found = (
        read.rows
        | "Windows" >> beam.WindowInto(job.windowfn)
        | "LearnComponents"
        >> LearnComponents(
            job.n_components,
            features=job.columns.names,
            carry=job.carry,
            bad_rows=bad_rows,
            memory=job.memory,
            **job.parameters,
        )
    )
    if not bad_rows:
        return found, None
    late_found = found.bad_rows | "OneWindow" >> beam.WindowInto(GlobalWindows())
    return found.checkpoints, (read[BAD_ROWS], late_found) | "BadRows" >> beam.Flatten()


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
    except (ValueError, OSError) as error:
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
    elif summary.bad_rows:
        text += f"; {summary.bad_rows:,} bad rows skipped"
    order = Order(summary.rows_out_of_order, summary.repeated_times).said()
    if order is not None:
        _say(order)
    if summary.rows == 0 and _counts(job):
        sources = [source_of(path, job.asked.get("input_format")) for path in job.paths]
        print(f"error: {no_rows(sources, summary.bad_rows)}", file=sys.stderr)
        return 1
    print(text)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _counts(job: Job) -> bool:
    """Whether the runner is one in this process, which counts everything."""
    found = [option for option in job.beam_options if "Runner" in option]
    return any(each in found[0] for each in ("FnApiRunner", "DirectRunner"))


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


def _as_json(bad: BadRow) -> str:
    return json.dumps({"reason": bad.reason, "key": bad.key, "row": bad.element}, default=str)


if __name__ == "__main__":
    sys.exit(main())
