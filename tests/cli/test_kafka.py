"""A fit of a topic of a real broker: kills, restarts, retention, transactions. `make kafka`."""

import itertools
import json
import os
import random
import signal
import time
from collections import Counter

import numpy as np
import pytest

from streampca import CheckpointStore

pytest.importorskip("confluent_kafka")

import brokers
from forks import Forks, lives, wait_for_end

pytestmark = pytest.mark.kafka

KILLS = int(os.environ.get("KILLS", "200"))
_names = (f"fitted{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def broker():
    reason = brokers.lacks()
    if reason is not None:
        pytest.skip(reason)
    started = brokers.Broker()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def topics(broker):
    return brokers.Topics(broker.address)


@pytest.fixture
def forks(tmp_path):
    found = Forks(tmp_path)
    yield found
    found.close()


def encoded(rows, first=0):
    """A message a row: its number, so that one that is lost or comes twice changes the mean."""
    return [
        json.dumps({"press": "ab"[i % 2], "number": i, "oil": x, "air": y}).encode()
        for i, (x, y) in enumerate(rows, first)
    ]


def n_learned(folder):
    """Rows that the ledger counts."""
    path = folder / "store/.fit.json"
    return json.loads(path.read_text())["n_rows"] if path.exists() else 0


def wait_until(holds, pid, log):
    """Until it holds, while the process lives."""
    end = time.monotonic() + 300
    while not holds():
        assert lives(pid), log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)


def test_killed_at_random_moments_it_learns_every_row_once(forks, topics, tmp_path):
    rng, chance = np.random.default_rng(0), random.Random(0)
    name = next(_names)
    address = topics.make(name, 3)
    given = ["fit", address, "--key-column", "press", "--checkpoint-rows", "40", "-o", "store"]
    given += ["--bad-rows", "bad.jsonl"]
    rows, n_bad, moments = [], 0, Counter()
    for _ in range(KILLS):
        new = rng.normal(size=(chance.randrange(100, 400), 2)) * [3, 1] + 5
        values = encoded(new.tolist(), len(rows))
        rows += new.tolist()
        if chance.random() < 0.2:
            values.insert(chance.randrange(len(values) + 1), b"oil %d" % n_bad)
            n_bad += 1
        for partition in range(3):
            topics.send(name, values[partition::3], partition)
        before = n_learned(tmp_path)
        pid = forks.start(*given, "--resume" if (tmp_path / "store/.fit.json").exists() else "-q")
        if chance.random() < 0.75:  # at work: it has learned something, and goes on
            wait_until(lambda before=before: n_learned(tmp_path) > before, pid, forks.log)
            time.sleep(chance.random() * 0.3)
        else:
            time.sleep(chance.random() * 1.5)
        assert lives(pid), forks.log.read_text()  # it waits for more: only the kill ends it
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        after, there = n_learned(tmp_path), len(rows) + n_bad
        moments["at the end" if after == there else "midway" if after > before else "before"] += 1
    wait_for_end(forks.start(*given, "--resume", "--until-end"), 300)
    ledger = json.loads((tmp_path / "store/.fit.json").read_text())
    print(f"{KILLS} kills, {len(rows):,} rows, {n_bad} bad messages; ledger then: {dict(moments)}")
    assert ledger["n_rows"] == len(rows) + n_bad, forks.log.read_text()
    assert ledger["n_bad"] == n_bad == len((tmp_path / "bad.jsonl").read_text().splitlines())
    store = CheckpointStore(tmp_path / "store")
    X = np.column_stack([np.arange(len(rows)), rows])
    for key, part in (("a", X[::2]), ("b", X[1::2])):
        found = store.latest(key)
        assert found.n_samples_seen == len(part)
        np.testing.assert_allclose(found.mean, part.mean(axis=0), rtol=1e-12)
        # 1e-10 of the largest: sums of squares of numbers up to 6e4 are of 1e14, with eps 2e-16
        values = np.linalg.eigvalsh(np.cov(part.T))[::-1]
        np.testing.assert_allclose(found.explained_variance, values, rtol=0, atol=1e-10 * values[0])
    assert moments["midway"] > KILLS // 4


def test_what_comes_slowly_is_kept_while_it_waits_and_when_it_is_told_to_stop(
    forks, topics, tmp_path
):
    name = next(_names)
    address = topics.make(name)
    pid = forks.start(
        "fit", address, "--exclude", "press", "-n", 1, "-o", "store", "--checkpoint-seconds", "0.1"
    )
    time.sleep(0.3)  # it waits for the first message
    for i in range(1, 4):
        topics.send(name, encoded([(i, i * i)], i)[:1])
        wait_until(lambda i=i: n_learned(tmp_path) == i, pid, forks.log)
    os.kill(pid, signal.SIGTERM)
    wait_for_end(pid)
    assert "interrupted: 3 rows are in store; go on with --resume" in forks.log.read_text()


