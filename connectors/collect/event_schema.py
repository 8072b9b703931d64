"""The bodies and headers of `POST /v1/events`, for the OpenAPI document."""

from typing import Final

from connectors.collect.cloud_events_http import PREFIX
from connectors.web.operations import Content, Parameter
from schemas.event import BATCH_CONTENT_TYPE, STRUCTURED_CONTENT_TYPE
from schemas.event_schema import EVENT_ATTRIBUTES, EVENT_DATA_SCHEMA, EVENT_EXAMPLE, EVENT_SCHEMA
from schemas.media_types import JSON_TYPE

STRUCTURED_CONTENT: Final = Content(EVENT_SCHEMA, STRUCTURED_CONTENT_TYPE, EVENT_EXAMPLE)
BATCH_CONTENT: Final = Content({"type": "array", "items": EVENT_SCHEMA}, BATCH_CONTENT_TYPE, [EVENT_EXAMPLE])
BINARY_CONTENT: Final = Content(
    {
        "description": "The data of a binary-mode event; without `ce-` headers, an event or an array of events.",
        "anyOf": [EVENT_DATA_SCHEMA, EVENT_SCHEMA, {"type": "array", "items": EVENT_SCHEMA}],
    },
    JSON_TYPE,
    EVENT_EXAMPLE["data"],
)
BINARY_PARAMETERS: Final = tuple(
    Parameter(PREFIX + name, "header", f"Binary mode: the event's `{name}`.") for name in EVENT_ATTRIBUTES
)
