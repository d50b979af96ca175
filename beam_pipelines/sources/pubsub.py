"""Subscriptions of Pub/Sub as input of a job, by Beam's own connector.

The service says how far the times of its messages have come, and what has been acknowledged it
gives to nobody again: so nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from apache_beam.io.gcp.pubsub import ReadFromPubSub
from apache_beam.transforms.window import GlobalWindows, WindowFn

from beam_pipelines.sources.parse import ParseRows
from beam_pipelines.sources.topics import Incoming, form_of, schema_of
from streampca.files import Columns, Rule, options


class Subscription(NamedTuple):
    """A subscription or topic of Pub/Sub."""

    resource: str  # projects/P/subscriptions/S or projects/P/topics/T

    @classmethod
    def of(cls, address: str) -> Subscription:
        """What an address stands for.

        Raises
        ------
        ValueError
            If it is none.

        Examples
        --------
        >>> Subscription.of("pubsub://plant-7/rows").resource
        'projects/plant-7/subscriptions/rows'
        >>> Subscription.of("pubsub://projects/plant-7/topics/rows").resource
        'projects/plant-7/topics/rows'
        """
        parts = address.removeprefix("pubsub://").rstrip("/").split("/")
        if len(parts) == 2 and all(parts):
            parts = ["projects", parts[0], "subscriptions", parts[1]]
        kinds = ("subscriptions", "topics")
        if len(parts) != 4 or not all(parts) or parts[0] != "projects" or parts[2] not in kinds:
            raise ValueError(
                f"{address}: is no address of Pub/Sub; write pubsub://PROJECT/SUBSCRIPTION, "
                "pubsub://projects/PROJECT/subscriptions/NAME or pubsub://projects/PROJECT/topics/"
                "NAME"
            )
        return cls("/".join(parts))

    def connector(self) -> ReadFromPubSub:
        """Beam's own step; it raises ValueError for names that Pub/Sub does not take."""
        if "/subscriptions/" in self.resource:
            return ReadFromPubSub(subscription=self.resource)
        return ReadFromPubSub(topic=self.resource)

    def read(self, pipeline: Any, parse: ParseRows, *, bad_rows: bool) -> Incoming:
        """Rows of its messages; the service keeps the watermark."""
        messages = pipeline | "PubSub" >> self.connector()
        found = messages | "ParseRows" >> parse
        return Incoming(found.rows, found.bad_rows) if bad_rows else Incoming(found, None)


class PubSubInput(NamedTuple):
    """A subscription of Pub/Sub as a job reads it."""

    subscription: Subscription
    form: str
    schema: Any
    options: dict[str, Any]  # of ParseRows

    @property
    def ends(self) -> bool:
        """Whether the job ends by itself."""
        return False

    def read(self, pipeline: Any, *, bad_rows: bool) -> Incoming:
        """The steps that read it."""
        parse = ParseRows(self.form, schema=self.schema, bad_rows=bad_rows, **self.options)
        return self.subscription.read(pipeline, parse, bad_rows=bad_rows)

    def begin(self, store: str) -> None:
        """Nothing: the service knows which messages were acknowledged."""


def pubsub_columns(address: str, asked: Mapping[str, Any]) -> Columns:
    """The columns of a subscription, which nobody can see before they are read.

    Raises
    ------
    ValueError
        If they are not named.
    """
    if "columns" not in asked:
        raise ValueError(f"{address}: --columns is needed: messages cannot be seen before")
    for name in options.OF_A_RUN:
        if asked.get(name) is not None:
            raise ValueError(
                f"{options.flag(name)} is of kafka://; {address} is read as the service gives it"
            )
    names = list(asked["columns"])
    return Columns(names, names, asked.get("key_column"), asked.get("timestamp_column"), Rule())


def pubsub_input(
    address: str, asked: Mapping[str, Any], windowfn: WindowFn, *, resume: bool
) -> PubSubInput:
    """A subscription as a job with these options reads it.

    Raises
    ------
    ValueError
        If it is no address, or rows would be lost.
    """
    if resume:
        raise ValueError(
            f"--resume: {address} gives acknowledged messages to nobody again; drain the job, and "
            "start another, or update it in place"
        )
    if isinstance(windowfn, GlobalWindows):
        raise ValueError(f"--window global is never closed while {address} is read")
    names = ("timestamp_format", "timestamp_unit", "timezone")
    given = {name: asked[name] for name in names if name in asked}
    found = {"key": asked.get("key_column"), "timestamp": asked.get("timestamp_column")}
    form = form_of(asked.get("input_format"))
    made = PubSubInput(Subscription.of(address), form, schema_of(asked), found | given)
    ParseRows(form, schema=made.schema, **made.options)  # raises at once, as does
    made.subscription.connector()
    return made
