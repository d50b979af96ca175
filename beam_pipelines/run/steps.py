"""The steps of the main job, and its command: what it prints, and with which code it ends."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.window import GlobalWindows

from beam_pipelines.rows import BAD_ROWS
from beam_pipelines.run.bad_files import WriteBadFiles, bad_line
from beam_pipelines.run.job import Job, read_arguments, say
from beam_pipelines.run.progress import KeepProgress
from beam_pipelines.run.record import begin, end
from beam_pipelines.run.submission import check_workers, last_error
from beam_pipelines.run.topic_job import KafkaInput, grain_of, reach_of
from beam_pipelines.sources import Incoming, ReadRows, WatchFiles, source_of
from beam_pipelines.stores import WriteCheckpoints
from beam_pipelines.transforms import LearnComponents
from streampca.files import Order, counted, no_rows

_HOUR = 3_600_000_000
"""Microseconds of bad rows in a file, where windows give no length."""


class Summary(NamedTuple):
    """What a job did, as far as its runner counts."""

    rows: int
    bad_rows: int
    checkpoints: int
    rows_out_of_order: int
    repeated_times: int
    learned_rows: int = 0


class Outputs(NamedTuple):
    """The outputs of the steps that learn."""

    checkpoints: Any
    bad_rows: Any  # in the global window; None: they fail the job
    marks: Any = None  # of a topic of Kafka, as `KeepProgress` takes them


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Add the steps of a job to a pipeline."""
    store = str(job.output)
    found = learned(pipeline, job, bad_rows=job.skip or job.bad_rows is not None)
    written = [found.checkpoints | "WriteCheckpoints" >> WriteCheckpoints(store)]
    if job.bad_rows is not None and job.unending:
        span = grain_of(job.windowfn) if reach_of(job.windowfn) == 0 else None
        bad_files = WriteBadFiles(job.bad_rows, span or _HOUR, job.lateness)
        written.append(found.bad_rows | "WriteBadRows" >> bad_files)
    elif job.bad_rows is not None:
        _ = (
            found.bad_rows
            | "AsJson" >> beam.Map(bad_line).with_output_types(str)
            | "WriteBadRows" >> beam.io.WriteToText(job.bad_rows, shard_name_template="")
        )
    reach = reach_of(job.windowfn)
    if isinstance(job.messages, KafkaInput) and job.unending and reach is not None:
        topic, offsets = job.messages.progress.topic, job.messages.progress.offsets
        keep = KeepProgress(store, topic, len(offsets), reach)
        _ = (found.marks, *written) | "KeepProgress" >> keep


def learned(pipeline: Any, job: Job, *, bad_rows: bool) -> Outputs:
    """What a job learns of its input, and its bad rows, if they are an output."""
    learn = LearnComponents(
        job.n_components,
        features=job.columns.names,
        carry=job.carry,
        bad_rows=bad_rows,
        resume_from=job.output if job.resume else None,
        rerun=job.resume,
        **job.parameters,
    )
    read = _read(pipeline, job, learn, bad_rows)
    found = (
        read.rows
        | "Windows" >> beam.WindowInto(job.windowfn, allowed_lateness=job.lateness)
        | "LearnComponents" >> learn
    )
    if not bad_rows:
        return Outputs(found, None, read.marks)
    late_found = found.bad_rows | "OneWindow" >> beam.WindowInto(GlobalWindows())
    bad = (read.bad_rows, late_found) | "BadRows" >> beam.Flatten()
    return Outputs(found.checkpoints, bad, read.marks)


def _read(pipeline: Any, job: Job, learn: LearnComponents, bad_rows: bool) -> Incoming:
    if job.messages is not None:
        return job.messages.read(pipeline, bad_rows=bad_rows)
    reads = ReadRows(
        job.columns,
        job.asked,
        job.windowfn,
        bad_rows,
        in_order=learn.needs_rows,
        carry=job.carry,
        parts=job.watching is None,
    )
    read = _files(pipeline, job) | "ReadRows" >> reads
    return Incoming(read.rows, read[BAD_ROWS])


def _files(pipeline: Any, job: Job) -> Any:
    if job.watching is None:
        return pipeline | "Files" >> beam.Create(list(enumerate(job.paths)))
    return pipeline | "Files" >> WatchFiles(job.paths, job.columns, job.asked, job.watching)


