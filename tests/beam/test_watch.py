"""Files that are still to come: each is learned once, and windows close as rows' times pass."""

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import engines
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streams import assert_equals_batch

from beam_pipelines import run
from beam_pipelines.run.job import read_arguments
from beam_pipelines.sources.watching import Poll, Watching
from streampca import CheckpointStore
from streampca.files import Source, choose_columns

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
NAMES = ["oil", "air", "heat"]
HOURS = 10


def written(path, first, last, seed, m=120):
    """A file of rows with times from one second to another, moved into place."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(first, last, m))
    X = rng.normal(size=(m, 3)) * [3, 2, 1] + 5
    times = pa.array([(START + s) * 1_000_000 for s in seconds.tolist()], pa.timestamp("us", "UTC"))
    press = ["ab"[i % 2] for i in range(m)]
    table = pa.table({"time": times, "press": press} | dict(zip(NAMES, X.T, strict=True)))
    pq.write_table(table, f"{path}.part")
    os.replace(f"{path}.part", path)
    return seconds, X, np.array(press)


def aged(path, seconds):
    """The file as if it had been written so long ago."""
    when = time.time() - seconds
    os.utime(path, (when, when))


# --- what is there, and how far it goes ----------------------------------------------------------


def poll_of(folder, first, delay=0.0):
    asked = {"timestamp_column": "time", "key_column": "press"}
    columns = choose_columns(Source(str(first), "parquet"), asked)
    poll = Poll(columns, asked, Watching(30.0, delay))
    patterns = json.dumps([f"{folder}/*.parquet"])
    return lambda: poll(patterns)


def found(result):
    """Names and seconds of the outputs, and the seconds of the watermark."""
    watermark = None if result.watermark is None else result.watermark.micros / 1e6 - START
    at = {each.value.rpartition("/")[2]: each.timestamp.micros / 1e6 for each in result.outputs}
    return {name: seconds - START for name, seconds in at.items()}, watermark


def test_a_file_counts_when_it_has_not_changed_from_one_poll_to_the_next(tmp_path):
    seconds, *_ = written(tmp_path / "a.parquet", 0, 600, 0)
    poll = poll_of(tmp_path, tmp_path / "a.parquet")
    assert found(poll()) == ({}, None)  # it is new: somebody may still be writing it
    assert found(poll()) == ({"a.parquet": seconds.min()}, seconds.max())
    written(tmp_path / "b.parquet", 600, 1200, 1)
    assert found(poll())[1] == seconds.max()
    written(tmp_path / "b.parquet", 700, 1300, 2)
    assert set(found(poll())[0]) == {"a.parquet"}  # it has changed
    assert set(found(poll())[0]) == {"a.parquet", "b.parquet"}


def test_an_old_file_counts_at_once(tmp_path):
    written(tmp_path / "a.parquet", 0, 600, 0)
    aged(tmp_path / "a.parquet", 31)
    assert set(found(poll_of(tmp_path, tmp_path / "a.parquet")())[0]) == {"a.parquet"}


def test_the_watermark_is_the_newest_row_less_the_delay_and_never_goes_back(tmp_path):
    newest = []
    for i, first in enumerate([0, 3000, 1000, 6000]):
        seconds, *_ = written(tmp_path / f"{i}.parquet", first, first + 500, i)
        aged(tmp_path / f"{i}.parquet", 31)
        newest.append(max(*newest, seconds.max()) if newest else seconds.max())
        if i == 0:
            poll = poll_of(tmp_path, tmp_path / "0.parquet", delay=900.0)
        assert found(poll())[1] == newest[-1] - 900


def test_a_half_written_file_is_tried_until_it_can_be_read(tmp_path, caplog):
    written(tmp_path / "a.parquet", 0, 600, 0)
    shutil.copy(tmp_path / "a.parquet", tmp_path / "whole")
    poll = poll_of(tmp_path, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "whole").read_bytes()[:700])
    for name in "ab":
        aged(tmp_path / f"{name}.parquet", 31)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert set(found(poll())[0]) == {"a.parquet"}
    assert caplog.text.count("b.parquet: not a readable Parquet file") == 1
    os.replace(tmp_path / "whole", tmp_path / "b.parquet")
    poll()
    assert set(found(poll())[0]) == {"a.parquet", "b.parquet"}


def test_a_file_that_changes_after_it_was_read_is_not_read_again_and_that_is_said(tmp_path, caplog):
    written(tmp_path / "a.parquet", 0, 600, 0)
    poll = poll_of(tmp_path, tmp_path / "a.parquet")
    poll()
    before = found(poll())
    written(tmp_path / "a.parquet", 5000, 6000, 1)
    with caplog.at_level(logging.WARNING):
        assert [found(poll()) for _ in range(3)] == [before] * 3
    assert caplog.text.count("has changed since it was read, and is not read again") == 1


# --- the job -------------------------------------------------------------------------------------


def arguments(folder, *more):
    given = ["--input", f"{folder}/landing/*.parquet", "--timestamp-column", "time"]
    given += ["--key-column", "press", "--window", "1h", "--n-components", "2"]
    return [*given, "--output", f"{folder}/store", "--watch", "1s", *more]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--watch", "soon"], "--watch soon: give a time"),
        (["--watch", "0"], "--watch 0: give a time"),
        (["--window", "global"], "is never closed while files are watched for"),
        (["--resume", "--allowed-lateness", "1h"], "--allowed-lateness no checkpoint says which"),
        (["--resume", "--early-every", "1m"], "--early-every no checkpoint says which"),
    ],
)
def test_what_would_lose_rows_or_never_end_is_refused(tmp_path, more, said):
    (tmp_path / "landing").mkdir()
    written(tmp_path / "landing/a.parquet", 0, 600, 0)
    with pytest.raises(ValueError, match=said):
        read_arguments(arguments(tmp_path, *more))


@pytest.mark.parametrize("runner", [None, "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner"])
def test_runners_of_this_process_would_write_nothing_and_are_refused(tmp_path, runner):
    (tmp_path / "landing").mkdir()
    written(tmp_path / "landing/a.parquet", 0, 600, 0)
    more = [] if runner is None else [f"--runner={runner}"]
    with pytest.raises(ValueError, match=r"Runner has no clock .*--runner=PrismRunner"):
        read_arguments(arguments(tmp_path, *more))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("option", ["--watch-delay", "--watch-for"])
def test_options_of_watching_need_it(tmp_path, option):
    (tmp_path / "landing").mkdir()
    written(tmp_path / "landing/a.parquet", 0, 600, 0)
    given = arguments(tmp_path, option, "1h")
    del given[given.index("--watch") : given.index("--watch") + 2]
    with pytest.raises(ValueError, match=f"{option} needs --watch"):
        read_arguments(given)


def test_a_topic_is_no_file_to_watch_for(tmp_path):
    given = arguments(tmp_path)
    given[1] = "kafka://broker:9092/rows"
    with pytest.raises(ValueError, match="--watch is for files .* is a topic"):
        read_arguments(given)


def test_it_is_a_stream_without_being_told(tmp_path):
    (tmp_path / "landing").mkdir()
    written(tmp_path / "landing/a.parquet", 0, 600, 0)
    job = read_arguments(arguments(tmp_path, "--watch-delay", "2h", "--runner=PrismRunner"))
    assert "--streaming" in job.beam_options
    assert job.watching == Watching(1.0, 7200.0, None)


def check_store(folder, data):
    """Every window's last word is batch PCA of all rows up to its end, each once."""
    store = CheckpointStore(folder / "store")
    seconds, X, press = (np.concatenate(each) for each in zip(*data, strict=True))
    for key in "ab":
        history = store.history(key)
        assert len({c.window_end for c in history}) == len(history)
        for each in history:
            end = each.window_end / 1e6 - START
            assert_equals_batch(each, X[(seconds < end) & (press == key)])
        assert history[-1].n_samples_seen == (press == key).sum()


