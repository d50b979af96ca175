"""Brokers of Kafka for tests: a real one in Java, and the one that librdkafka brings along."""

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from engines import free_port, wait_for

ROOT = Path(__file__).parents[2]
JARS = Path(os.environ.get("KAFKA_JARS", ROOT / "build/kafka"))

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
"""


def lacks():
    """Why the real broker cannot be started here; None if it can."""
    if shutil.which("java") is None:
        return "there is no Java"
    if not list(JARS.glob("kafka_2.13-*.jar")):
        return "there are no jars of Kafka: make kafka-jars, which needs Maven"
    return None


class Broker:
    """A broker of one node that listens on 127.0.0.1 alone; `stop` ends it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        self.port = free_port()
        text = _PROPERTIES.format(folder=self.folder, port=self.port, controller=free_port())
        self._file = self.folder / "server.properties"
        self._file.write_text(text)
        self._log = self.folder / "log"
        cluster = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c").wait()
        self.start()

    def _java(self, *command):
        given = ["java", "-Xmx256m", "-cp", f"{JARS}/*", *command, str(self._file)]
        with self._log.open("ab") as log:
            return subprocess.Popen(given, cwd=self.folder, stdout=log, stderr=log)

    def start(self):
        """Start it, or start it again with the messages that it has."""
        self.process = self._java("kafka.Kafka")
        try:
            wait_for(self.port, self.process, self._log, 300)
        except RuntimeError:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self, *, keep=False):
        self.process.terminate()
        self.process.wait(60)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


class Topics:
    """Makes topics of a broker and sends messages."""

    def __init__(self, address):
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient

        self.address = address
        given = {"bootstrap.servers": address, "log_level": 0}
        self.admin, self._producer = AdminClient(given), Producer(given)

    def make(self, name, partitions=1, **config):
        """A new topic, whose messages stay; its address."""
        from confluent_kafka.admin import NewTopic

        config = {"retention.ms": "-1"} | config
        self.admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
        return f"kafka://{self.address}/{name}"

    def send(self, name, values, partition=0, keys=None):
        """Messages into one partition; they are there when it returns."""
        for i, value in enumerate(values):
            key = None if keys is None else keys[i]
            self._producer.produce(name, value, key, partition)
            if i % 1000 == 999:
                self._producer.poll(0)
        assert self._producer.flush(60) == 0


class Mock:
    """The broker inside librdkafka: sockets, no Java; it has no topics with identities."""

    def __init__(self):
        from confluent_kafka import Producer

        given = {"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0}
        self._producer = Producer(given)
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def send(self, name, values, partition=0, keys=None):
        """Messages into one partition; the topic has four, and is made by the first."""
        for i, value in enumerate(values):
            self._producer.produce(name, value, None if keys is None else keys[i], partition)
        assert self._producer.flush(30) == 0
        return f"kafka://{self.address}/{name}"
