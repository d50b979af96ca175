"""A topic of Kafka as input of a job: what brokers are asked before it starts.

Where a job begins is settled here, and left with the brokers for Beam's connector to read: offsets
by partition, which its own options have no place for.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    WindowFn,
)

from beam_pipelines.rows import slots
from beam_pipelines.run.progress import Progress
from beam_pipelines.run.submission import check_answer, check_clock
from beam_pipelines.sources import (
    Holding,
    Incoming,
    KafkaTopic,
    Parse,
    Places,
    ReadTopic,
    form_of,
    schema_of,
)
from streampca.files import BEGIN, Columns, Topic, config_of

OWN_KEY, OWN_TIME = "kafka.key", "kafka.timestamp"

_SPLIT = 10_000
"""Messages of a reading with an end for which Beam's connector takes another part of partitions."""


class KafkaInput(NamedTuple):
    """A topic of Kafka as a job reads it."""

    source: Topic
    asked: dict[str, Any]
    topic: KafkaTopic
    places: Places
    holding: Holding
    progress: Progress  # where it begins
    resume: bool

    @property
    def ends(self) -> bool:
        """Whether the job ends by itself."""
        return self.topic.max_messages is not None

    def read(self, pipeline: Any, *, bad_rows: bool) -> Incoming:
        """The steps that read it."""
        parse = Parse(form_of(self.source.form), schema_of(self.asked), self.places, bad_rows)
        found = pipeline | "Messages" >> ReadTopic(self.topic, parse, self.holding)
        return found if bad_rows else Incoming(found.rows, None, found.marks)

    def begin(self, store: str) -> None:
        """Store where it begins: with the brokers, and beside the checkpoints."""
        group = self.topic.consumer["group.id"]
        self.source.leave(self.asked, group, self.progress.offsets)
        if not self.resume:
            self.progress.write(store)


# --- windows --------------------------------------------------------------------------------------


def grain_of(windowfn: WindowFn) -> int | None:
    """Microseconds at whose multiples windows may end; None if there is one."""
    slot = slots(windowfn)
    if isinstance(slot, FixedWindows):
        return int(slot.size.micros)
    if isinstance(slot, Sessions):
        return max(1000, int(slot.gap_size.micros) // 16)
    return None


def reach_of(windowfn: WindowFn) -> int | None:
    """Microseconds that an open window may reach back beyond the end of one that is closed.

    None where nothing bounds it: then all is read again.
    """
    if isinstance(windowfn, SlidingWindows):
        return int(windowfn.size.micros) - (grain_of(windowfn) or 0)
    return 0 if isinstance(windowfn, FixedWindows) else None


# --- Kafka ----------------------------------------------------------------------------------------


def kafka_input(
    source: Topic,
    columns: Columns,
    asked: Mapping[str, Any],
    given: Mapping[str, Any],
    windowfn: WindowFn,
    beam_options: Sequence[str],
    store: str,
    *,
    resume: bool,
    say: Any,
) -> KafkaInput:
    """A topic as a job with these options reads it; the brokers are asked.

    Raises
    ------
    ValueError
        If it cannot be read as it stands: no broker, no Java side, messages that have gone.
    """
    limit = asked.get("max_messages")
    _check(source, asked, windowfn, beam_options, resume)
    consumer = _consumer(source, given.get("consumer_config"), store)
    _check_java(given.get("expansion_service"))
    before = Progress.read(store) if resume else None
    identity = source.identify(asked)
    if before is not None and before.topic != identity:
        raise ValueError(
            f"--resume: {source.name} is not the topic that was read into {store}, but another of "
            "the same name; give another --output"
        )
    known = {} if before is None else before.offsets
    source.say = say
    settled = source.settle(asked, {n: BEGIN._replace(offset=at) for n, at in known.items()})
    starts = {number: place.offset for number, place in settled.items()}
    since = None if before is None else before.since
    there = source.unread(asked, starts)
    if limit is not None:
        _tell_short(source, there, limit, say)
    elif given.get("idle_partitions") is None:
        _tell_empty(source, there, say)
    topic = KafkaTopic(
        source.topic, consumer, sorted(starts), given.get("expansion_service"), limit
    )
    delay = round(1e6 * given.get("message_delay", 0.0))
    return KafkaInput(
        source,
        dict(asked),
        topic,
        _places(columns),
        # where there is an end, windows are closed there: then order does not matter
        Holding(
            delay,
            grain_of(windowfn) if limit is None else None,
            since,
            given.get("idle_partitions"),
        ),
        Progress(identity, since, starts),
        resume and before is not None,
    )


def _places(columns: Columns) -> Places:
    own_key = columns.key == OWN_KEY
    timestamp = None if columns.timestamp == OWN_TIME else columns.timestamp
    return Places(None if own_key else columns.key, own_key, timestamp, columns.rule)


def _check(
    source: Topic,
    asked: Mapping[str, Any],
    windowfn: WindowFn,
    beam_options: Sequence[str],
    resume: bool,
) -> None:
    """Raise if a job with these options would never write, or lose rows."""
    if asked.get("until_end"):
        raise ValueError(
            "--until-end: Beam's connector ends after a number of messages only: give "
            "--max-messages, or let streampca fit read the topic"
        )
    limit = asked.get("max_messages")
    if limit is None and isinstance(windowfn, GlobalWindows):
        raise ValueError(
            f"--window global is never closed while {source.name} is read: give a length such as "
            "1h, or --max-messages"
        )
    if limit is not None and resume:
        raise ValueError(
            "--resume: with --max-messages it is chance which messages are read: run the job again "
            "from its beginning, into another --output"
        )
    check_clock(beam_options, "topics", "let streampca fit read the topic, without Beam")


def _check_java(address: str | None) -> None:
    advice = "start Beam's expansion service there, which has ReadFromKafka, or correct the address"
    if address is not None:
        check_answer(f"--expansion-service {address}", address, advice)
    elif shutil.which("java") is None:
        raise ValueError(
            "topics of Kafka are read by Beam's Java side, and there is no Java here: give "
            "--expansion-service HOST:PORT"
        )


def _consumer(source: Topic, path: str | None, store: str) -> dict[str, str]:
    """Properties of the connector's client: where it begins, the brokers know by its group."""
    digest = hashlib.blake2b(f"{source.topic} {store}".encode(), digest_size=8).hexdigest()
    return {
        "group.id": f"streampca-{digest}",
        "isolation.level": "read_committed",
        **config_of(path),
        "bootstrap.servers": source.brokers,
        "enable.auto.commit": "false",
        "auto.offset.reset": "none",  # messages that have gone are an error, never passed over
    }


def _tell_empty(source: Topic, there: Mapping[int, int], say: Any) -> None:
    """Say which partitions would let every window wait."""
    empty = [number for number, n in there.items() if not n]
    if empty:
        say(
            f"{source.name}: windows stay open until every partition has a later row, and there is "
            f"none yet in {', '.join(map(str, empty))}; --idle-partitions lets them go on"
        )


def _tell_short(source: Topic, there: Mapping[int, int], limit: int, say: Any) -> None:
    """Say where the job would wait for messages."""
    # The connector deals partitions, and messages, into so many equal parts.
    parts = min(len(there), 1 + limit // _SPLIT)
    shares = [limit // parts + (i < limit % parts) for i in range(parts)]
    has = [sum(there[number] for number in sorted(there)[i::parts]) for i in range(parts)]
    if any(n < share for n, share in zip(has, shares, strict=True)):
        say(
            f"{source.name}: --max-messages {limit} are more than there are (Beam's connector asks "
            f"{parts} part(s) of the partitions for the same number each): the job waits for them"
        )
