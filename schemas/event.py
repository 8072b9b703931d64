"""An event in: a CloudEvent 1.0 as Kafka or HTTP brought it, read once, checked and hashed.

Three doors, one event: structured JSON, batches of it, and binary mode (attributes apart, JSON data). All give the
same `CloudEvent` and the same content hash for the same event. Whatever the bytes, the only thing raised is
`EventError`, with the code of its dead letter and a JSON pointer into the structured form.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.event_data import EventData, read_data
from schemas.limits import (
    EVENT_SIZE_BYTES_MAX,
    ID_LENGTH_MAX,
    NAME_SIZE_BYTES_MAX,
    NESTING_DEPTH_MAX,
    SOURCE_LENGTH_MAX,
    TIME_LENGTH_MAX,
    TYPE_LENGTH_MAX,
)
from schemas.media_types import JSON_TYPE, media_type_of
from schemas.strict_json import UNREADABLE, canonical_json, pointer_to, read_json, reject_null_byte
from schemas.times import format_time, parse_time

SPEC_VERSION: Final = "1.0"
STRUCTURED_CONTENT_TYPE: Final = "application/cloudevents+json"
BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json"
#: What attributes are prefixed with among a Kafka record's headers.
HEADER_PREFIX: Final = "ce_"
CONTENT_TYPE_HEADER: Final = "content-type"
#: Extension: hexadecimal hash of the record that a mapping made an event of; stands for the event's own.
RAW_DIGEST: Final = "rawdigest"
#: Extension: `true` where collect assigned the time, since the producer gave none.
TIME_ASSIGNED: Final = "timeassigned"
#: Enough to tell a copy from a conflict under one (source, id).
CONTENT_LENGTH_BYTES: Final = 4
#: Extensions and keys of data that say how and when an event travelled: they differ between copies of one event.
TRANSPORT_FIELDS: Final = frozenset({"sentAt", "sent_at", "sentat", "traceparent", "tracestate", "recordedtime"})

_CORE: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "channel", "datacontenttype", "data", "data_base64", TIME_ASSIGNED}
)


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """One event, readable and within the bounds of its envelope; `schemas.cleaning` judges the rest."""

    id: str
    source: str
    type: str
    #: Microseconds since 1970.
    time: int
    channel: str | None
    #: The time is collect's, not the producer's.
    assigned: bool
    #: CONTENT_LENGTH_BYTES of the hash of the event as its producer sent it.
    content: bytes
    #: The whole of `data` as canonical JSON.
    data: bytes
    fields: EventData
    #: All other attributes in their text form.
    extensions: dict[str, str]
    #: The time as its producer wrote it, offset and all; empty where collect assigned it.
    time_text: str = ""


def parse_structured(body: bytes) -> CloudEvent:
    """The event in a structured-mode body.

    Raises:
        EventError: it is no acceptable event; code and pointer say why.
    """
    _reject_large(len(body))
    # The envelope is one level above the data, whose depth is bounded.
    envelope = read_json(body, depth_max=NESTING_DEPTH_MAX + 1)
    if not isinstance(envelope, dict):
        raise EventError(DeadCode.NOT_AN_OBJECT, "an event is a JSON object")
    data = envelope.get("data")
    if "data_base64" in envelope:
        if data is not None:
            raise EventError(DeadCode.WRONG_ATTRIBUTE, "data and data_base64 exclude each other", "/data_base64")
        data = _unpacked(envelope)
    return _event(envelope, data)


def parse_batch(body: bytes) -> list[CloudEvent | EventError]:
    """The events of a batch in their order; each that is wrong is an error whose pointer starts with its place.

    The caller bounds the body; each event has the bound of a single one.

    Raises:
        EventError: the body as a whole is no JSON array.
    """
    try:
        pieces = msgspec.json.decode(body, type=list[msgspec.Raw])
    except UNREADABLE:
        read_json(body, depth_max=NESTING_DEPTH_MAX + 2)
        raise EventError(DeadCode.NOT_AN_OBJECT, "a batch is a JSON array of events") from None
    events: list[CloudEvent | EventError] = []
    for place, piece in enumerate(pieces):
        try:
            events.append(parse_structured(bytes(piece)))
        except EventError as error:
            events.append(EventError(error.code, error.message, f"/{place}{error.pointer}"))
    return events


def parse_binary(attributes: Mapping[str, str], data: bytes) -> CloudEvent:
    """The event of a binary-mode message.

    `attributes` are named without their prefix; `datacontenttype` is the message's content type.

    Raises:
        EventError: it is no acceptable event; code and pointer say why.
    """
    _reject_large(len(data) + sum(len(name) + len(value) for name, value in attributes.items()))
    _require_json(attributes.get("datacontenttype"))
    for name, value in attributes.items():
        pointer = pointer_to("", name)
        reject_null_byte(value, pointer)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise EventError(DeadCode.INVALID_UTF8, "the attribute is no Unicode text", pointer) from None
    return _event(attributes, read_json(data, "/data") if data else None)


def read_record(value: bytes | None, headers: Sequence[tuple[str, bytes]] | None = None) -> CloudEvent:
    """The event in a Kafka record: binary mode where headers start with `ce_`, structured JSON otherwise.

    Raises:
        EventError: it is no acceptable event; code and pointer say why.
    """
    if headers:
        attributes, content_type = _read_headers(headers)
        if content_type.lower().startswith(BATCH_CONTENT_TYPE):
            raise EventError(DeadCode.WRONG_ATTRIBUTE, "a record holds one event, not a batch", "/datacontenttype")
        if attributes and not content_type.lower().startswith(STRUCTURED_CONTENT_TYPE):
            if content_type:
                attributes["datacontenttype"] = content_type
            return parse_binary(attributes, value or b"")
    if value is None:
        raise EventError(DeadCode.NOT_AN_OBJECT, "the record has no value")
    return parse_structured(value)


def is_cloud_event(value: bytes | None, headers: Sequence[tuple[str, bytes]] | None = None) -> bool:
    """Whether a Kafka record presents itself as a CloudEvent. Others need the mapping of their source."""
    for header, raw in headers or ():
        name = header.lower()
        if name.startswith(HEADER_PREFIX):
            return True
        if name == CONTENT_TYPE_HEADER and (raw or b"").lower().startswith(STRUCTURED_CONTENT_TYPE.encode()):
            return True
    if value is None or b'"specversion"' not in value:
        return False
    try:
        return "specversion" in msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False


def encode_structured(event: CloudEvent) -> bytes:
    """Structured-mode JSON of the event; `parse_structured` reads the same event and content hash from it."""
    envelope: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time_text or format_time(event.time),
    }
    if event.channel is not None:
        envelope["channel"] = event.channel
    if event.assigned:
        envelope[TIME_ASSIGNED] = True
    return msgspec.json.encode({**envelope, **event.extensions, "data": msgspec.Raw(event.data)})


def raw_key(event: CloudEvent) -> bytes:
    """The key of the event's raw record, by which its copies can be told."""
    return f"{event.source}\0{event.id}".encode()


