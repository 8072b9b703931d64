"""An event in, described as JSON Schema for those who write one. What is accepted, `event` and `cleaning` decide."""

from typing import Any, Final

from schemas.limits import ID_LENGTH_MAX, SOURCE_LENGTH_MAX, SUMMARY_LENGTH_MAX, TYPE_LENGTH_MAX
from schemas.orders import MERGED_EVENT, REMOVED_EVENT, REPLACED_EVENT

#: Attributes of an event in binary mode; in structured mode they stand beside `data`.
EVENT_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "time", "channel")

_TEXT: Final[dict[str, Any]] = {"type": "string"}
#: Every member of `data` may be null, which is the same as leaving it out.
_OPTIONAL_TEXT: Final[dict[str, Any]] = {"type": ["string", "null"]}
#: A number is read as its digits.
_NAME: Final[dict[str, Any]] = {"type": ["string", "integer"]}
_OPTIONAL_NAME: Final[dict[str, Any]] = {"type": ["string", "integer", "null"]}
_NAMES: Final[dict[str, Any]] = {"type": ["string", "integer", "null", "array"], "items": _OPTIONAL_NAME}
EVENT_DATA_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What happened. Members not described are the event's own and come back with the interaction.",
    "required": ["identifiers"],
    "properties": {
        "identifiers": {
            "type": "object",
            "description": "Kind to value or list of values, of the subject alone.",
            "minProperties": 1,
            "additionalProperties": _NAMES,
        },
        "traits": {
            "type": ["object", "null"],
            "description": "Facts about the customer; a trait of null withdraws it.",
        },
        "summary": _OPTIONAL_TEXT | {"description": f"A line for people, cut after {SUMMARY_LENGTH_MAX} characters."},
        "direction": {"enum": ["in", "out", "", None], "description": "in: the customer to the organisation."},
        "session": _OPTIONAL_NAME,
        "refs": {
            "type": ["array", "null"],
            "description": "What it is about, such as orders and tickets.",
            "items": {
                "type": "object",
                "required": ["kind", "id"],
                "properties": {"kind": _TEXT, "id": _NAME, "status": _OPTIONAL_NAME},
            },
        },
        "permissions": {
            "type": ["object", "null"],
            "description": "Channel to purpose to true or false.",
            "additionalProperties": {"type": ["object", "null"], "additionalProperties": {"type": "boolean"}},
        },
        "groups": {
            "type": ["object", "null"],
            "description": "Kind of group to its name or names.",
            "additionalProperties": _NAMES,
        },
        "link": {"type": ["boolean", "null"], "description": "false: no evidence about who is who."},
        "other": {
            "description": (
                f"In events of type {MERGED_EVENT}, {REMOVED_EVENT} and {REPLACED_EVENT}, by which a source of grade "
                "record orders who is who: kind to value or list of values, of whom they are about besides the "
                "subject. In other events the event's own."
            ),
            "examples": [{"crm": "9120"}],
        },
    },
}
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX, "description": "Unique per source."},
        "source": {"type": "string", "minLength": 1, "maxLength": SOURCE_LENGTH_MAX},
        "type": {"type": "string", "minLength": 1, "maxLength": TYPE_LENGTH_MAX},
        "time": {"type": "string", "format": "date-time"},
        "channel": _OPTIONAL_TEXT | {"description": "May be left to the source's registration."},
        "data": EVENT_DATA_SCHEMA,
    },
}
EVENT_EXAMPLE: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "shop-web",
    "type": "page.viewed",
    "time": "2026-11-20T10:00:00Z",
    "channel": "web",
    "data": {"identifiers": {"cookie": "c-77"}, "summary": "Viewed running shoes"},
}
