"""The main job of a topic, beside a real broker and Beam's Java side on Prism. `make kafka`."""

import contextlib
import itertools
import json
import os
import random
import signal
import time
from collections import Counter

import engines
import numpy as np
import pytest

from beam_pipelines import run

pytest.importorskip("confluent_kafka")

import brokers
import java_side
import topic_rows
from topic_rows import Rows, arguments, n_checkpoints, on

from beam_pipelines.run.progress import Progress
from streampca import CheckpointStore

pytestmark = pytest.mark.kafka

KILLS = int(os.environ.get("JOB_KILLS", "30"))

_names = (f"pressed{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def topics():
    no_prism = None if engines.prism_path() else "there is no Prism: make prism, which needs Go"
    for reason in (brokers.lacks(), java_side.lacks(), no_prism):
        if reason is not None:
            pytest.skip(reason)
    broker = brokers.Broker()
    yield brokers.Topics(broker.address)
    broker.stop()


@pytest.fixture(scope="module")
def java(topics):
    server = java_side.start()
    yield server
    server.stop()


@pytest.fixture
def prism(topics):
    server = engines.start_prism()
    yield server
    server.stop()


def wait_until(holds, process, log, seconds=300):
    """Until it holds, while the process lives."""
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, log.read_text()[-5000:]
        assert time.monotonic() < end, log.read_text()[-5000:]
        time.sleep(0.05)


def interrupted(process, log):
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, log.read_text()[-5000:]


@pytest.mark.parametrize("partitions", [1, 3])
def test_so_many_messages_and_every_row_once(topics, java, prism, tmp_path, capfd, partitions):
    rows = Rows(topics, next(_names), partitions)
    rows.send(0, 600, m=300, disorder=20, bad=2)
    n = len(rows.X) + len(rows.bad)
    store, bad = tmp_path / "store", tmp_path / "bad.jsonl"
    more = ["--max-messages", n, "--bad-rows", bad, *on(prism)]
    assert run.main([*map(str, arguments(rows, store, java, *more))]) == 0, capfd.readouterr()
    assert rows.check(store) == 20
    kept = [json.loads(line)["row"] for line in bad.read_text().splitlines()]
    assert sorted(each["message"] for each in kept) == sorted(rows.bad)
    assert {each["partition"] for each in kept} == set(range(partitions))


def test_rows_that_come_while_it_runs(topics, java, prism, tmp_path):
    rows = Rows(topics, next(_names), 2)
    rows.send(0, 180, disorder=10, bad=1)
    store, bad, log = tmp_path / "store", tmp_path / "bad", tmp_path / "log"
    more = ["--message-delay", "20s", "--bad-rows", str(bad), *on(prism)]
    process = topic_rows.start(arguments(rows, store, java, *more), log)
    try:
        for turn in range(3, 6):  # a row that is 20 s later than its end closes a window
            wait_until(lambda: n_checkpoints(store) >= 2 * (turn - 1), process, log)  # noqa: B023
            rows.send(60 * turn, 60 * turn + 60, disorder=10, bad=1)
        rows.send_one(401, 0)
        rows.send_one(402, 1)
        wait_until(lambda: n_checkpoints(store) == 12, process, log)
        wait_until(lambda: len(list(bad.glob("bad-*"))) >= 5, process, log)
        interrupted(process, log)
    finally:
        process.kill()
        process.wait()
    assert rows.check(store, 360) == 12
    lines = [line for path in bad.glob("bad-*") for line in path.read_text().splitlines()]
    assert {json.loads(line)["row"]["message"] for line in lines} <= set(rows.bad)


def test_a_row_that_comes_late_is_learned_by_allowed_lateness(topics, java, prism, tmp_path):
    rows = Rows(topics, next(_names), 1)
    rows.send(0, 200)
    store, log = tmp_path / "store", tmp_path / "log"
    given = arguments(rows, store, java, "--allowed-lateness", "1h", *on(prism))
    process = topic_rows.start(given, log)
    try:
        wait_until(lambda: n_checkpoints(store) >= 6, process, log)
        rows.send_one(10)
        wait_until(lambda: n_checkpoints(store) >= 7, process, log)
        interrupted(process, log)
    finally:
        process.kill()
        process.wait()


class Site:
    """Prism, Beam's Java side and a pool of workers, each started again when it has been killed."""

    def __init__(self, log):
        self.log, self.servers, self.job = log, {}, None

    def start(self, rows, store, *more):
        """A job that goes on from what is in its store."""
        starts = {"prism": engines.start_prism, "java": java_side.start, "pool": engines.start_pool}
        for name, start in starts.items():
            if name not in self.servers:
                self.servers[name] = start()
        flags = on(self.servers["prism"], self.servers["pool"])
        flags += ["--resume"] if (store / "_job.arrow").exists() else []
        given = arguments(rows, store, self.servers["java"], "--message-delay", "15s", *more)
        self.job = topic_rows.start([*given, *flags], self.log)

    def kill(self, who):
        """Kill one of them, and what the job then was; Prism is another one for each job."""
        process = self.servers["pool" if who == "worker" else who].process
        for pid in engines.workers_of(process) if who == "worker" else [process.pid]:
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self.job.wait(20)
        self.end()
        for name in {"prism", "pool" if who == "worker" else who}:
            self.servers.pop(name).stop()

    def end(self):
        """No job any more."""
        self.job.kill()
        self.job.wait()

    def close(self):
        self.end()
        for server in self.servers.values():
            server.stop()


def check_same(store, other):
    """The same checkpoints, of the same rows, as an uninterrupted job has written."""
    assert CheckpointStore(store).keys() == CheckpointStore(other).keys()
    for key in CheckpointStore(other).keys():  # noqa: SIM118 - a method of stores
        pairs = zip(
            CheckpointStore(store).history(key), CheckpointStore(other).history(key), strict=True
        )
        for mine, whole in pairs:
            assert mine.n_samples_seen == whole.n_samples_seen
            assert (mine.window_end, mine.sequence) == (whole.window_end, whole.sequence)
            # rows of a topic are added up as they come: sums of a few thousand round differently
            np.testing.assert_allclose(mine.components, whole.components, rtol=0, atol=1e-11)
            np.testing.assert_allclose(mine.mean, whole.mean, rtol=1e-12)


def test_killed_at_random_moments_it_is_resumed_and_learns_every_row_once(topics, tmp_path):
    chance, killed, moments, from_then = random.Random(0), Counter(), Counter(), 0
    rows = Rows(topics, next(_names), 2)
    store, bad = tmp_path / "store", tmp_path / "bad"
    site = Site(tmp_path / "log")
    rows.send(0, 60, disorder=10)
    try:
        for turn in range(1, KILLS + 1):
            rows.send(60 * turn, 60 * turn + 60, disorder=10, bad=int(turn % 3 == 1))
            before = n_checkpoints(store)
            site.start(rows, store, "--bad-rows", str(bad))
            if chance.random() < 0.75:  # at work
                wait_until(lambda: n_checkpoints(store) > before, site.job, site.log)  # noqa: B023
                time.sleep(chance.random())
            else:
                time.sleep(chance.random() * 20)
            who = chance.choice(["prism", "java", "worker"])
            site.kill(who)
            killed[who] += 1
            moments["after a file" if n_checkpoints(store) > before else "before"] += 1
            reached = Progress.read(str(store))
            from_then += reached is not None and reached.since is not None
        end = 60 * KILLS + 60
        for partition in range(2):
            rows.send_one(end + 20, partition)
        for place in (store, tmp_path / "whole"):
            site.start(rows, place, "--bad-rows", str(bad if place == store else tmp_path / "wbad"))
            wait_until(lambda: n_checkpoints(place) == 2 * (KILLS + 1), site.job, site.log)  # noqa: B023
            time.sleep(5)
            site.end()
            site.servers.pop("prism").stop()
    finally:
        site.close()
    print(f"{KILLS} kills {dict(killed)}, {len(rows.X):,} rows, {len(rows.bad)} bad messages;")
    print(
        f"killed {dict(moments)}; {from_then} went on from offsets that the store had", flush=True
    )
    assert rows.check(store, end) == rows.check(tmp_path / "whole", end) == 2 * (KILLS + 1)
    check_same(store, tmp_path / "whole")
    files = {path.name: path.read_bytes() for path in bad.iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "wbad").iterdir()}
    assert sum(text.count(b"\n") for text in files.values()) == len(rows.bad)
