"""What can be known to go wrong before a job is submitted: places, addresses, workers.

A job that is given to a cluster says nothing for minutes, or for good, where its address is dead,
its workers cannot start, or its files are on this machine. All of that is asked here first.
"""

from __future__ import annotations

import functools
import json
import os
import re
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import apache_beam as beam
import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineState

ANSWERS, STARTS = 10.0, 25.0
"""Seconds within which a job service has to answer, and workers to start."""

_REMOTE = ("DataflowRunner",)
"""Runners whose workers cannot have a file system in common with this machine."""

_HERE = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?):\d+$")


_ENGINES = """
    allow_non_restored_state attached_mode auto_balance_write_files_sharding_enabled
    auto_watermark_interval batch_interval_millis bundle_size checkpoint_dir
    checkpoint_duration_millis checkpoint_timeout_millis checkpointing_interval
    checkpointing_mode disable_metrics enable_spark_metric_sinks enable_stable_input_drain
    execution_mode_for_batch execution_retry_delay externalized_checkpoints_enabled
    fail_on_checkpointing_errors faster_copy file_input_split_max_size_m_b files_to_stage
    finish_bundle_before_checkpointing flink_conf_dir job_check_interval_in_secs
    latency_tracking_interval max_bundle_size max_bundle_time_mills max_parallelism
    max_records_per_batch min_pause_between_checkpoints num_concurrent_checkpoints
    number_of_execution_retries object_reuse operator_chaining parallelism
    re_iterable_group_by_key_result retain_externalized_checkpoints_on_cancellation
    savepoint_path shutdown_sources_after_idle_ms spark_master storage_level state_backend
    state_backend_factory state_backend_storage_path tolerable_checkpoint_failure_number
    unaligned_checkpoint_enabled
""".split()  # noqa: SIM905
"""Options of Beam's Flink and Spark runners, which only their job servers declare."""


@functools.cache
def _of_service(endpoint: str) -> frozenset[str]:
    """The options that a job service declares; none if it does not say."""
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            said = service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=ANSWERS
            )
        except grpc.RpcError:
            return frozenset()
        return frozenset(option.name for option in said.options)


def runner_of(options: PipelineOptions) -> str:
    """The name of a job's runner, without its module."""
    return str(options.view_as(StandardOptions).runner).rpartition(".")[2]


def of_engines(beam_options: Sequence[str]) -> frozenset[str]:
    """The options that the engine of a job knows, and Beam's Python packages do not."""
    options = PipelineOptions(list(beam_options))
    runner = runner_of(options)
    endpoint = options.view_as(PortableOptions).job_endpoint
    found: frozenset[str] = frozenset()
    if runner in ("FlinkRunner", "SparkRunner", "PortableRunner"):
        found |= frozenset(_ENGINES)
    if endpoint and endpoint != "embed":
        found |= _of_service(endpoint)
    return found


def check(beam_options: Sequence[str], paths: dict[str, str]) -> None:
    """Raise if a job with these options of Beam could not run.

    Parameters
    ----------
    beam_options : sequence of str
        As on the command line.
    paths : dict
        What the job reads and writes, by the option that says so.

    Raises
    ------
    ValueError
        It says what to do.
    """
    options = PipelineOptions(list(beam_options))
    runner = runner_of(options)
    for option, path in paths.items():
        if runner in _REMOTE and not FileSystems.get_scheme(path):
            raise ValueError(
                f"{option} {path} is on this machine, which workers of {runner} cannot see: give a "
                "gs:// path"
            )
    _check_prism(runner, options)
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint and endpoint != "embed":
        check_answer(
            f"--job_endpoint {endpoint}",
            endpoint,
            "start the job service there (Prism: `prism`; Flink: its job server), or correct the "
            "address",
        )
    pool = pool_of(options)
    if pool is not None and _HERE.match(pool):
        check_answer(
            f"--environment_config {pool}",
            pool,
            "start a pool of workers there, in an environment that has streampca: python -m "
            f"apache_beam.runners.worker.worker_pool_main --service_port={pool.rpartition(':')[2]}",
        )


def _check_prism(runner: str, options: PipelineOptions) -> None:
    location = options.view_as(PrismRunnerOptions).prism_location
    if runner != "PrismRunner" or not location or urlsplit(location).scheme:
        return
    if not os.path.isfile(location):
        raise ValueError(
            f"--prism_location {location}: there is no such file; install Prism with: go install "
            f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.version.__version__}"
        )