def test_the_broker_stops_and_starts_again(forks, tmp_path):
    if brokers.lacks():
        pytest.skip(brokers.lacks())
    own = brokers.Broker()
    try:
        sender = brokers.Topics(own.address)
        address = sender.make("rows")
        sender.send("rows", encoded(np.ones((100, 2))))
        pid = forks.start(
            "fit", address, "--exclude", "press", "-o", "store", "--checkpoint-seconds", "0.1"
        )
        wait_until(lambda: n_learned(tmp_path) == 100, pid, forks.log)
        own.stop(keep=True)
        time.sleep(1)
        own.start()
        sender.send("rows", encoded(np.ones((50, 2)), 100))
        wait_until(lambda: n_learned(tmp_path) == 150, pid, forks.log)
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
    finally:
        own.stop()
    found = CheckpointStore(tmp_path / "store").latest()
    assert found.n_samples_seen == 150
    assert found.mean[0] == pytest.approx(74.5, rel=1e-12)
    assert "waiting" in forks.log.read_text()


def fitted(cli, topics):
    """A topic of 100 messages that a fit has read, and the command of that fit."""
    name = next(_names)
    address = topics.make(name)
    topics.send(name, encoded(np.ones((100, 2))))
    given = ["fit", address, "--exclude", "press", "--until-end", "-o", "store"]
    cli(*given)
    return name, given


def test_messages_that_were_deleted_unread_are_not_passed_over_in_silence(cli, topics):
    from confluent_kafka import TopicPartition

    name, given = fitted(cli, topics)
    topics.send(name, encoded(np.ones((100, 2)), 100))
    place = TopicPartition(name, 0, 150)
    topics.admin.delete_records([place])[place].result(30)
    said = cli(*given, "--resume", code=2).err
    assert "partition 0: messages from offset 100 to 149 were deleted before they were read" in said
    assert CheckpointStore("store").latest().n_samples_seen == 100
    found = cli(*given, "--resume", "--start-at", "earliest")
    assert "going on without them" in found.err
    assert found.out.startswith("50 rows read")


def test_a_topic_that_was_made_again_is_another(cli, topics):
    name, given = fitted(cli, topics)
    topics.admin.delete_topics([name])[name].result(30)
    time.sleep(1)
    topics.make(name)
    topics.send(name, encoded(np.ones((200, 2))))
    assert "another of the same name" in cli(*given, "--resume", code=2).err


def test_partitions_that_are_added_are_read_from_their_beginning(cli, topics):
    from confluent_kafka.admin import NewPartitions

    name, given = fitted(cli, topics)
    topics.admin.create_partitions([NewPartitions(name, 2)])[name].result(30)
    brokers.Topics(topics.address).send(name, encoded(np.ones((70, 2)), 100), 1)
    assert cli(*given, "--resume", "--start-at", "latest").out.startswith("70 rows")
    assert cli(*given, "--resume").out.startswith("0 rows")


def test_transactions_that_were_aborted_are_no_rows(cli, broker, topics):
    from confluent_kafka import Producer

    name = next(_names)
    address = topics.make(name)
    given = {"bootstrap.servers": broker.address, "log_level": 0}
    producer = Producer(given | {"transactional.id": name})
    producer.init_transactions(60)
    for turn in range(10):
        producer.begin_transaction()
        for value in encoded(np.ones((10, 2)), 10 * turn):
            producer.produce(name, value)
        (producer.abort_transaction if turn % 3 == 0 else producer.commit_transaction)(60)
    given = ["fit", address, "--exclude", "press", "--until-end", "-o", "store"]
    assert cli(*given).out.startswith("60 rows read")
    assert cli(*given, "--resume").out.startswith("0 rows read")


def test_a_time_to_begin_at(cli, topics):
    name = next(_names)
    address = topics.make(name)
    topics.send(name, encoded(np.ones((30, 2))))
    time.sleep(1.1)
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    time.sleep(1.1)
    topics.send(name, encoded(np.ones((20, 2))))
    given = ["fit", address, "--exclude", "press", "--until-end"]
    assert "20 rows read" in cli(*given, "--start-at", now).out
    assert "50 rows read" in cli(*given).out


def test_a_topic_that_is_not_there_and_a_broker_that_is_not(cli, topics):
    address = topics.make(next(_names))
    assert "there is no topic 'nothing'; there are " in (
        cli("fit", f"kafka://{topics.address}/nothing", code=2).err
    )
    assert "there is no message" in cli("fit", address, "--until-end", code=2).err
