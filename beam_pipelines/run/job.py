"""The options of a command line, checked with its files before a pipeline is built."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms.window import GlobalWindows, WindowFn

from beam_pipelines.rows import parse
from beam_pipelines.run import job_options
from beam_pipelines.run.arguments import DEFAULT_RUNNER, NEEDED, parser, refuse_unknown
from beam_pipelines.run.record import JobRecord
from beam_pipelines.run.submission import check, check_clock
from beam_pipelines.run.topic_job import OWN_TIME, KafkaInput, kafka_input
from beam_pipelines.sources import (
    TOPICS,
    PubSubInput,
    Watching,
    find_files,
    pubsub_columns,
    pubsub_input,
)
from beam_pipelines.stores import absolute
from streampca.files import BadRows, Columns, Topic, check_topics, choose_columns, names, options

_log = logging.getLogger(__name__)


def say(text: str) -> None:
    """Report to whoever started the job, beside its result."""
    print(text, file=sys.stderr)


class Job(NamedTuple):
    """The options of the command line, checked."""

    paths: list[str]
    columns: Columns
    asked: dict[str, Any]  # options of the table
    windowfn: WindowFn
    n_components: int | float | str | None
    output: str | None
    carry: bool
    bad_rows: str | None
    skip: bool  # bad rows are counted and go nowhere
    beam_options: list[str]
    parameters: dict[str, Any]  # of LearnComponents, besides
    lateness: float = 0.0  # seconds
    resume: bool = False
    record: JobRecord | None = None
    watching: Watching | None = None
    topic: Topic | None = None  # of Kafka, if that is the input
    messages: KafkaInput | PubSubInput | None = None

    @property
    def unending(self) -> bool:
        """Whether it never ends by itself."""
        return self.messages is not None and not self.messages.ends


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
    job = job_of(
        given.input,
        given.window,
        given.n_components,
        absolute(given.output),
        asked,
        carry=not given.no_carry,
        beam_options=beam_options,
        more=job_options.parameters(given),
        say=say,
    )
    if job.paths[0].startswith(TOPICS):
        job = _with_messages(job, job_options.parameters(given), resume=given.resume)
        beam_options = job.beam_options
    streaming = PipelineOptions(beam_options).view_as(StandardOptions).streaming
    if job.watching is not None:
        job = job._replace(beam_options=[*beam_options, *([] if streaming else ["--streaming"])])
        _check_resumed(job, "--watch-delay", resume=given.resume)
        instead = "leave --watch out, and learn the files that are there"
        check_clock(beam_options, "files that are still to come", instead)
    elif job.messages is not None:
        _check_resumed(job, "--message-delay", resume=given.resume)
    elif given.resume and streaming:
        raise ValueError(
            "--resume is for a bounded job, and --streaming makes it a stream: leave --streaming "
            "out, or drain the stream and start another job"
        )
    places = {"--input": job.paths[0], "--output": job.output, "--bad-rows": job.bad_rows}
    check(beam_options, {name: path for name, path in places.items() if path})
    return job._replace(resume=given.resume)


def _with_messages(job: Job, given: Mapping[str, Any], *, resume: bool) -> Job:
    """The job with what its brokers say."""
    store = str(job.output)
    if job.topic is None:
        found: Any = pubsub_input(job.paths[0], job.asked, job.windowfn, resume=resume)
    else:
        where = job.topic, job.columns, job.asked, given, job.windowfn, job.beam_options, store
        found = kafka_input(*where, resume=resume, say=say)
    if not found.ends and job.bad_rows is not None and os.path.isfile(job.bad_rows):
        raise ValueError(f"--bad-rows {job.bad_rows} is a file: of a stream it is a folder")
    streaming = [] if found.ends or "--streaming" in job.beam_options else ["--streaming"]
    return job._replace(messages=found, beam_options=[*job.beam_options, *streaming])


def _check_resumed(job: Job, instead: str, *, resume: bool) -> None:
    """Raise if rows would be lost when the job is resumed."""
    for name, given in (
        ("--allowed-lateness", job.lateness),
        ("--early-every", job.parameters.get("early_every")),
    ):
        if resume and given:
            raise ValueError(
                f"--resume: with {name} no checkpoint says which rows of its window it has; let "
                f"rows come late by {instead} instead, and give another --output"
            )


def job_of(
    files: list[str],
    window: str,
    n_components: int | float | str | None,
    output: str | None,
    asked: dict[str, Any],
    *,
    carry: bool = True,
    beam_options: Sequence[str] = (),
    more: Mapping[str, Any] = MappingProxyType({}),
    say: Any = _log.info,
) -> Job:
    """Return a job, checked with the first of its files.

    Raises
    ------
    ValueError
        If it cannot be run as it stands: no such file, column, window.
    """
    asked = dict(asked)
    windowfn = parse(window)
    is_topic = any(each.startswith(TOPICS) for each in files)  # whose messages have times
    if "timestamp_column" not in asked and not (is_topic or isinstance(windowfn, GlobalWindows)):
        raise ValueError("--timestamp-column is needed for every window but global")
    if is_topic and more.get("watch") is not None:
        raise ValueError(f"--watch is for files that are still to come, and {files[0]} is a topic")
    mode = asked.pop("bad_rows", "fail")
    file = BadRows.file_of(os.fspath(mode))
    bad_rows = None if file is None else absolute(file)
    paths, topic, columns = _input([absolute(each) for each in files], asked, say)
    names.refuse_inputs([("--bad-rows", bad_rows), ("--output", output)], paths)
    if isinstance(n_components, int) and n_components > len(columns.names):
        raise ValueError(
            f"--n-components {n_components} is more than the {len(columns.names)} features "
            f"of {paths[0]}"
        )
    more = dict(more)
    watching = _watching({name: more.pop(name, None) for name in job_options.OF_FILES_TO_COME})
    of_messages = {name: more.pop(name, None) for name in job_options.OF_MESSAGES}
    for name, value in of_messages.items():
        if value is not None and topic is None:
            raise ValueError(f"{options.flag(name)} is of kafka://, and {paths[0]} is none")
    if watching is not None and "timestamp_column" not in asked:
        raise ValueError("--watch needs --timestamp-column: rows say when windows are closed")
    if watching is not None and watching.total is None and isinstance(windowfn, GlobalWindows):
        raise ValueError(
            "--window global is never closed while files are watched for: give a length such as "
            "1h, or --watch-for"
        )
    parameters = _parameters(asked, more)
    lateness = parameters.pop("allowed_lateness", 0.0)
    job = Job(
        paths=paths if watching is None else [absolute(each) for each in files],
        columns=columns,
        asked=asked,
        windowfn=windowfn,
        n_components=n_components,
        output=output,
        carry=carry,
        bad_rows=bad_rows,
        skip=mode == "skip",
        beam_options=list(beam_options),
        parameters=parameters,
        lateness=lateness,
        watching=watching,
        topic=topic,
    )
    return job._replace(record=_record(job, window, of_messages))


def _input(
    files: list[str], asked: dict[str, Any], say: Any
) -> tuple[list[str], Topic | None, Columns]:
    """Paths of the input, the topic if it is one, and the columns."""
    if len(files) == 1 and files[0].startswith("pubsub://"):
        return files, None, pubsub_columns(files[0], asked)
    sources = find_files(files, asked.get("input_format"))
    if sources[0].is_topic:
        asked.setdefault("timestamp_column", OWN_TIME)
    check_topics(sources, asked, options.flag)
    columns = choose_columns(sources[0], asked, say=say)
    topic = sources[0] if isinstance(sources[0], Topic) else None
    return [source.path for source in sources], topic, columns


def _record(job: Job, window: str, of_messages: Mapping[str, Any]) -> JobRecord:
    """The options on which the checkpoints depend, as JSON values."""
    wanted = job.asked | job.parameters
    wanted |= {"window": window, "n_components": job.n_components, "carry": job.carry}
    wanted |= {"columns": job.columns.names, "allowed_lateness": job.lateness}
    if job.watching is not None:  # which files there are is not known
        wanted |= {"watch": job.paths, "watch_delay": job.watching.delay}
    paths = job.paths if job.watching is None else []
    if job.paths[0].startswith(TOPICS):  # brokers and where to begin may be others
        wanted = {name: wanted[name] for name in wanted if name not in options.OF_A_RUN}
        delay = of_messages["message_delay"] or 0.0
        wanted |= {"topic": job.topic and job.topic.topic, "message_delay": delay}
        paths = []
    return JobRecord.of(json.loads(json.dumps(wanted, default=str)), paths)


def _watching(given: dict[str, Any]) -> Watching | None:
    every, delay, total = (given[name] for name in job_options.OF_FILES_TO_COME)
    if every is None:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{options.flag(name)} needs --watch: how often to see what came")
        return None
    return Watching(every, delay or 0.0, total)


def _parameters(asked: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of LearnComponents by the options of the table, and by those of the job."""
    shared = ("missing", "memory", "scale")
    found = {name: asked[name] for name in shared if name in asked} | dict(more)
    if "half_life" in asked and "forgetting_factor" in found:
        raise ValueError(
            "--half-life and --forgetting-factor both say how fast to forget: give one of them"
        )
    if "half_life" in asked:
        found |= job_options.forgetting(asked["half_life"], "--half-life")
    return found