def pool_of(options: PipelineOptions) -> str | None:
    """The address of the pool of workers that a job is to run on; None if on none."""
    portable = options.view_as(PortableOptions)
    if str(portable.environment_type).upper() != "EXTERNAL":
        return None
    given = str(portable.environment_config or "")
    try:
        return str(json.loads(given)["url"]) if given.startswith("{") else given
    except (ValueError, LookupError):
        raise ValueError(
            f"--environment_config {given}: give HOST:PORT of a pool of workers"
        ) from None


_NO_CLOCK = ("FnApiRunner", "BundleBasedDirectRunner", "DirectRunner", "SwitchingDirectRunner")
"""Runners in this process: a source that has no end is never asked again, or for ever."""


def check_clock(beam_options: Sequence[str], what: str, instead: str) -> None:
    """Raise ValueError if the runner cannot run what never ends: its windows would stay open."""
    runner = runner_of(PipelineOptions(list(beam_options)))
    if runner in _NO_CLOCK:
        raise ValueError(
            f"--runner={runner} has no clock for {what}: give --runner=PrismRunner, or that of an "
            f"engine; or {instead}"
        )


def check_answer(called: str, address: str, advice: str) -> None:
    """Raise ValueError if nobody answers at an address."""
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWERS)
        except grpc.FutureTimeoutError:
            raise ValueError(
                f"{called}: nobody answers there within {ANSWERS:.0f} s; {advice}"
            ) from None


# --- workers --------------------------------------------------------------------------------------


def check_workers(beam_options: Sequence[str]) -> None:
    """Run one element through workers that the runner has to start, and wait for it.

    Runners wait for good for workers that cannot start. Containers are not asked: to fetch them may
    take longer than anybody would wait here.

    Raises
    ------
    RuntimeError
        If none is at work soon, or it lacks what the job needs.
    """
    options = PipelineOptions(list(beam_options))
    portable = options.view_as(PortableOptions)
    kind = str(portable.environment_type).upper()
    if kind not in ("EXTERNAL", "PROCESS"):
        return
    options.view_as(StandardOptions).streaming = False
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | beam.Create([beam.version.__version__], reshuffle=False) | beam.Map(_at_work)
    ended: list[Any] = []
    result = pipeline.run()
    waiting = threading.Thread(target=_wait, args=(result, ended), daemon=True)
    waiting.start()
    waiting.join(STARTS)
    where = f"--environment_type={kind} --environment_config={portable.environment_config}"
    if not ended:
        threading.Thread(target=result.cancel, daemon=True).start()
        raise RuntimeError(
            f"no worker has started within {STARTS:.0f} s: {_ADVICE[kind]} ({where})"
        )
    if isinstance(ended[0], Exception):
        raise RuntimeError(f"the workers cannot run this job, {_lacks(ended[0])} ({where})")


_NEEDS = f"apache_beam {beam.version.__version__} and streampca"

_ADVICE = {
    "EXTERNAL": "the pool runs `python` as its own PATH has it, which must have "
    f"{_NEEDS} (PATH=/path/to/venv/bin:$PATH); its output says more",
    "PROCESS": "the command of --environment_config must start a worker that has "
    f"{_NEEDS}; run it by hand to see what it says",
}


def _wait(result: Any, ended: list[Any]) -> None:
    try:
        ended.append(result.wait_until_finish())
    except Exception as error:  # noqa: BLE001 - whatever a runner raises is told to the other thread
        ended.append(error)
        return
    if ended[0] != PipelineState.DONE:
        ended[0] = RuntimeError(str(ended[0]))


def _at_work(version: str) -> None:
    """On a worker: raise if it cannot do what the job will ask."""
    import beam_pipelines.transforms  # noqa: F401 - whether it is there is the question

    if beam.version.__version__ != version:
        raise RuntimeError(f"its apache_beam is {beam.version.__version__} and not {version}")


def _lacks(error: Exception) -> str:
    missing = re.findall(r"No module named '?([\w.]+)", str(error))
    if missing:
        return f"which lack the package {missing[-1].partition('.')[0]}: install {_NEEDS} there"
    return last_error(error)


def last_error(error: BaseException) -> str:
    """What the last of the tracebacks in an error's text says; else its last line."""
    text = str(error)
    found = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
    return str(found[-1] if found else (text.strip().splitlines() or [type(error).__name__])[-1])
