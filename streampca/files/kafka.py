"""A client of Kafka that reads one topic: partitions, offsets, messages, and what brokers say.

Its own offsets it commits nowhere: who reads keeps them. What messages hold it does not know.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

_WAIT = 0.2
"""Seconds between readings of the clock and of signals while no message comes."""

_MORE = 0.005

_ANSWER = 15.0
"""Seconds within which brokers have to answer where the topic is opened."""

_MOST = 4096
_BYTES = 1 << 24
"""Messages, and bytes of them, that are taken at once: by the size of those before."""

_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # messages that have gone are an error, never passed over
    "enable.partition.eof": True,
}
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Message(NamedTuple):
    """One message of a partition."""

    offset: int
    time: int | None  # milliseconds since 1970
    key: bytes | None
    value: bytes | None


def config_of(path: str | None) -> dict[str, str]:
    r"""What a file of properties says, as Kafka's own tools take it: a ``key=value`` on each line.

    Raises
    ------
    ValueError
        Naming the line that is none, or the property that is not for the file to say.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "client.properties")
    >>> _ = path.write_text("# who we are\nsasl.username = plant\n")
    >>> config_of(str(path))
    {'sasl.username': 'plant'}
    """
    if path is None:
        return {}
    found: dict[str, str] = {}
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            line = text.strip()
            if not line or line[0] in "#!":
                continue
            name, sign, value = (each.strip() for each in line.partition("="))
            if not sign or not name:
                raise ValueError(f"{path}, line {number}: is no property; write key=value")
            if name in _OURS:
                raise ValueError(
                    f"{path}, line {number}: {name} is not for this file to say: offsets are kept "
                    "beside what was learned from them, never in the broker; leave it out"
                )
            if name == "bootstrap.servers":
                raise ValueError(
                    f"{path}, line {number}: the brokers stand in the address, "
                    "kafka://host:9092/topic; leave bootstrap.servers out"
                )
            found[name] = value
    return found


class Client:
    """Reads a topic.

    Parameters
    ----------
    brokers, topic : str
    name : str
        What messages call the topic.
    config : mapping
        More properties of librdkafka.

    Raises
    ------
    ValueError
        If no broker answers, or there is no such topic.
    """

    def __init__(self, brokers: str, topic: str, name: str, config: Mapping[str, str]) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise ImportError(
                f"{name}: topics are read by confluent-kafka: pip install 'streampca[kafka]'"
            ) from error
        self._kafka = confluent_kafka
        codes = confluent_kafka.KafkaError
        self._waits = (codes._TRANSPORT, codes._ALL_BROKERS_DOWN, codes._RESOLVE, codes._TIMED_OUT)
        self._topic, self._name = topic, name
        self.trouble = ""  # the last error of the brokers, if no message has come since
        self._at_end: set[int] = set()
        common: dict[str, Any] = {
            "bootstrap.servers": brokers,
            "log_level": 0,
            "error_cb": self._note,
            **config,
        }
        self._common = common
        given = {"group.id": "streampca", **common, **_OURS}
        try:
            self._consumer = confluent_kafka.Consumer(given)
        except (confluent_kafka.KafkaException, ValueError, TypeError) as error:
            raise ValueError(f"{name}: {_said(error)}") from error
        try:
            self.partitions()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the brokers go."""
        self._consumer.close()

    def _note(self, error: Any) -> None:
        self.trouble = error.str()

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except self._kafka.KafkaException as error:
            text = _said(error)
            if getattr(error.args[0], "code", int)() in self._waits:
                text = f"no broker answers within {_ANSWER:g} s ({text})"
            more = f"; {self.trouble}" if self.trouble else ""
            raise ValueError(f"{self._name}: {text}{more}") from error

    # --- what there is ------------------------------------------------------------------------

    def partitions(self) -> list[int]:
        """The partitions that the topic has now.

        Raises
        ------
        ValueError
            If there is no such topic.
        """
        found = self._asked(lambda: self._consumer.list_topics(self._topic, _ANSWER))
        self._cluster = found.cluster_id
        topic = found.topics[self._topic]
        if topic.error is not None or not topic.partitions:
            known = self._asked(lambda: self._consumer.list_topics(timeout=_ANSWER)).topics
            names = sorted(name for name in known if not name.startswith("__"))
            said = f"; there are {', '.join(names[:12])}" if names else ""
            raise ValueError(f"{self._name}: there is no topic {self._topic!r}{said}")
        return sorted(topic.partitions)

    def identity(self) -> str:
        """The identity of the topic: another one of the same name has another."""
        from confluent_kafka.admin import AdminClient

        admin = AdminClient(self._common)
        asked = self._kafka.TopicCollection([self._topic])

        def ask() -> Any:
            return admin.describe_topics(asked, request_timeout=_ANSWER)[self._topic].result()

        found = str(getattr(self._asked(ask), "topic_id", None) or _NO_ID)
        return self._cluster if found == _NO_ID else f"{self._cluster}/{found}"

    def limits(self, partition: int) -> tuple[int, int]:
        """The offset of the first message that is there, and the one after the last."""
        where = self._kafka.TopicPartition(self._topic, partition)
        low, high = self._asked(lambda: self._consumer.get_watermark_offsets(where, _ANSWER))
        return int(low), int(high)

    def offsets_at(self, when: datetime.datetime, partitions: list[int]) -> dict[int, int]:
        """The first offset at or after a time; the end where there is none."""
        micros = round(when.timestamp() * 1e3)
        asked = [self._kafka.TopicPartition(self._topic, each, micros) for each in partitions]
        found = self._asked(lambda: self._consumer.offsets_for_times(asked, _ANSWER))
        return {
            each.partition: self.limits(each.partition)[1] if each.offset < 0 else each.offset
            for each in found
        }

    def leave(self, group: str, starts: Mapping[int, int]) -> None:
        """Tell the brokers where another client is to begin, which reads as a group."""
        make = self._kafka.TopicPartition
        places = [make(self._topic, each, at) for each, at in starts.items()]
        other = self._kafka.Consumer({**self._common, "group.id": group, **_OURS})
        try:
            left = self._asked(lambda: other.commit(offsets=places, asynchronous=False))
        finally:
            other.close()
        for each in left:
            if each.error is not None:
                raise ValueError(
                    f"{self._name}: the group {group!r} cannot begin at offset {each.offset} of "
                    f"partition {each.partition} ({each.error.str()})"
                )

    # --- messages -----------------------------------------------------------------------------

    def seek(self, starts: Mapping[int, int]) -> None:
        """Read these partitions, each from an offset on."""
        make = self._kafka.TopicPartition
        self._at_end.clear()
        self._consumer.assign([make(self._topic, each, at) for each, at in starts.items()])

    def add(self, partition: int, start: int) -> None:
        """Read one partition more."""
        self._consumer.incremental_assign(
            [self._kafka.TopicPartition(self._topic, partition, start)]
        )

    def at_end(self, partition: int) -> bool:
        """Whether all that there was has been read."""
        return partition in self._at_end

    def messages(self) -> Iterator[list[tuple[int, list[Message]]]]:
        """Messages as they come, those of one partition together; none while none comes.

        Raises
        ------
        ValueError
            If messages have been deleted before they were read, or a broker refuses.
        """
        size = 256
        while True:
            found = self._asked(functools.partial(self._consumer.consume, 1, _WAIT))
            if found and size > 1:  # and what else is there, without a wait for more
                found += self._consumer.consume(size - 1, _MORE)
            by_partition: dict[int, list[Message]] = {}
            n_bytes = 0
            for each in found:
                if each.error() is not None:
                    self._judge(each)
                    continue
                self._at_end.discard(each.partition())
                kind, time = each.timestamp()
                value = each.value()
                n_bytes += len(value or b"")
                by_partition.setdefault(each.partition(), []).append(
                    Message(each.offset(), time if kind else None, each.key(), value)
                )
            if by_partition:
                self.trouble = ""
                mean = 1 + n_bytes // sum(map(len, by_partition.values()))
                size = max(1, min(_MOST, _BYTES // mean))
            yield list(by_partition.items())

    def _judge(self, message: Any) -> None:
        error = message.error()
        codes = self._kafka.KafkaError
        if error.code() == codes._PARTITION_EOF:
            self._at_end.add(message.partition())
            return
        if error.code() == codes._AUTO_OFFSET_RESET:
            raise ValueError(
                f"{self._name}, partition {message.partition()}: the messages that come next have "
                f"been deleted before they were read ({error.str()})"
            )
        if error.retriable() or error.code() in self._waits:
            self.trouble = error.str()
            return
        raise ValueError(f"{self._name}: {error.str()}")


def _said(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    text = first.str() if hasattr(first, "str") else str(first)
    return re.sub(r"^Failed to (get metadata|\w+ \w+): ", "", text) or type(error).__name__