def _event(envelope: Mapping[str, Any], data: Any) -> CloudEvent:
    # Every event comes by here: what is as it should be is seen without a call.
    version = envelope.get("specversion")
    if version != SPEC_VERSION:
        if type(version) is not str or not 0 < len(version) <= TYPE_LENGTH_MAX:
            _reject_text("specversion", version, TYPE_LENGTH_MAX)
        raise EventError(DeadCode.WRONG_ATTRIBUTE, f"specversion is not {SPEC_VERSION!r}", "/specversion")
    event_id, source = envelope.get("id"), envelope.get("source")
    if type(event_id) is not str or not 0 < len(event_id) <= ID_LENGTH_MAX:
        _reject_text("id", event_id, ID_LENGTH_MAX, DeadCode.ID_TOO_LONG)
    if type(source) is not str or not 0 < len(source) <= SOURCE_LENGTH_MAX:
        _reject_text("source", source, SOURCE_LENGTH_MAX)
    if not (event_id.isascii() and source.isascii()):
        _reject_long_name("id", event_id, DeadCode.ID_TOO_LONG)
        _reject_long_name("source", source, DeadCode.WRONG_ATTRIBUTE)
    event_type, time_text = envelope.get("type"), envelope.get("time")
    if type(event_type) is not str or not 0 < len(event_type) <= TYPE_LENGTH_MAX:
        _reject_text("type", event_type, TYPE_LENGTH_MAX)
    if type(time_text) is not str or not 0 < len(time_text) <= TIME_LENGTH_MAX:
        _reject_text("time", time_text, TIME_LENGTH_MAX, DeadCode.INVALID_TIME)
    time = parse_time(time_text)
    channel = envelope.get("channel")
    if channel is not None and (type(channel) is not str or not 0 < len(channel) <= TYPE_LENGTH_MAX):
        _reject_text("channel", channel, TYPE_LENGTH_MAX)
    assigned = TIME_ASSIGNED in envelope and _is_assigned(envelope[TIME_ASSIGNED])
    extensions = {} if _CORE.issuperset(envelope) else _extensions(envelope)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise EventError(DeadCode.NOT_AN_OBJECT, "data is a JSON object", "/data")
    fields = read_data(data)
    encoded = canonical_json(data)
    if RAW_DIGEST in extensions:
        content = _raw_digest(extensions[RAW_DIGEST])
    else:
        content = _content(event_type, None if assigned else time, extensions, data, encoded)
    return CloudEvent(
        event_id,
        source,
        event_type,
        time,
        channel,
        assigned,
        content,
        encoded,
        fields,
        extensions,
        "" if assigned else time_text,
    )


