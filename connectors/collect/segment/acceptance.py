"""A message of the Segment spec becomes an event that may be written, or is set aside with its bytes and a reason."""

from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.collect.event_gate import AcceptedEvent, EventGate
from connectors.collect.segment.body import SegmentBody
from connectors.collect.segment.calls import CALLS
from connectors.collect.sorting import SetAside, Sorted, sort
from connectors.collect.webhook_request import KEPT_SIZE_BYTES_MAX
from schemas.errors import DeadCode, EventError
from schemas.event import CONTENT_TYPE_HEADER
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.mapping import Arrival, Mapping, MappingSet
from schemas.media_types import JSON_TYPE
from schemas.sources import SourceRegistry
from schemas.strict_json import UNREADABLE, read_json
from schemas.topics import SEGMENT_HEADER, SOURCE_HEADER, Header

#: The source of messages that come with no key, or with a key that speaks for any source.
DEFAULT_SOURCE: Final = "segment"
MAPPING_FILE: Final = Path(__file__).parents[1] / "mappings" / "segment.yaml"
#: How the message travelled and by which key. No mapping sees it: copies differ in it, and a key is nobody's to keep.
_KEY: Final = "writeKey"
_TRANSPORT: Final = frozenset({_KEY, "sentAt", "receivedAt", "_metadata"})


class _Around(msgspec.Struct, omit_defaults=True):
    """What makes a message whole and stands around it: the path of a single one, the context of a batch."""

    call: str | None = None
    context: dict[str, Any] = {}


class Acceptance:
    """Maps messages and judges the events.

    Args:
        gate: Judges each event as intake will.
        registry: A source's channel goes before the mapping's.
        mappings: A source that is registered with one is mapped by it, all others by the shipped one.

    Raises:
        SettingError: the shipped mapping can't be read.
    """

    def __init__(self, gate: EventGate, *, registry: SourceRegistry, mappings: MappingSet) -> None:
        self._gate = gate
        self._registry = registry
        self._mappings = mappings
        self._default = Mapping(MAPPING_FILE.read_bytes(), MAPPING_FILE.name)

    async def sort(self, body: SegmentBody, call: str | None, source: str, arrival: Arrival) -> Sorted:
        """Judge every message.

        Args:
            body: What came.
            call: Which call it was; None where each message says so itself.
            source: Whose messages they are.
            arrival: When they came.
        """
        headers: tuple[Header, ...] = (
            (SOURCE_HEADER, source.encode()),
            (CONTENT_TYPE_HEADER, JSON_TYPE.encode()),
        )
        if (around := _around(call, body.context)) is not None:
            headers = (*headers, (SEGMENT_HEADER, around))
        return await sort(
            body.messages,
            lambda original: self._event(_message(original, call, body.context), source, arrival),
            lambda original, error: SetAside(error, without_key(original), f"segment:{source}", headers),
        )

    def event_of_letter(
        self, original: bytes, around: bytes | None, source: str, arrival: Arrival
    ) -> AcceptedEvent | None:
        """The event of a message that was set aside; None where the mapping leaves it out.

        Args:
            original: The message.
            around: What was noted of its request, in the letter's header SEGMENT_HEADER.
            source: Whose message it is.
            arrival: When it came.

        Raises:
            EventError: it is still none.
        """
        try:
            noted = _Around() if around is None else msgspec.json.decode(around, type=_Around)
        except UNREADABLE:
            noted = _Around()
        return self._event(_message(original, noted.call, noted.context), source, arrival)

    def _event(self, message: dict[str, Any], source: str, arrival: Arrival) -> AcceptedEvent | None:
        mapping = self._mappings.for_source(source) or self._default
        if not mapping.takes(message, arrival):
            return None
        channel = self._registry.source(source).channel
        return self._gate.structured(mapping.encode(message, arrival, source=source, channel=channel))


def without_key(original: bytes) -> bytes:
    """A message as it was sent, but for the key in it: whoever reads dead letters could send with that."""
    try:
        members = msgspec.json.decode(original, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        # It is no object, so it has no member.
        return original
    if members.pop(_KEY, None) is None:
        return original
    return msgspec.json.encode(members)


def _around(call: str | None, context: dict[str, Any]) -> bytes | None:
    """What is kept beside a message that is set aside; a context that is too large to be kept is left out."""
    noted = msgspec.json.encode(_Around(call, context))
    if len(noted) > KEPT_SIZE_BYTES_MAX:
        noted = msgspec.json.encode(_Around(call))
    return None if noted == b"{}" else noted


def _message(original: bytes, call: str | None, context: dict[str, Any]) -> dict[str, Any]:
    """The message as the mapping sees it: with its type and the context of its batch, without its journey."""
    if len(original) > EVENT_SIZE_BYTES_MAX:
        message = f"a message of {len(original)} bytes, at most {EVENT_SIZE_BYTES_MAX} are taken"
        raise EventError(DeadCode.RECORD_TOO_LARGE, message)
    given = read_json(original)
    if not isinstance(given, dict):
        raise EventError(DeadCode.NOT_AN_OBJECT, "a message is a JSON object")
    row = {name: value for name, value in given.items() if name not in _TRANSPORT}
    if call is not None:
        row["type"] = call
    if row.get("type") is None:
        raise EventError(DeadCode.MISSING_ATTRIBUTE, f"type is missing; it is one of {', '.join(CALLS)}", "/type")
    if row["type"] not in CALLS:
        raise EventError(DeadCode.WRONG_ATTRIBUTE, f"type is none of {', '.join(CALLS)}", "/type")
    if row["type"] == "track" and not (isinstance(row.get("event"), str) and row["event"].strip()):
        raise EventError(DeadCode.MISSING_ATTRIBUTE, "a track has an event, which is a text", "/event")
    own = row.get("context") or {}
    if context and isinstance(own, dict):
        row["context"] = {**context, **own}
    return row
