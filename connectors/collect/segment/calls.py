"""The calls of the Segment API by name, and the paths under which SDKs of today and of old send them."""

from typing import Any, Final

from connectors.web.operations import Content
from schemas.limits import ID_LENGTH_MAX, IDENTIFIER_LENGTH_MAX
from schemas.media_types import JSON_TYPE

CALLS: Final = ("identify", "track", "page", "screen", "group", "alias")
#: One message, by its full name and by the letter that browsers send.
CALL_PATHS: Final = {call: (f"/v1/{call}", f"/v1/{call[0]}") for call in CALLS}
#: Many messages; the last is what SDKs of Android and Java used first.
BATCH_PATHS: Final = ("/v1/batch", "/v1/b", "/v1/import")
#: What SDKs tell of themselves; nobody here wants to know.
METRICS_PATH: Final = "/v1/m"
SETTINGS_PATH: Final = "/v1/projects/{write_key}/settings"

#: A browser that sends text/plain need not ask first whether it may.
MEDIA_TYPES: Final = (JSON_TYPE, "text/plain")

# A message is described and not constrained: what is wrong with one sets it aside, and the request succeeds.
_PROPERTIES: Final[dict[str, Any]] = {
    name: {"description": description}
    for name, description in {
        "userId": f"Who it is, to the sender: a text of at most {IDENTIFIER_LENGTH_MAX} characters, or a whole number.",
        "anonymousId": "Who it is while nobody knows; alike.",
        "messageId": f"Names the message for ever, in at most {ID_LENGTH_MAX} characters; otherwise its content does.",
        "timestamp": "When it happened, by the sender's clock, in ISO 8601.",
        "event": "track: what happened, such as `Order Completed`.",
        "name": "page, screen: its name.",
        "previousId": "alias: the id that was used before.",
        "groupId": "group: the company.",
        "traits": "identify: an object of facts about the customer; null withdraws one.",
        "properties": "track, page, screen: what the event says.",
        "context": "An object: page, device, library, locale, userAgent, traits, externalIds.",
        "writeKey": "The key, where it is not in Authorization.",
    }.items()
}
_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A message of the Segment spec.",
    "properties": _PROPERTIES,
}
_BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "items": {
                "description": "A message of the Segment spec.",
                "properties": {"type": {"description": f"Which call: {', '.join(CALLS)}."}, **_PROPERTIES},
            },
        },
        "context": {"description": "An object that is true of all messages; a message's own goes before."},
        "writeKey": {"description": "The key, where it is not in Authorization."},
    },
}
_EXAMPLES: Final[dict[str, Any]] = {
    "identify": {"userId": "u-1", "traits": {"email": "ann@example.com", "plan": "pro"}},
    "track": {"userId": "u-1", "event": "Order Completed", "properties": {"order_id": "o-12", "total": 30}},
    "page": {"anonymousId": "a-7", "name": "Running shoes", "properties": {"url": "https://shop.example/p/123"}},
    "screen": {"anonymousId": "a-7", "name": "Running shoes"},
    "group": {"userId": "u-1", "groupId": "acme", "traits": {"name": "Acme"}},
    "alias": {"previousId": "a-7", "userId": "u-1"},
}


def call_contents(call: str) -> tuple[Content, ...]:
    """The bodies of a call with one message."""
    return tuple(Content(_MESSAGE, media_type, _EXAMPLES[call]) for media_type in MEDIA_TYPES)


def batch_contents() -> tuple[Content, ...]:
    """The bodies of a call with many messages."""
    example = {"batch": [{"type": call, **message} for call, message in _EXAMPLES.items()]}
    return tuple(Content(_BATCH, media_type, example) for media_type in MEDIA_TYPES)