def run(pipeline: beam.Pipeline, job: Job) -> Summary:
    """Run a job, of which these are the steps, to its end.

    Raises
    ------
    RuntimeError
        If the pipeline failed; its text holds the reason.
    """
    check_workers(job.beam_options)
    result = pipeline.run()
    try:
        state = result.wait_until_finish()
    except KeyboardInterrupt:
        result.cancel()
        raise
    if state in (PipelineState.FAILED, PipelineState.CANCELLED):
        raise RuntimeError(f"the pipeline ended as {state}")
    counters = result.metrics().query(MetricsFilter().with_namespace("streampca"))["counters"]
    counts: dict[str, int] = {}
    for counter in counters:
        name = counter.key.metric.name
        counts[name] = counts.get(name, 0) + (counter.result or 0)  # None: the runner lost it
    counts["bad_rows"] = counts.get("bad_rows", 0) + counts.pop("bad_messages", 0)
    return Summary(*(counts.get(name, 0) for name in Summary._fields))


def main(argv: Sequence[str] | None = None) -> int:
    """Run from a command line; returns 0, 1 if the pipeline failed, 2 if it could not start."""
    try:
        job = read_arguments(argv)
        pipeline = beam.Pipeline(options=PipelineOptions(job.beam_options))
        build(pipeline, job)
        assert job.record is not None
        begin(job.record, str(job.output), job.resume)
        if job.messages is not None:
            job.messages.begin(str(job.output))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        summary = run(pipeline, job)
    except KeyboardInterrupt:
        say_last("interrupted; the same command with --resume goes on")
        return 130
    except Exception as error:  # noqa: BLE001 - whatever a runner raises becomes one line
        say_last(f"error: {reason(error)}")
        return 1
    if job.watching is not None:
        end(job.record, str(job.output))
    # A number only where it was counted: some runners lose what the timers of windows count.
    lost = summary.learned_rows > 0 and summary.checkpoints == 0 and not job.resume
    made = "checkpoints" if lost else counted(summary.checkpoints, "checkpoint")
    text = f"{made} of {counted(summary.rows, 'row')} in {job.output}"
    bad = counted(summary.bad_rows, "bad row")
    if job.bad_rows is not None:
        text += f"; {bad} in {job.bad_rows}"
    elif summary.bad_rows:
        text += f"; {bad} skipped"
    order = Order(summary.rows_out_of_order, summary.repeated_times).said()
    if order is not None:
        say(order)
    if summary.rows == 0 and _counts(job):
        sources = [source_of(path, job.asked.get("input_format")) for path in job.paths]
        print(f"error: {no_rows(sources, summary.bad_rows)}", file=sys.stderr)
        return 1
    print(text)
    return _complete(summary, job)


def _complete(summary: Summary, job: Job) -> int:
    """0 where all rows that were read have been learned, as far as the runner counts; else 1."""
    lost = summary.rows - summary.learned_rows
    if lost <= 0 or summary.learned_rows == 0 or job.resume:  # rows that are held are not learned
        return 0
    say_last(
        f"error: {lost:,} of the {summary.rows:,} rows that were read have not been learned: the "
        "runner lost them, or dropped them as too late. Checkpoints from their windows on are "
        "without them: run the job again, into another folder"
    )
    return 1


def say_last(text: str) -> None:
    """Say something after whatever runners and workers log of it, in threads of their own."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    say(text)


def _counts(job: Job) -> bool:
    """Whether the runner is one in this process, which counts everything."""
    found = [option for option in job.beam_options if "Runner" in option]
    return any(each in found[0] for each in ("FnApiRunner", "DirectRunner"))


def reason(error: BaseException) -> str:
    r"""Return the sentence inside a runner's exception, which holds complete tracebacks as text.

    Examples
    --------
    >>> reason(RuntimeError("Traceback ...\nValueError: row 3 is bad [while running 'Read']"))
    'row 3 is bad'
    """
    text = str(error)
    told = re.findall(r'^\s*details = "(.+)"$', text, re.MULTILINE)
    if told:  # of gRPC, whose lines are no sentences
        return str(told[-1])
    return re.sub(r"\s*\[while running .*\]$", "", last_error(error))
