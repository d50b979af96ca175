"""Topics of Kafka and Pub/Sub as rows, by Beam's own connectors.

Which options a connector gets is said here, and what its messages become; when the windows of a
topic's rows are closed, in_order.py says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput  # noqa: F401
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from beam_pipelines.in_order import MARKS, Holding, InOrder, Message
from beam_pipelines.parse import Parse
from beam_pipelines.rows import BAD_ROWS

__all__ = ["KafkaTopic", "ReadTopic"]


class KafkaTopic(NamedTuple):
    """A topic and how Beam's connector is to read it."""

    topic: str
    consumer: dict[str, str]  # properties of Kafka's own client
    partitions: list[int]
    expansion_service: str | None  # None: Beam starts its own
    max_messages: int | None  # None: until somebody ends it


class ReadTopic(beam.PTransform):
    """A topic of Kafka -> `rows`, bad messages and marks.

    Parameters
    ----------
    topic : KafkaTopic
    parse : Parse
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
        return both | "Both" >> beam.Flatten() | "InOrder" >> step

    def _messages(self, pipeline: Any) -> Any:
        from apache_beam.io.kafka import ReadFromKafka

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
            raise ValueError(
                f"--expansion-service: Beam's Java side cannot make ReadFromKafka ({error})"
            ) from error


def _numbered(record: Any) -> TimestampedValue:
    """A message by its partition, timestamped by its offset: runners sort by time, if at all."""
    message = Message(record.offset, record.timestamp, record.key, record.value)
    when = Timestamp(micros=MIN_TIMESTAMP.micros + 1000 * (record.offset + 1))
    return TimestampedValue((record.partition, tuple(message)), when)