def land(folder, data, turns, wait, stop=lambda: False):
    """Files of an hour each, as they are landed; every third comes two hours late."""
    order = sorted(range(HOURS), key=lambda i: i + (2.5 if i % 3 == 1 else 0))
    for i in order[turns]:
        data.append(written(folder / f"landing/{i:02d}.parquet", 3600 * i, 3600 * (i + 1), i))
        time.sleep(wait)
        if stop():
            return


@pytest.mark.engines
def test_ten_hours_with_files_that_come_late_on_prism(tmp_path):
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    (tmp_path / "landing").mkdir()
    data = []
    land(tmp_path, data, slice(0, 1), 0)
    rest = threading.Thread(target=land, args=(tmp_path, data, slice(1, None), 1.0))
    rest.start()
    more = ["--watch-for", "30s", "--watch-delay", "3h"]
    assert run.main([*arguments(tmp_path, *more), *engines.flags("prism")]) == 0
    rest.join()
    assert len(data) == HOURS
    check_store(tmp_path, data)
    ended = arguments(tmp_path, "--watch-delay", "3h", "--resume")
    assert run.main([*ended, *engines.flags("prism")]) == 2


@pytest.mark.engines
def test_a_watching_job_that_was_killed_is_resumed_and_learns_every_row_once(tmp_path):
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    (tmp_path / "landing").mkdir()
    data, chance = [], random.Random(0)
    victims = ["job", "worker", "prism"]  # the job's own process, one of the pool's, the runner
    land(tmp_path, data, slice(0, 4), 0)
    command = [sys.executable, "-m", "beam_pipelines.run"]
    command += arguments(tmp_path, "--watch-delay", "3h")
    environment = os.environ | {"PYTHONPATH": str(engines.ROOT)}
    landings = [slice(4, 5), slice(5, 7), slice(7, 8)]  # each closes a window or two
    for turn, landing in enumerate(landings):
        prism, pool = engines.start_prism(), engines.start_pool()
        flags = ["--runner=PortableRunner", f"--job_endpoint=localhost:{prism.port}"]
        flags += ["--environment_type=EXTERNAL", f"--environment_config=localhost:{pool.port}"]
        flags += ["--resume"] if turn else []
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen([*command, *flags], env=environment, stdout=log, stderr=log)
        before = len(list((tmp_path / "store").rglob("*.parquet")))
        land(tmp_path, data, landing, 0)
        end = time.monotonic() + 300
        while len(list((tmp_path / "store").rglob("*.parquet"))) == before:
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.05)
        time.sleep(chance.random())
        pids = {"job": [process.pid], "prism": [prism.process.pid]}
        pids["worker"] = engines.workers_of(pool.process)
        for pid in pids[victims[turn]]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        process.kill()
        process.wait(60)
        pool.stop()
        prism.stop()
    land(tmp_path, data, slice(8, None), 0)
    more = ["--watch-for", "15s", "--watch-delay", "3h", "--resume"]
    assert run.main([*arguments(tmp_path, *more), *engines.flags("prism")]) == 0
    assert len(data) == HOURS
    check_store(tmp_path, data)
