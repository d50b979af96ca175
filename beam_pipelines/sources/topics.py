"""Topics of Kafka as rows, by Beam's own connector.

Which options the connector gets is said here, and what its messages become; when windows are
closed, in_order.py says. Knows no command line and asks no broker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import grpc
from apache_beam.io.kafka import ReadFromKafka
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from beam_pipelines.rows import BAD_ROWS
from beam_pipelines.sources.in_order import MARKS, Holding, InOrder, Message
from beam_pipelines.sources.parse import Parse


class Incoming(NamedTuple):
    """The outputs of the steps that read messages."""

    rows: Any
    bad_rows: Any  # None: they fail the job
    marks: Any = None  # of Kafka: see `InOrder`


class KafkaTopic(NamedTuple):
    """A topic and how Beam's connector is to read it."""

    topic: str
    consumer: dict[str, str]  # properties of Kafka's own client
    partitions: list[int]
    expansion_service: str | None  # None: Beam starts its own
    max_messages: int | None  # None: until somebody ends it


class ReadTopic(beam.PTransform):
    """A topic of Kafka -> `Incoming`.

    Parameters
    ----------
    topic : KafkaTopic
    parse : Parse
        With bad messages as an output of its own, or none.
    holding : Holding
    """

    def __init__(self, topic: KafkaTopic, parse: Parse, holding: Holding) -> None:
        super().__init__()
        self._topic, self._in_order = topic, InOrder(parse, holding)

    def expand(self, pipeline: Any) -> Any:
        """Build the steps."""
        kind = tuple[int, Any]
        seeds = [(number, None) for number in self._topic.partitions]
        both = (
            pipeline | "Partitions" >> beam.Create(seeds, reshuffle=False).with_output_types(kind),
            self._messages(pipeline) | "Number" >> beam.Map(_numbered).with_output_types(kind),
        )
        step = beam.ParDo(self._in_order).with_outputs(BAD_ROWS, MARKS, main="rows")
        found = both | "Both" >> beam.Flatten() | "InOrder" >> step
        return Incoming(found.rows, found[BAD_ROWS], found[MARKS])

    def _messages(self, pipeline: Any) -> Any:
        topic = self._topic
        read = ReadFromKafka(
            topic.consumer,
            [topic.topic],
            max_num_records=topic.max_messages,
            with_metadata=True,
            expansion_service=topic.expansion_service,
        )
        try:
            return pipeline | "Kafka" >> read
        except Exception as error:
            at = topic.expansion_service
            where = "--expansion-service" if at is None else f"--expansion-service {at}"
            raise ValueError(
                f"{where}: Beam's Java side cannot make ReadFromKafka ({_first_line(error)})"
            ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, grpc.RpcError) and hasattr(error, "details"):
        return str(error.details())
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _numbered(record: Any) -> TimestampedValue:
    """A message by its partition, timestamped by its offset: runners sort by time, if at all."""
    message = Message(record.offset, record.timestamp, record.key, record.value)
    when = Timestamp(micros=MIN_TIMESTAMP.micros + 1000 * (record.offset + 1))
    return TimestampedValue((record.partition, tuple(message)), when)


def form_of(form: str | None) -> str:
    """What `ParseRows` calls a format of the table of options."""
    return "json" if form in (None, "jsonl") else str(form)


def schema_of(asked: Mapping[str, Any]) -> Any:
    """Avro's schema, if the options name a file with one."""
    if "avro_schema" not in asked:
        return None
    with open(asked["avro_schema"], encoding="utf-8") as file:
        return json.load(file)
