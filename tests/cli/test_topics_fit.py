"""A fit of a topic: killed anywhere and gone on with, no row is lost or learned twice."""

import itertools
import json

import numpy as np
import pytest
from cut_off import killed

from streampca import CheckpointStore
from streampca.files.kafka import Client

pytest.importorskip("confluent_kafka")

import brokers
from made_messages import FORMS

_names = (f"fitted{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def mock():
    return brokers.Mock()


@pytest.fixture
def known(monkeypatch):
    """The broker of librdkafka does not say what topics are known by."""
    monkeypatch.setattr(Client, "identity", lambda self: "always the same")


def test_bad_messages_are_kept_as_they_came(cli, mock, known):
    address = mock.send(
        next(_names), [b'{"oil": 1, "air": 2}', b"\xffoil", b'{"oil": 3, "air": 1}']
    )
    cli("fit", address, "--until-end", "--bad-rows", "bad.jsonl", "-o", "store")
    with open("bad.jsonl") as file:
        (bad,) = map(json.loads, file)
    assert bad["row"] == {"message": "\\xffoil"}
    assert "partition 0, offset 1" in bad["reason"]


@pytest.mark.parametrize("form", ["an object", "an array", "arrow"])
@pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 9])
def test_a_fit_that_was_killed_goes_on_with_the_same_bits(cli, mock, known, monkeypatch, form, n):
    rng = np.random.default_rng(n)
    parts = [rng.normal(size=(3, 2)).tolist() for _ in range(200)]
    kind, encode = FORMS[form]
    address = mock.send(next(_names), [value for part in parts for value in encode(part)])
    given = ["fit", address, "--until-end", "--checkpoint-rows", "70", "--input-format", kind]
    cli(*given, "-o", "whole")
    killed(cli, monkeypatch, n, *given, "-o", "store")
    cli(*given, "-o", "store", "--resume")
    assert CheckpointStore("store").latest() == CheckpointStore("whole").latest()
    assert CheckpointStore("store").latest().n_samples_seen == 600
    np.testing.assert_allclose(
        CheckpointStore("store").latest().mean, np.concatenate(parts).mean(axis=0), atol=1e-12
    )


def test_a_fit_reads_on_where_it_ended_partition_by_partition(cli, mock, known):
    name = next(_names)
    for turn in range(4):
        for partition in range(turn + 1):
            address = mock.send(name, FORMS["an object"][1]([(turn, partition)] * 10), partition)
        out = cli("fit", address, "--until-end", "-o", "store", *(["--resume"] if turn else [])).out
        assert out.startswith(f"{10 * (turn + 1)} rows read")
    assert cli("fit", address, "--until-end", "-o", "store", "--resume").out.startswith("0 rows")
    assert CheckpointStore("store").latest().n_samples_seen == 100


def test_another_topic_of_the_same_name_is_refused(cli, mock, monkeypatch):
    name = next(_names)
    address = mock.send(name, FORMS["an object"][1]([(1, 2)] * 10))
    monkeypatch.setattr(Client, "identity", lambda self: "one")
    cli("fit", address, "--until-end", "-o", "store")
    monkeypatch.setattr(Client, "identity", lambda self: "another")
    said = cli("fit", address, "--until-end", "-o", "store", "--resume", code=2).err
    assert "is not the topic that was read before, but another of the same name" in said


def test_messages_are_counted(cli, mock, known):
    address = mock.send(next(_names), FORMS["an object"][1]([(i, 1) for i in range(1000)]))
    for expected in (300, 300, 300, 100):
        given = ["--max-messages", 300, "--until-end", "-o", "store"]
        more = [] if expected == 300 and not CheckpointStore("store").keys() else ["--resume"]
        assert cli("fit", address, *given, *more).out.startswith(f"{expected} rows read")
    assert CheckpointStore("store").latest().mean[0] == pytest.approx(499.5)


def test_latest_begins_at_the_end_and_remembers_where_that_was(cli, mock, known):
    name = next(_names)
    address = mock.send(name, FORMS["an object"][1]([(9, 9)] * 10))
    given = ["fit", address, "--until-end", "-o", "store"]
    assert "no row" in cli(*given, "--start-at", "latest", code=2).err
    mock.send(name, FORMS["an object"][1]([(1, 2)] * 5))
    assert cli(*given, "--resume").out.startswith("5 rows read")
    assert CheckpointStore("store").latest().mean.tolist() == [1, 2]


def test_what_comes_after_a_topic_without_an_end(cli, mock, write, rows):
    address = mock.send(next(_names), [b'{"oil": 1}'])
    said = cli("fit", address, write("a.csv", rows), code=2).err
    assert "has no end, so that nothing after it is read: give --until-end" in said
