"""What the context stage writes about one event: the interaction it became, or the letter that says why it did not."""

from typing import Final, NamedTuple

import msgspec

from schemas.document import Interaction
from schemas.errors import DeadCode
from schemas.messages import RoutedEvent
from schemas.times import format_time
from schemas.topics import DeadHeader, Topic
from state.context.document import grade_label
from state.engine import Output

STAGE: Final = b"context"

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
    )
    return Output(Topic.INTERACTIONS, customer.encode(), _JSON.encode(shown))


def dead_event(event: RoutedEvent, code: DeadCode, message: str, origin: Origin) -> Output:
    """An event that the context stage refuses, as the CloudEvent that it was."""
    original = _CloudEvent(
        "1.0", event.id, event.source, event.type, format_time(event.time), event.channel, msgspec.Raw(event.data)
    )
    return dead_record(_JSON.encode(original), event.target.encode(), code, message, origin)


def dead_record(value: bytes, key: bytes | None, code: DeadCode, message: str, origin: Origin) -> Output:
    """A record that the context stage refuses."""
    headers = (
        (DeadHeader.CODE.value, code.value.encode()),
        (DeadHeader.MESSAGE.value, message.encode()),
        (DeadHeader.STAGE.value, STAGE),
        (DeadHeader.TOPIC.value, origin.topic.encode()),
        (DeadHeader.PARTITION.value, b"%d" % origin.partition),
        (DeadHeader.OFFSET.value, b"%d" % origin.offset),
    )
    return Output(Topic.DEAD, key, value, headers)
