"""The gate of collect: events as they arrived become raw records, or are refused before anything is written.

What the gate lets through, intake will take: both ask the same `Cleaner`. The stored record is the event as it was
sent, so its content hash is the producer's; only a channel that comes from the source's registration is added, since
the registration may change before intake reads the record.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError, GoldenthreadError
from schemas.event import (
    CONTENT_TYPE_HEADER,
    STRUCTURED_CONTENT_TYPE,
    CloudEvent,
    encode_structured,
    parse_batch,
    parse_binary,
    parse_structured,
    raw_key,
)
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.strict_json import UNREADABLE
from schemas.topics import Catalogue
from streams.producer import Record

_HEADERS: Final = ((CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE.encode()),)


class AcceptedEvent(NamedTuple):
    """An event that may be written, with the channel whose raw topic it goes to, and its source."""

    channel: str
    source: str
    record: Record


class BatchRefused(GoldenthreadError):
    """At least one event of a batch is refused, so none is taken. Each pointer starts with the event's place."""

    def __init__(self, size: int, errors: Sequence[EventError]) -> None:
        super().__init__(f"{len(errors)} of {size} events are refused")
        self.size = size
        self.errors = tuple(errors)


class BatchTooLong(GoldenthreadError):
    """A batch has more events than one request may bring; send it in parts."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(f"{size} events, at most {size_max} are taken at once")
        self.size = size


class EventGate:
    """Lets events through to their raw topics.

    Args:
        cleaner: Judges each event as intake will.
        catalogue: Names the raw topics.
        clock: Says what lies in the future.
        batch_events_max: Events that one batch may hold.
    """

    def __init__(self, *, cleaner: Cleaner, catalogue: Catalogue, clock: Clock, batch_events_max: int) -> None:
        self._cleaner = cleaner
        self._catalogue = catalogue
        self._clock = clock
        self._batch_events_max = batch_events_max

    def structured(self, body: bytes) -> AcceptedEvent:
        """The event of a structured-mode body.

        Raises:
            EventError: it is refused.
        """
        return self._accepted(parse_structured(body), body)

    def binary(self, attributes: Mapping[str, str], data: bytes) -> AcceptedEvent:
        """The event of a binary-mode message, stored in structured mode. Attributes are named without prefix.

        Raises:
            EventError: it is refused.
        """
        return self._accepted(parse_binary(attributes, data), None)

    def batch(self, body: bytes) -> list[AcceptedEvent]:
        """All events of a batch-mode body, or none.

        Raises:
            EventError: the body is no JSON array.
            BatchTooLong: it has too many events; none was looked at.
            BatchRefused: some are refused.
        """
        try:
            pieces = msgspec.json.decode(body, type=list[msgspec.Raw])
        except UNREADABLE:
            # What is wrong with the whole is for the parser to say, in its codes.
            pieces = []
        if len(pieces) > self._batch_events_max:
            raise BatchTooLong(len(pieces), self._batch_events_max)
        accepted: list[AcceptedEvent] = []
        errors: list[EventError] = []
        events = parse_batch(body)
        for place, (event, piece) in enumerate(zip(events, pieces, strict=True)):
            if isinstance(event, EventError):
                errors.append(event)
                continue
            try:
                accepted.append(self._accepted(event, bytes(piece)))
            except EventError as error:
                errors.append(EventError(error.code, error.message, f"/{place}{error.pointer}"))
        if errors:
            raise BatchRefused(len(events), errors)
        return accepted

    def _accepted(self, event: CloudEvent, original: bytes | None) -> AcceptedEvent:
        """`original` is the event's structured form as it was sent, where it was sent in one."""
        cleaned = self._cleaner.clean(event, topic_channel=None, now_us=self._clock.now_us())
        channel = cleaned.routed.channel
        if original is None:
            value = encode_structured(msgspec.structs.replace(event, channel=channel))
        elif event.channel is None:
            value = _with_channel(original, channel)
        else:
            value = original
        if len(value) > EVENT_SIZE_BYTES_MAX:
            # What was added took it over the bound; intake would refuse it after we had accepted it.
            message = (
                f"{len(value)} bytes with its channel, in structured form; at most {EVENT_SIZE_BYTES_MAX} are taken"
            )
            raise EventError(DeadCode.RECORD_TOO_LARGE, message)
        return AcceptedEvent(
            channel, event.source, Record(self._catalogue.raw(channel), raw_key(event), value, _HEADERS)
        )


def _with_channel(original: bytes, channel: str) -> bytes:
    attributes = msgspec.json.decode(original, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**attributes, "channel": channel})
