"""The main job of a topic, beside a real broker and Beam's Java side on Prism. `make kafka`."""

import itertools
import json
import signal
import time

import engines
import pytest

from beam_pipelines import run

pytest.importorskip("confluent_kafka")

import brokers
import java_side
import topic_rows
from topic_rows import Rows, arguments, on

pytestmark = pytest.mark.kafka

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
            wait_until(lambda: topic_rows.n_files(store) >= 2 * (turn - 1), process, log)  # noqa: B023
            rows.send(60 * turn, 60 * turn + 60, disorder=10, bad=1)
        rows.send_one(401, 0)
        rows.send_one(402, 1)
        wait_until(lambda: topic_rows.n_files(store) == 12, process, log)
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
        wait_until(lambda: topic_rows.n_files(store) >= 6, process, log)
        rows.send_one(10)
        wait_until(lambda: topic_rows.n_files(store) >= 7, process, log)
        interrupted(process, log)
    finally:
        process.kill()
        process.wait()