def _extensions(envelope: Mapping[str, Any]) -> dict[str, str]:
    given = ((name, value) for name, value in envelope.items() if name not in _CORE and value is not None)
    return {name: _extension(name, value) for name, value in given}


def _content(
    event_type: str, time: int | None, extensions: dict[str, str], data: dict[str, Any], encoded: bytes
) -> bytes:
    """The hash over all that is the producer's; not over id and source, under which alone it is compared.

    An assigned time is not the producer's: each retry has another. Nor may a channel be: collect adds that of the
    source's registration, so the same event would differ by the way it came.
    """
    if extensions:
        extensions = {name: value for name, value in extensions.items() if name not in TRANSPORT_FIELDS}
    if not TRANSPORT_FIELDS.isdisjoint(data):
        encoded = canonical_json({name: value for name, value in data.items() if name not in TRANSPORT_FIELDS})
    return hashlib.blake2b(canonical_json([event_type, time, extensions]) + encoded).digest()[:CONTENT_LENGTH_BYTES]


def _raw_digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) < CONTENT_LENGTH_BYTES:
        message = f"{RAW_DIGEST} has at least {2 * CONTENT_LENGTH_BYTES} hexadecimal digits"
        raise EventError(DeadCode.WRONG_ATTRIBUTE, message, f"/{RAW_DIGEST}")
    return digest[:CONTENT_LENGTH_BYTES]


def _reject_text(name: str, value: Any, length_max: int, too_long: DeadCode = DeadCode.WRONG_ATTRIBUTE) -> NoReturn:
    """Say what is wrong with an attribute that is no text of 1 to `length_max` characters."""
    if value is None:
        raise EventError(DeadCode.MISSING_ATTRIBUTE, f"{name} is missing", f"/{name}")
    if not isinstance(value, str):
        raise EventError(DeadCode.WRONG_ATTRIBUTE, f"{name} is no text", f"/{name}")
    if not value:
        raise EventError(DeadCode.WRONG_ATTRIBUTE, f"{name} is empty", f"/{name}")
    raise EventError(too_long, f"{name} is longer than {length_max} characters", f"/{name}")


def _reject_long_name(name: str, value: str, code: DeadCode) -> None:
    if not value.isascii() and len(value.encode()) > NAME_SIZE_BYTES_MAX:
        raise EventError(code, f"{name} is longer than {NAME_SIZE_BYTES_MAX} bytes", f"/{name}")


def _extension(name: str, value: Any) -> str:
    """The text form of an attribute, by which structured and binary mode agree."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise EventError(DeadCode.WRONG_ATTRIBUTE, "an attribute is a text, whole number or boolean", pointer_to("", name))


def _is_assigned(value: Any) -> bool:
    if value is None or value is False or value == "false":
        return False
    if value is True or value == "true":
        return True
    raise EventError(DeadCode.WRONG_ATTRIBUTE, f"{TIME_ASSIGNED} is neither true nor false", f"/{TIME_ASSIGNED}")


def _unpacked(envelope: dict[str, Any]) -> Any:
    """The data of `data_base64`, which has to be JSON as well."""
    packed = envelope["data_base64"]
    if packed is None:
        return None
    content_type = envelope.get("datacontenttype")
    _require_json(content_type if isinstance(content_type, str) else None)
    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise EventError(DeadCode.WRONG_ATTRIBUTE, "data_base64 is no base64 text", "/data_base64") from None
    return read_json(raw, "/data_base64")


def _require_json(content_type: str | None) -> None:
    if content_type is None:
        return
    media = media_type_of(content_type)
    if media not in {JSON_TYPE, "text/json", ""} and not media.endswith("+json"):
        message = f"data is declared as {media[:64]!r}; only JSON can be read"
        raise EventError(DeadCode.WRONG_ATTRIBUTE, message, "/datacontenttype")


def _reject_large(size_bytes: int) -> None:
    if size_bytes > EVENT_SIZE_BYTES_MAX:
        message = f"{size_bytes} bytes, at most {EVENT_SIZE_BYTES_MAX} are taken"
        raise EventError(DeadCode.RECORD_TOO_LARGE, message)


def _read_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[dict[str, str], str]:
    """Attributes by name without their prefix, and the content type."""
    attributes: dict[str, str] = {}
    content_type = ""
    for header, raw in headers:
        name = header.lower()
        if name == CONTENT_TYPE_HEADER:
            content_type = (raw or b"").decode("utf-8", "replace").strip()
        elif name.startswith(HEADER_PREFIX):
            attribute = name.removeprefix(HEADER_PREFIX)
            try:
                attributes[attribute] = (raw or b"").decode()
            except UnicodeDecodeError as error:
                message = f"header {header!r} is not UTF-8: {error.reason} at byte {error.start}"
                raise EventError(DeadCode.INVALID_UTF8, message, pointer_to("", attribute)) from None
    return attributes, content_type
