"""What cannot run ends before it is submitted, or soon after: a sentence says what to do."""

import os
import socket
import sys
import time
from pathlib import Path

import engines
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from reruns import content, write

from beam_pipelines import ReadCheckpoints, WriteCheckpoints, run
from beam_pipelines.run import arguments as arguments_of
from beam_pipelines.run import submission
from beam_pipelines.stores import absolute

SOON = 30
"""Seconds within which whoever waits is to hear what is wrong; not a measure of speed."""


def arguments(folder, *more):
    given = ["--input", f"{folder}/rows*.parquet", "--timestamp-column", "time", "--key-column"]
    return [*given, "press", "--n-components", "2", "--window", "1h", "--output", "store", *more]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    write(tmp_path, m=60)
    monkeypatch.chdir(tmp_path)


def refused(capsys, *given):
    """The last line of a job that does not start, in time."""
    begun = time.monotonic()
    code = run.main(list(map(str, given)))
    assert time.monotonic() - begun < SOON
    assert code in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ")
    assert not any(Path("store").rglob("*.parquet"))
    return lines[-1]


MISTYPED = {
    "--environment_typ": "--environment_type",
    "--runer": "--runner",
    "--idle-timout": "--idle-timeout",
    "--resum": "--resume",
    "--job_endpont": "--job_endpoint",
    "--n_componets": "--n-components",
}


@pytest.mark.parametrize("wrong", MISTYPED)
@pytest.mark.parametrize("runner", ["FnApiRunner", "PortableRunner", "FlinkRunner", "PrismRunner"])
def test_a_mistyped_option_ends_the_program_and_the_right_one_is_named(
    tmp_path, capsys, wrong, runner
):
    line = refused(capsys, *arguments(tmp_path, f"{wrong}=LOOPBACK", f"--runner={runner}"))
    assert f"there is no option {wrong}: did you mean {MISTYPED[wrong]}?" in line


def test_options_of_an_engine_are_let_through():
    given = ["--runner=FlinkRunner", "--max_parallelism=4", "--checkpointing_interval=1000"]
    arguments_of.refuse_unknown(given)
    with pytest.raises(ValueError, match="no option --max_paralelism"):
        arguments_of.refuse_unknown(["--runner=FlinkRunner", "--max_paralelism=4"])
    with pytest.raises(ValueError, match="no option --checkpointing_interval"):
        arguments_of.refuse_unknown(["--runner=FnApiRunner", "--checkpointing_interval=1"])


def test_relative_paths_are_those_of_who_submits(tmp_path, monkeypatch, capsys):
    given = arguments(tmp_path, "--bad-rows", "bad.jsonl")
    given[1] = "rows*.parquet"
    job = run.read_arguments(given)
    assert job.output == str(tmp_path / "store")
    assert job.bad_rows == str(tmp_path / "bad.jsonl")
    assert job.paths == [str(tmp_path / f"rows{i}.parquet") for i in range(3)]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for path in ("gs://bucket/store", "/plant/store"):
        assert absolute(path) == path
    assert absolute(Path("store")) == str(tmp_path / "elsewhere" / "store")


@pytest.mark.parametrize("place", ["", None, 3, b"store"])
@pytest.mark.parametrize("step", [WriteCheckpoints, ReadCheckpoints])
def test_what_is_no_path_is_no_store_in_the_working_folder(step, place):
    """Such as a variable of the environment that is not set."""
    with pytest.raises(ValueError, match="is no path"):
        step(place)


@pytest.mark.engines
def test_relative_paths_are_not_those_of_a_worker(tmp_path, capsys):
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    given = arguments(tmp_path, "--bad-rows", "bad.jsonl", *engines.flags("prism_pool"))
    given[1] = "rows*.parquet"
    assert run.main(given) == 0
    assert content(tmp_path / "store")
    assert (tmp_path / "bad.jsonl").exists()


def test_dataflow_has_no_files_of_this_machine(tmp_path, capsys):
    line = refused(capsys, *arguments(tmp_path, "--runner=DataflowRunner", "--project=p"))
    assert "is on this machine, which workers of DataflowRunner cannot see: give a gs://" in line


def test_a_dead_job_endpoint_is_said(tmp_path, capsys):
    flags = ["--runner=PortableRunner", f"--job_endpoint=localhost:{engines.free_port()}"]
    line = refused(capsys, *arguments(tmp_path, *flags, "--environment_type=LOOPBACK"))
    assert "--job_endpoint localhost:" in line
    assert "nobody answers there within 10 s; start the job service" in line


def test_a_service_that_only_listens_is_said(tmp_path, capsys):
    with socket.socket() as deaf:
        deaf.bind(("localhost", 0))
        deaf.listen()
        flags = ["--runner=PortableRunner", f"--job_endpoint=localhost:{deaf.getsockname()[1]}"]
        line = refused(capsys, *arguments(tmp_path, *flags, "--environment_type=LOOPBACK"))
    assert "nobody answers there within 10 s" in line


def test_a_dead_pool_is_said(tmp_path, capsys):
    pool = f"localhost:{engines.free_port()}"
    flags = ["--runner=FnApiRunner", "--environment_type=EXTERNAL"]
    line = refused(capsys, *arguments(tmp_path, *flags, f"--environment_config={pool}"))
    assert f"--environment_config {pool}: nobody answers there" in line
    assert "worker_pool_main --service_port=" in line


def test_no_prism_where_it_is_said_to_be(tmp_path, capsys):
    flags = ["--runner=PrismRunner", "--prism_location=/nowhere/prism"]
    line = refused(capsys, *arguments(tmp_path, *flags))
    assert "there is no such file; install Prism with: go install" in line


def test_the_pool_may_be_json():
    for config in ("plant:50000", '{"url": "plant:50000"}'):
        flags = ["--environment_type=EXTERNAL", f"--environment_config={config}"]
        assert submission.pool_of(PipelineOptions(flags)) == "plant:50000"
    with pytest.raises(ValueError, match="give HOST:PORT"):
        submission.pool_of(
            PipelineOptions(["--environment_type=EXTERNAL", '--environment_config={"u": 1}'])
        )


def of_prism(kind, config):
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    endpoint = engines.flags("prism")[1]
    flags = ["--runner=PortableRunner", endpoint, f"--environment_type={kind}"]
    return [*flags, f"--environment_config={config}"]


@pytest.mark.engines
def test_a_boot_script_that_dies_is_said(tmp_path, capsys):
    script = tmp_path / "boot"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    flags = of_prism("PROCESS", f'{{"command": "{script}"}}')
    line = refused(capsys, *arguments(tmp_path, *flags))
    assert "run it by hand to see what it says" in line
    assert str(script) in line


@pytest.mark.engines
@pytest.mark.parametrize("lacks", ["apache_beam", "beam_pipelines"])
def test_a_pool_without_the_packages_is_said(tmp_path, capsys, lacks):
    # `python` on the pool's PATH: one that hides a package, as another environment would lack it.
    hidden = tmp_path / "hidden" / "sitecustomize.py"
    hidden.parent.mkdir()
    hidden.write_text(f"import sys\nsys.modules[{lacks!r}] = None\n")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH={hidden.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    pool = engines.start_pool(path=f"{python.parent}:{os.environ['PATH']}")
    try:
        line = refused(
            capsys, *arguments(tmp_path, *of_prism("EXTERNAL", f"localhost:{pool.port}"))
        )
    finally:
        pool.stop()
    assert "streampca" in line
    assert "apache_beam" in line
