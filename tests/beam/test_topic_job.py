"""What a job of a topic is asked for, and what is refused before it starts. No Java, no runner."""

import json
import shutil
from concurrent import futures

import apache_beam as beam
import brokers
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from engines import free_port

from beam_pipelines import run
from beam_pipelines.beam_yaml import LearnFromFiles
from beam_pipelines.run.job import read_arguments
from beam_pipelines.run.progress import Progress
from beam_pipelines.run.record import begin
from beam_pipelines.sources.pubsub import Subscription
from streampca.files import Topic

kafka = pytest.importorskip("confluent_kafka")

ROWS = [{"press": "ab"[i % 2], "at": 60 * i, "oil": 1.0 * i, "air": 2.0} for i in range(10)]


@pytest.fixture(scope="module")
def mock():
    return brokers.Mock()


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """librdkafka's broker has no topics with identities."""
    monkeypatch.setattr(Topic, "identify", lambda *_: "one")


@pytest.fixture(scope="module")
def address(mock):
    for partition in range(4):
        mock.send("rows", [json.dumps(row).encode() for row in ROWS[partition:]], partition)
    return f"kafka://{mock.address}/rows"


@pytest.fixture(scope="module")
def service():
    """An address at which somebody answers."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(None)


def arguments(address, store, service, *more):
    given = ["--input", address, "--key-column", "press", "--timestamp-column", "at"]
    given += ["--window", "1m", "--n-components", "1", "--output", str(store)]
    return [*given, "--expansion-service", service, "--runner=PrismRunner", *more]


def test_a_job_knows_columns_partitions_and_where_it_begins(address, service, tmp_path):
    more = ["--message-delay", "30s", "--exclude", "air"]
    job = read_arguments(arguments(address, tmp_path, service, *more))
    found = job.messages
    assert (job.columns.names, found.topic.partitions) == (["oil"], [0, 1, 2, 3])
    assert found.holding == (30_000_000, 60_000_000, None, None)
    assert found.progress.offsets == dict.fromkeys(range(4), 0)
    assert "--streaming" in job.beam_options
    assert job.unending
    consumer = found.topic.consumer
    assert consumer["bootstrap.servers"] == address.split("/")[2]
    assert (consumer["enable.auto.commit"], consumer["auto.offset.reset"]) == ("false", "none")
    assert consumer["isolation.level"] == "read_committed"


def test_where_it_begins_is_left_with_the_brokers_and_beside_the_checkpoints(
    address, service, tmp_path
):
    job = read_arguments(arguments(address, tmp_path, service, "--start-at", "latest"))
    job.messages.begin(str(tmp_path))
    expected = {partition: 10 - partition for partition in range(4)}
    found = Progress.read(str(tmp_path))
    assert (found.since, found.offsets) == (None, expected)
    group = job.messages.topic.consumer["group.id"]
    given = {"bootstrap.servers": address.split("/")[2], "group.id": group, "log_level": 0}
    reader = kafka.Consumer(given)
    places = reader.committed([kafka.TopicPartition("rows", p) for p in range(4)], timeout=15)
    reader.close()
    assert {each.partition: each.offset for each in places} == expected


def test_a_resumed_job_begins_where_the_store_says(address, service, tmp_path):
    first = read_arguments(arguments(address, tmp_path, service))
    begin(first.record, str(tmp_path), False)
    Progress(first.messages.progress.topic, 120_000_000, {0: 2, 1: 1, 2: 0, 3: 5}).write(
        str(tmp_path)
    )
    job = read_arguments(arguments(address, tmp_path, service, "--resume"))
    assert job.messages.progress.offsets == {0: 2, 1: 1, 2: 0, 3: 5}
    assert job.messages.holding.since == 120_000_000
    begin(job.record, str(tmp_path), True)  # which is the same job
    job.messages.begin(str(tmp_path))
    assert Progress.read(str(tmp_path)).since == 120_000_000


def test_a_topic_that_is_another_is_not_gone_on_with(address, service, tmp_path):
    Progress("elsewhere", 120_000_000, {0: 2}).write(str(tmp_path))
    with pytest.raises(ValueError, match="but another of the same name; give another --output"):
        read_arguments(arguments(address, tmp_path, service, "--resume"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--window", "global"], "--window global is never closed while kafka://"),
        (["--until-end"], "--until-end: .* give --max-messages"),
        (["--runner=FnApiRunner"], "--runner=FnApiRunner has no clock for topics"),
        (["--runner=DirectRunner"], "--runner=DirectRunner has no clock for topics"),
        (["--watch", "30s"], "--watch is for files that are still to come"),
        (["--resume", "--max-messages", "5"], "with --max-messages it is chance which messages"),
        (["--resume", "--allowed-lateness", "1h"], "come late by --message-delay instead"),
        (["--resume", "--early-every", "1m"], "--early-every no checkpoint says which"),
        (["--message-delay", "soon"], "--message-delay soon: give a time"),
        (["--key-column", "pres"], "there is no column 'pres'.* did you mean 'press'"),
        (["--n-components", "3"], "--n-components 3 is more than the 2 features"),
    ],
)
def test_what_would_never_end_or_lose_rows_is_refused(address, service, tmp_path, more, said):
    with pytest.raises(ValueError, match=said):
        read_arguments(arguments(address, tmp_path, service, *more))


def test_two_inputs_are_one_too_many(address, service, tmp_path):
    given = arguments(address, tmp_path, service)
    given.insert(2, "rows.parquet")
    with pytest.raises(ValueError, match="a topic is the only input of a job"):
        read_arguments(given)


def test_a_java_side_that_does_not_answer_is_named(address, tmp_path, monkeypatch):
    monkeypatch.setattr("beam_pipelines.run.submission.ANSWERS", 0.5)
    where = f"localhost:{free_port()}"
    with pytest.raises(ValueError, match=f"--expansion-service {where}: nobody answers there"):
        read_arguments(arguments(address, tmp_path, where))


def test_without_java_it_is_asked_for(address, service, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    given = arguments(address, tmp_path, service)
    at = given.index("--expansion-service")
    with pytest.raises(ValueError, match="give --expansion-service HOST:PORT"):
        read_arguments(given[:at] + given[at + 2 :])


@pytest.mark.parametrize(
    "line", ["enable.auto.commit=true", "auto.offset.reset=earliest", "bootstrap.servers=b:1"]
)
def test_what_would_let_the_broker_keep_offsets_is_refused(address, service, tmp_path, line):
    file = tmp_path / "consumer.properties"
    file.write_text(f"max.poll.records=10\n{line}\n")
    with pytest.raises(ValueError, match=f"line 2: .*{line.partition('=')[0]}"):
        read_arguments(arguments(address, tmp_path, service, "--consumer-config", str(file)))
    file.write_text("group.id=plant\nfetch.max.bytes=1000\n")
    job = read_arguments(arguments(address, tmp_path, service, "--consumer-config", str(file)))
    consumer = job.messages.topic.consumer
    assert (consumer["group.id"], consumer["fetch.max.bytes"]) == ("plant", "1000")


@pytest.mark.parametrize(
    "option",
    ["--expansion-service", "--consumer-config", "--message-delay", "--idle-partitions"],
)
def test_options_of_topics_are_refused_for_files(tmp_path, option):
    (tmp_path / "rows.csv").write_text("oil,air\n1,2\n")
    given = ["--input", str(tmp_path / "rows.csv"), "--window", "global", "--n-components", "1"]
    with pytest.raises(ValueError, match=f"{option} is of kafka://"):
        read_arguments([*given, "--output", str(tmp_path / "store"), option, "1"])


def test_more_messages_than_there_are_and_empty_partitions_are_said(
    mock, address, service, tmp_path, capsys
):
    read_arguments(arguments(address, tmp_path, service, "--max-messages", "35"))
    assert "are more than there are" in capsys.readouterr().err
    read_arguments(arguments(address, tmp_path, service, "--max-messages", "34"))
    assert "are more than there are" not in capsys.readouterr().err
    part = mock.send("part", [json.dumps(ROWS[0]).encode()], 2)
    read_arguments(arguments(part, tmp_path, service))
    assert "there is none yet in 0, 1, 3" in capsys.readouterr().err
    job = read_arguments(arguments(part, tmp_path, service, "--idle-partitions", "1m"))
    assert job.messages.holding.idle == 60
    assert "there is none yet" not in capsys.readouterr().err


def test_bad_rows_of_a_stream_are_a_folder(address, service, tmp_path):
    (tmp_path / "bad.jsonl").write_text("")
    with pytest.raises(ValueError, match="bad.jsonl is a file: of a stream it is a folder"):
        read_arguments(
            arguments(address, tmp_path / "store", service, "--bad-rows", f"{tmp_path}/bad.jsonl")
        )


def test_a_topic_in_yaml_says_what_reads_it():
    with pytest.raises(ValueError, match="in YAML topics are read by Beam's ReadFromKafka"):
        LearnFromFiles(files=["kafka://broker:9092/rows"], window="1m", n_components=1)


# --- Pub/Sub --------------------------------------------------------------------------------------


ROWS_OF = "pubsub://plant-7/rows"


def of_pubsub(tmp_path, address, *more):
    given = ["--input", address, "--key-column", "press", "--window", "1m", "--n-components", "1"]
    return [*given, "--output", "gs://bucket/store", "--runner=PrismRunner", *more]


@pytest.mark.parametrize(
    ("address", "resource"),
    [
        ("pubsub://plant-7/rows", "projects/plant-7/subscriptions/rows"),
        ("pubsub://projects/plant-7/subscriptions/rows", "projects/plant-7/subscriptions/rows"),
        ("pubsub://projects/plant-7/topics/rows", "projects/plant-7/topics/rows"),
    ],
)
def test_a_subscription_becomes_beams_own_step_and_parse_rows(tmp_path, address, resource):
    more = ["--columns", "oil,air", "--timestamp-column", "at", "--bad-rows", str(tmp_path / "bad")]
    job = read_arguments(of_pubsub(tmp_path, address, *more))
    assert "--streaming" in job.beam_options
    pipeline = beam.Pipeline(options=PipelineOptions(job.beam_options))
    run.build(pipeline, job._replace(output=str(tmp_path / "store")))
    steps = pipeline.to_runner_api().components.transforms.values()
    names = {step.unique_name for step in steps}
    assert {"PubSub/Read", "ParseRows/Parse", "LearnComponents/CarryModel"} <= names
    payloads = [step.spec.payload for step in steps if step.unique_name == "PubSub/Read"]
    assert resource.encode() in payloads[0]


@pytest.mark.parametrize(
    ("address", "more", "said"),
    [
        ("pubsub://plant", ["--columns", "oil"], "is no address of Pub/Sub"),
        ("pubsub://a/b/c", ["--columns", "oil"], "is no address of Pub/Sub"),
        ("pubsub://projects/a/snapshots/b", ["--columns", "oil"], "is no address of Pub/Sub"),
        ("pubsub://pl/rows", ["--columns", "oil"], "Invalid PubSub project name"),
        (ROWS_OF, [], "--columns is needed"),
        (
            "pubsub://plant-7/rows",
            ["--columns", "oil", "--resume"],
            "--resume: pubsub://plant-7/rows",
        ),
        (ROWS_OF, ["--columns", "oil", "--window", "global"], "never closed"),
        (
            "pubsub://plant-7/rows",
            ["--columns", "oil", "--start-at", "latest"],
            "--start-at is of kafka",
        ),
        (
            "pubsub://plant-7/rows",
            ["--columns", "oil", "--message-delay", "1m"],
            "--message-delay is of",
        ),
        (ROWS_OF, ["--columns", "oil", "--watch", "1m"], "--watch is for files"),
        (ROWS_OF, ["--columns", "oil", "--input-format", "csv"], "format='csv'"),
    ],
)
def test_what_pubsub_cannot_do_is_refused(tmp_path, address, more, said):
    with pytest.raises(ValueError, match=said):
        read_arguments(of_pubsub(tmp_path, address, *more))


def test_an_address_in_short_is_a_subscription():
    assert Subscription.of("pubsub://plant-7/rows/") == Subscription.of(
        "pubsub://projects/plant-7/subscriptions/rows"
    )
