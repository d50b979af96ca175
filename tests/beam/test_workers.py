"""Workers that share nothing with the pipeline's process: no memory, no folder, no main session."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows
from streams import assert_equals_batch, stream, timed

from beam_pipelines import LearnComponents, ProjectComponents, WriteCheckpoints
from streampca import CheckpointStore

X, TIMES = stream(150)
TIMES = TIMES + 100 * (TIMES >= 50)  # a pause, for sessions

DESCRIBE = eval(  # noqa: S307 - of no module: workers cannot import this one
    "lambda found: f'{os.getpid()} {os.getcwd()} {type(found).__name__}'", {"os": os}
)


def run(folder, flags, windowfn, side=True, **options):
    """Learn, write and project on other workers; what they wrote of themselves, line by line."""
    given = PipelineOptions([*flags, "--direct_num_workers=2"])
    assert not given.view_as(SetupOptions).save_main_session
    with beam.Pipeline(options=given) as p:
        elements = timed([("press 4", x) for x in X], TIMES)
        rows = p | beam.Create(elements) | beam.WindowInto(windowfn)
        learned = rows | LearnComponents(3, features=6, bad_rows=True, **options)
        paths = learned.checkpoints | WriteCheckpoints(str(folder / "store"))
        if side:
            projected = rows | ProjectComponents(learned.checkpoints, spe=True)
            paths = (paths, projected) | beam.Flatten()
        where = paths | beam.Map(DESCRIBE)
        _ = where | beam.io.WriteToText(str(folder / "where"))
    lines = "".join(path.read_text() for path in folder.glob("where-*")).splitlines()
    return [line.split(" ") for line in lines]


def assert_exact(folder, windows):
    history = CheckpointStore(folder / "store").history("press 4")
    assert len(history) == windows
    for checkpoint in history:
        assert_equals_batch(checkpoint, X[checkpoint.window_end // 10**6 > TIMES])


@pytest.mark.parametrize("pickler", ["cloudpickle", "dill"])
def test_other_processes_get_all_from_the_pipeline(tmp_path, pickler):
    pytest.importorskip(pickler)
    flags = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing"]
    where = run(tmp_path, [*flags, f"--pickle_library={pickler}"], SlidingWindows(50, 25))
    assert str(os.getpid()) not in {pid for pid, _, _ in where}
    assert [kind for _, _, kind in where].count("tuple") == 300  # each row in two windows
    assert_exact(tmp_path, 8)


@pytest.fixture
def portable(tmp_path):
    """Flags for a job service, with a pool of workers that run in an empty folder."""
    ports, processes = [], []
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    (tmp_path / "elsewhere").mkdir()
    for module, option in [
        ("portability.local_job_service_main", "--port"),
        ("worker.worker_pool_main", "--service_port"),
    ]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
        command = [sys.executable, "-m", f"apache_beam.runners.{module}", f"{option}={ports[-1]}"]
        with open(tmp_path / f"{module}.log", "wb") as log:
            processes.append(
                subprocess.Popen(
                    command, cwd=tmp_path / "elsewhere", env=environment, stdout=log, stderr=log
                )
            )
    try:
        for port in ports:
            wait_for(port)
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{ports[0]}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{ports[1]}",
        ]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def wait_for(port):
    end = time.monotonic() + 300
    while True:
        try:
            socket.create_connection(("localhost", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def test_a_portable_runner_needs_options_only(tmp_path, portable):
    elsewhere = str(tmp_path / "elsewhere")
    for name, windowfn, windows in [("a", FixedWindows(50), 3), ("b", Sessions(60), 2)]:
        folder = tmp_path / name
        folder.mkdir()
        where = run(folder, portable, windowfn, side=name == "a", resume_from=folder / "store")
        assert {path for _, path, _ in where} == {elsewhere}
        assert_exact(folder, windows)
