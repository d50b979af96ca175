"""The main job writes the same files, bit for bit, wherever its workers are, whoever is killed."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from reruns import CASES, content, write

from beam_pipelines import LearnComponents, WriteCheckpoints, demo, run
from beam_pipelines.learning import carry
from beam_pipelines.learning.pending import Pending
from streampca import CheckpointStore

KILLS = int(os.environ.get("KILLS", "3"))


def arguments(folder, store, *more):
    given = ["--input", f"{folder}/rows*.parquet", "--timestamp-column", "time", "--key-column"]
    given += ["press", "--n-components", "2", "--output", str(store), *more]
    return [*given, *([] if "--window" in more else ["--window", "5m"])]


pytestmark = pytest.mark.engines


@pytest.fixture
def needs_prism():
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")


@pytest.mark.parametrize("case", ["plain", "sliding, each its own", "factored", "forgetting"])
def test_every_environment_writes_the_same_checkpoints(tmp_path, case, needs_prism, monkeypatch):
    write(tmp_path)
    given = arguments(tmp_path, "store", *CASES[case])
    places = {
        "direct": engines.flags("direct"),
        "processes": [*engines.flags("direct"), "--direct_running_mode=multi_processing"],
        "prism": engines.flags("prism"),
        "prism_pool": engines.flags("prism_pool"),
        "two workers": [*engines.flags("prism_pool"), "--sdk_worker_parallelism=2"],
    }
    places["processes"].append("--direct_num_workers=2")
    found = {}
    for place, flags in places.items():
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)  # a relative --output is one of this folder
        assert run.main([*given, *flags]) == 0
        found[place] = content(tmp_path / place / "store")
    for place in places:
        assert found[place] == found["direct"], place


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_the_demo_writes_the_same_checkpoints_everywhere(
    tmp_path, workers, needs_prism, monkeypatch
):
    """Hours of River's Shuttle; None: workers in this process, else a pool in another folder."""
    pytest.importorskip("river.datasets")
    place = "prism" if workers is None else "prism_pool"
    more = [] if workers is None else [f"--sdk_worker_parallelism={workers}"]
    found = []
    for folder, flags in (("here", engines.flags("direct")), ("there", engines.flags(place))):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        assert demo.main([*flags, *(more if folder == "there" else [])]) == 0
        found.append(content(tmp_path / folder / "out/shuttle/checkpoints"))
    assert len(found[0]) == 14
    assert found[0] == found[1]


@pytest.mark.parametrize("place", ["prism", "prism_pool"])
def test_the_last_line_of_a_process_names_file_row_and_feature(tmp_path, place, needs_prism):
    lines = ["time,press,oil,air", *(f"{i},a,{i % 7},{i % 5}" for i in range(50))]
    lines[20] = "19,a,1,wet"
    (tmp_path / "rows0.csv").write_text("\n".join(lines))
    given = arguments(tmp_path, tmp_path / "store", *engines.flags(place))
    given[1] = f"{tmp_path}/rows0.csv"
    command = [sys.executable, "-m", "beam_pipelines.run", *given]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"error: {tmp_path}/rows0.csv, row 19 (line 21): feature 'air' is 'wet', not a finite "
        "number"
    )
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").rglob("*.parquet"))


def test_a_slow_worker_loses_no_window_and_gives_none_twice(tmp_path, needs_prism, monkeypatch):
    """Prism takes work back from bundles that are slow, which keys with state cannot bear."""
    n_keys, n_windows, calls = 10, 12, itertools.count(1)

    def slowly(*entry):
        if next(calls) % 23 == 0:
            time.sleep(0.4)
        return Pending(*entry)

    monkeypatch.setattr(carry, "Pending", slowly)
    engines.use("prism")
    rows = np.random.default_rng(0).normal(size=(n_windows, n_keys, 3, 4))
    given = [
        TimestampedValue((f"key {k}", row), 60 * w + i)
        for w in range(n_windows)
        for k in range(n_keys)
        for i, row in enumerate(rows[w, k])
    ]
    with engines.pipeline() as p:
        learned = p | beam.Create(given) | beam.WindowInto(FixedWindows(60)) | LearnComponents(2)
        _ = learned | WriteCheckpoints(tmp_path)
    store = CheckpointStore(tmp_path)
    for k in range(n_keys):
        read = store.history(f"key {k}", moments=False)
        assert [(c.window_end // 60_000_000, c.n_samples_seen, c.late) for c in read] == [
            (w, 3 * w, False) for w in range(1, n_windows + 1)
        ]


def job(folder, store, *flags):
    """The main job in a process of its own, which the killed cannot take along."""
    command = [sys.executable, "-m", "beam_pipelines.run", *arguments(folder, store), *flags]
    environment = os.environ | {"PYTHONPATH": str(engines.ROOT)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)


def kill(prism, pool, who, after):
    """Kill -9 a worker or Prism, after so many seconds."""
    time.sleep(after)
    victims = engines.workers_of(pool.process) if who == "worker" else [prism.process.pid]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Where the input lies, and the files of a run that nobody has killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    write(folder, m=3000)
    assert run.main([*arguments(folder, folder / "whole"), *engines.flags("direct")]) == 0
    return folder, content(folder / "whole")


@pytest.mark.parametrize("number", range(KILLS))
def test_a_job_whose_worker_or_runner_was_killed_is_resumed_bit_for_bit(
    tmp_path, number, needs_prism, uninterrupted
):
    folder, expected = uninterrupted
    store = tmp_path / "store"
    rng = random.Random(number)
    who = rng.choice(["worker", "prism"])
    prism, pool = engines.start_prism(), engines.start_pool()
    flags = [
        "--runner=PortableRunner",
        f"--job_endpoint=localhost:{prism.port}",
        "--environment_type=EXTERNAL",
        f"--environment_config=localhost:{pool.port}",
    ]
    try:
        process = job(folder, store, *flags)
        end = time.monotonic() + 600
        while not (store.exists() and any(store.glob("*/*.parquet"))) and process.poll() is None:
            assert time.monotonic() < end, "no file in ten minutes"
            time.sleep(0.01)
        kill(prism, pool, who, rng.random() * 2)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    finally:
        for server in (prism, pool):
            server.stop()
    left = content(store) if any(store.rglob("*.parquet")) else {}
    assert left.items() <= expected.items()  # what was written is right
    print(
        f"{who} killed: {len(left)} of {len(expected)} checkpoints, exit code {process.returncode}"
    )
    given = arguments(folder, store)
    assert run.main([*given, *engines.flags("prism"), "--resume"]) == 0
    assert content(store) == expected
