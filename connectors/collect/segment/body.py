"""Messages out of a body of the Segment API: one, or a batch of them, each with its own bytes."""

from typing import Any, Final, NamedTuple

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.limits import NESTING_DEPTH_MAX
from schemas.strict_json import UNREADABLE, read_json

#: A batch, and its list, stand around each message.
_BATCH_DEPTH_MAX: Final = NESTING_DEPTH_MAX + 2


class SegmentBody(NamedTuple):
    """What came in one request."""

    #: Each as it was sent.
    messages: list[bytes]
    #: The credential in the body, where there is one.
    write_key: str | None
    #: What a batch says of all its messages.
    context: dict[str, Any]


class _Envelope(msgspec.Struct, gc=False):
    batch: msgspec.Raw = msgspec.Raw(b"null")
    writeKey: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815 - as it is sent.
    context: msgspec.Raw = msgspec.Raw(b"null")


def read_single(body: bytes) -> SegmentBody:
    """The body of a call that brings one message.

    Raises:
        EventError: it is no JSON object.
    """
    envelope = _envelope(body, NESTING_DEPTH_MAX)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        # No JSON, that is; in a batch it is the fault of one message, and the others are read.
        message = f"not UTF-8: {error.reason} at byte {error.start}"
        raise EventError(DeadCode.INVALID_UTF8, message) from None
    return SegmentBody([body], _text(envelope.writeKey), {})


def read_batch(body: bytes) -> SegmentBody:
    """The body of a call that brings many.

    Raises:
        EventError: it is no JSON object, or has no list of messages.
    """
    envelope = _envelope(body, _BATCH_DEPTH_MAX)
    try:
        pieces = msgspec.json.decode(envelope.batch, type=list[msgspec.Raw])
    except UNREADABLE:
        raise EventError(DeadCode.NOT_AN_OBJECT, "batch is no list of messages", "/batch") from None
    context = _value(envelope.context)
    return SegmentBody(
        [bytes(piece) for piece in pieces], _text(envelope.writeKey), context if isinstance(context, dict) else {}
    )


def _envelope(body: bytes, depth_max: int) -> _Envelope:
    try:
        return msgspec.json.decode(body, type=_Envelope)
    except UNREADABLE:
        # What is wrong is for the reader to say, in its codes.
        read_json(body, depth_max=depth_max)
        raise EventError(DeadCode.NOT_AN_OBJECT, "the body is a JSON object") from None


def _text(piece: msgspec.Raw) -> str | None:
    value = _value(piece)
    return value if isinstance(value, str) and value else None


def _value(piece: msgspec.Raw) -> Any:
    try:
        return read_json(bytes(piece))
    except EventError:
        # A batch whose own context can't be read is no reason to lose its messages.
        return None
