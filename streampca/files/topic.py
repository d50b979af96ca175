"""A topic of Kafka as a source of rows: an address, places in its partitions, where it ends."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from streampca.files import batches
from streampca.files.chunk import BEGIN, Chunk, Layout, Place, Wanted
from streampca.files.kafka import Client, Message, config_of
from streampca.files.options import refuse_topics_only
from streampca.files.source import Source
from streampca.text import zoned

SCHEME = "kafka://"

_SAMPLE = 200
_NEW_PARTITIONS = 30.0
"""Seconds after which partitions that somebody has added are read, too."""


class Topic(Source):
    """A topic: messages with places that can be gone on from.

    Parameters
    ----------
    path : str
        ``kafka://broker:9092,other:9092/topic``
    form : {"jsonl", "arrow", "avro"}, default="jsonl"
        Of its messages.

    Raises
    ------
    ValueError
        If the address is none.
    """

    is_topic = True
    is_pipe = False

    def __init__(
        self, path: str, form: str | None = None, partitions: dict[str, Any] | None = None
    ) -> None:
        super().__init__(path, form or "jsonl")
        if self.form not in batches.FORMATS:
            raise ValueError(
                f"{path}: messages of a topic are {', '.join(batches.FORMATS)}, not {form}"
            )
        parts = urlsplit(path)
        self.topic = parts.path.strip("/")
        self.brokers = parts.netloc
        if not self.brokers or not self.topic or "/" in self.topic or parts.query:
            raise ValueError(
                f"{path}: is no address of a topic; write kafka://host:9092/topic, and what else "
                "the client needs into a file for --kafka-config"
            )
        if "@" in self.brokers:
            raise ValueError(
                f"kafka://{self.brokers.rpartition('@')[2]}/{self.topic}: names and passwords are "
                "no part of an address; write them into a file for --kafka-config"
            )
        self.idle: Callable[[], None] = lambda: None
        self.say: Callable[[str], None] = lambda _: None
        self.starts: dict[int, Place] = {}

    @property
    def size(self) -> int | None:
        """It has none."""
        return None

    def place_of(self, partition: int) -> str:
        """An identity that all addresses of a partition share."""
        return f"kafka:{self.topic}/{partition}"

    def _client(self, asked: Mapping[str, Any]) -> Client:
        config = config_of(asked.get("kafka_config"))
        return Client(self.brokers, self.topic, self.name, config)

    def identify(self, asked: Mapping[str, Any]) -> str:
        """The identity of the topic: another one of the same name has another."""
        with self._client(asked) as client:
            return client.identity()

    def leave(self, asked: Mapping[str, Any], group: str, starts: Mapping[int, int]) -> None:
        """Tell the brokers where another client is to begin, which reads as a group."""
        with self._client(asked) as client:
            client.leave(group, starts)

    def unread(self, asked: Mapping[str, Any], starts: Mapping[int, int]) -> dict[int, int]:
        """How many messages each partition has from a place on, at most."""
        with self._client(asked) as client:
            return {n: client.limits(n)[1] - at for n, at in starts.items()}

    def settle(self, asked: Mapping[str, Any], before: Mapping[int, Place]) -> dict[int, Place]:
        """Where each partition is to be read from.

        Parameters
        ----------
        asked : mapping
            Options.
        before : mapping
            Places up to which partitions have been read; others begin as `start_at` says.

        Raises
        ------
        ValueError
            If messages after a place have been deleted, unless `start_at` is given.
        """
        with self._client(asked) as client:
            numbers = client.partitions()
            lost = sorted(set(before) - set(numbers))
            if lost:
                raise ValueError(
                    f"{self.name}: has no partition {lost[0]} any more, so it is not the topic "
                    "that was read before; fit into a new folder"
                )
            # partitions that were added since have nothing that is older than the first reading
            start_at = None if before else asked.get("start_at")
            new = _starts(client, [n for n in numbers if n not in before], start_at)
            found = {n: BEGIN._replace(offset=offset) for n, offset in new.items()}
            for number, place in before.items():
                found[number] = self._checked(client, number, place, asked)
            return found

    def _checked(
        self, client: Client, partition: int, place: Place, asked: Mapping[str, Any]
    ) -> Place:
        low, high = client.limits(partition)
        called = f"{self.name}, partition {partition}"
        if place.offset > high:
            raise ValueError(
                f"{called}: ends at offset {high}, and has been read up to {place.offset}: its end "
                "was lost, or it is another topic; fit into a new folder"
            )
        if place.offset >= low:
            return place
        gone = f"{called}: messages from offset {place.offset} to {low - 1} were deleted before "
        gone += "they were read"
        start_at = asked.get("start_at")
        if start_at is None:
            raise ValueError(
                f"{gone}; --start-at earliest goes on without them, and retention.ms of the topic "
                "says how long messages stay"
            )
        self.say(f"{gone}; going on without them")
        return BEGIN._replace(offset=_starts(client, [partition], start_at)[partition])

    def first_layout(self, asked: Mapping[str, Any]) -> Layout:
        """The columns by the first messages that are there; it waits for one.

        Raises
        ------
        ValueError
            If none can be read; or there is none, and none is waited for.
        """
        read = batches.reader(self.form, asked.get("avro_schema"))
        with self._client(asked) as client:
            starts = {}
            for number in client.partitions():
                low, high = client.limits(number)
                place = self.starts.get(number)
                at = low if place is None else place.offset
                starts[number] = at if low <= at < high else low
            client.seek(starts)
            found: list[Message] = []
            for each in client.messages():
                for _, messages in each:
                    found += messages
                ended = all(client.at_end(number) for number in starts)
                if len(found) >= _SAMPLE or (ended and found):
                    break
                if ended and asked.get("until_end"):
                    raise ValueError(f"{self.name}: there is no message")
                if not found:
                    self.idle()
        return batches.layout(found[:_SAMPLE], read, self.name)

    def read(
        self,
        asked: Mapping[str, Any],
        wanted: Sequence[str],
        numbers: Sequence[str],
        known: Collection[str] | None,
    ) -> Iterator[Chunk]:
        """Chunks from the places in `starts` on, of one partition each.

        Raises
        ------
        ValueError
            If messages have been deleted before they were read, or a broker refuses.
        """
        read = batches.reader(self.form, asked.get("avro_schema"))
        columns = Wanted(wanted, numbers, known)
        made = batches.Batches(self.form, read, columns, columns.types(self.layout))
        starts = self.starts or self.settle(asked, {})
        left = asked.get("max_messages")
        with self._client(asked) as client:
            for partition, messages in self._messages(client, starts, asked):
                taken = messages if left is None else messages[:left]
                if taken:
                    yield from made.chunks(partition, taken, starts.pop(partition, None))
                if left is not None:
                    left -= len(taken)
                    if left <= 0:
                        return

    def _messages(
        self, client: Client, starts: Mapping[int, Place], asked: Mapping[str, Any]
    ) -> Iterator[tuple[int, list[Message]]]:
        """Messages of one partition after another, as they come, until the end if there is one."""
        until_end = asked.get("until_end")
        numbers = set(starts)
        ends = {n: client.limits(n)[1] if until_end else 0 for n in numbers}
        reached = {n: place.offset for n, place in starts.items()}
        client.seek(reached)
        counted, told = time.monotonic(), ""
        for found in client.messages():
            for partition, messages in found:
                if until_end:
                    yield partition, [m for m in messages if m.offset < ends[partition]]
                else:
                    yield partition, messages
                reached[partition] = messages[-1].offset + 1
            if until_end and all(client.at_end(n) or reached[n] >= ends[n] for n in numbers):
                return
            if not found:
                self.idle()
                if client.trouble and client.trouble != told:
                    told = client.trouble
                    self.say(f"{self.name}: {told}; waiting")
            if not until_end and time.monotonic() - counted > _NEW_PARTITIONS:
                counted = time.monotonic()
                for number in self._added(client, numbers):
                    client.add(number, client.limits(number)[0])
                    numbers.add(number)

    def _added(self, client: Client, numbers: Collection[int]) -> list[int]:
        try:
            return [number for number in client.partitions() if number not in numbers]
        except ValueError:
            return []  # no broker answers: it is waited for


def _starts(client: Client, numbers: list[int], start_at: str | None) -> dict[int, int]:
    """The place in each partition where unread records begin."""
    if not numbers:
        return {}
    if start_at in (None, "earliest", "latest"):
        which = 1 if start_at == "latest" else 0
        return {number: client.limits(number)[which] for number in numbers}
    when = datetime.datetime.fromisoformat(str(start_at))
    return client.offsets_at(zoned(when), numbers)


def check_topics(
    sources: Sequence[Source], asked: Mapping[str, Any], say: Any = str, *, ends: bool = False
) -> None:
    """Raise if options are of topics and there is none, or something comes after an endless one.

    Raises
    ------
    ValueError
        It says what to do.
    """
    if not any(source.is_topic for source in sources):
        refuse_topics_only(asked, sources[0].name, say=say)
    if asked.get("until_end") or asked.get("max_messages") is not None:
        return
    for source in sources if ends else sources[:-1]:
        if source.is_topic:
            after = "of which nothing would come" if ends else "so that nothing after it is read"
            raise ValueError(f"{source.name}: has no end, {after}: give {say('until_end')}")
