"""What the context stage writes about one event: the interaction it became, or the letter that says why it did not."""

from typing import Final, NamedTuple

import msgspec

from schemas.dead_letters import dead_letter
from schemas.document import Interaction
from schemas.errors import EventError
from schemas.messages import RoutedEvent
from schemas.times import format_time
from schemas.topics import Topic
from state.context.document import grade_label
from state.engine import Output

STAGE: Final = "context"

_JSON = msgspec.json.Encoder()


class Origin(NamedTuple):
    """Where a record came from."""

    topic: str
    partition: int
    offset: int


class _CloudEvent(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: str
    channel: str
    data: msgspec.Raw


def interaction(event: RoutedEvent, customer: str) -> Output:
    """The event as its customer's interaction, its data whole."""
    shown = Interaction(
        event.id,
        event.source,
        event.type,
        format_time(event.time),
        event.channel,
        customer,
        event.target,
        event.kind,
        grade_label(event.grade),
        event.summary or None,
        event.direction or None,
        event.session or None,
        msgspec.Raw(event.data),
        format_time(event.received) if event.received else None,
        msgspec.Raw(event.enriched) if event.enriched else msgspec.UNSET,
    )
    return Output(Topic.INTERACTIONS, customer.encode(), _JSON.encode(shown))


def dead_event(event: RoutedEvent, error: EventError, origin: Origin) -> Output:
    """An event that the context stage refuses, as the CloudEvent that it was."""
    original = _CloudEvent(
        "1.0", event.id, event.source, event.type, format_time(event.time), event.channel, msgspec.Raw(event.data)
    )
    return dead_record(_JSON.encode(original), event.target.encode(), error, origin)


def dead_record(value: bytes, key: bytes | None, error: EventError, origin: Origin) -> Output:
    """A record that the context stage refuses."""
    letter = dead_letter(
        error,
        stage=STAGE,
        key=key,
        value=value,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
    )
    return Output(Topic.DEAD, *letter)
