"""The AsyncAPI 3 document of the topics that others write to and read from, made of the catalogue and the types.

`goldenthread asyncapi` prints it; docs/asyncapi.json is that of an installation with default settings.
"""

from typing import Any, Final, NamedTuple

import msgspec

from schemas.dead_letters import HEADER_MEANINGS
from schemas.document import ContextChange, ContextDocument, Interaction, RecentInteraction
from schemas.event import CONTENT_TYPE_HEADER, HEADER_PREFIX, STRUCTURED_CONTENT_TYPE
from schemas.event_schema import EVENT_ATTRIBUTES, EVENT_EXAMPLE, EVENT_SCHEMA
from schemas.identity_changes import IdentityChange
from schemas.media_types import JSON_TYPE
from schemas.topics import PICKED_HEADER, RAW, REQUEST_HEADER, SOURCE_HEADER, Catalogue, Topic, TopicSpec

ASYNCAPI_VERSION: Final = "3.0.0"
_BINDING_VERSION: Final = "0.5.0"
_REF: Final = "#/components/schemas/{name}"
_CUSTOMER_KEY: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The customer's id."}


class _Public(NamedTuple):
    """One public topic: what its records say."""

    topic: Topic
    operation: str
    payload: Any
    summary: str
    description: str


_PUBLIC: Final = (
    _Public(
        Topic.CONTEXT, "publishContext", ContextDocument, "A customer's context as it is now",
        "The public changelog, compacted: the newest record of a key is the customer's context. A record without a "
        "value (tombstone) says that the id has ended.",
    ),
    _Public(
        Topic.INTERACTIONS, "publishInteraction", Interaction, "An event, accepted into a customer's context",
        "Each event once, for whoever reads committed records only. `customer` is the owner at that time; `fragment` "
        "stays the same when customers are merged or split.",
    ),
    _Public(
        Topic.CONTEXT_CHANGES, "publishContextChange", ContextChange, "What one version of a context changed",
        "With old and new value and the event that caused it. Counters and recent interactions are no changes.",
    ),
    _Public(
        Topic.IDENTITY_CHANGES, "publishIdentityChange", IdentityChange, "A decision about who is who",
        "With the evidence that brought it about. Records of one cause share `offset`, which only grows.",
    ),
)  # fmt: skip


def asyncapi_document(catalogue: Catalogue, *, bootstrap_servers: str, version: str) -> dict[str, Any]:
    """The document as plain JSON values.

    Args:
        catalogue: Names, partitions and retention of the topics.
        bootstrap_servers: Where the brokers are, for `servers`.
        version: The program's version.
    """
    specs = {spec.name: spec for spec in catalogue.specs()}
    channels = {"raw": _raw_channel(catalogue, specs[catalogue.raw(catalogue.channels[0])])}
    operations = {"receiveEvent": _operation("receive", "raw", "Take an event in")}
    messages = {"event": _event_message()}
    for public in _PUBLIC:
        message = public.operation.removeprefix("publish")
        name = message[0].lower() + message[1:]
        channels[name] = _channel(specs[catalogue.name(public.topic)], name, public.summary, public.description)
        operations[public.operation] = _operation("send", name, public.summary)
        messages[name] = _public_message(public)
    channels["dead"] = _channel(
        specs[catalogue.name(Topic.DEAD)], "dead", "An event that could not be taken",
        "The original record as it was, with headers that say why. `goldenthread dead list` reads them.",
    )  # fmt: skip
    operations["publishDeadLetter"] = _operation("send", "dead", "Set aside an event that could not be taken")
    messages["dead"] = _dead_message()
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Goldenthread topics",
            "version": version,
            "description": "Events in on the raw topics of the channels, contexts out on the public topics. Read with "
            "isolation.level=read_committed. With a schema registry, public records are Avro in Confluent framing.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON_TYPE,
        "servers": {"kafka": {"host": bootstrap_servers, "protocol": "kafka", "description": "The brokers."}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _schemas() -> dict[str, Any]:
    types = (*(public.payload for public in _PUBLIC), RecentInteraction)
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    # Recent interactions were encoded once and are copied from then on, so the type itself says nothing of them.
    schemas["Interactions"]["properties"]["recent"]["items"] = {"$ref": _REF.format(name=RecentInteraction.__name__)}
    return {"Event": EVENT_SCHEMA, **schemas}


def _raw_channel(catalogue: Catalogue, spec: TopicSpec) -> dict[str, Any]:
    channel = _channel(
        spec, "event", "Events of one channel",
        "CloudEvents 1.0, structured or binary, or records of a registered source that has a mapping. The key is the "
        "producer's choice; one of source and id keeps copies of an event together.",
    )  # fmt: skip
    address = f"{catalogue.prefix}{RAW}{{channel}}"
    channel["address"] = address
    channel["bindings"]["kafka"]["topic"] = address
    channel["parameters"] = {
        "channel": {"description": "Where the customer was met.", "enum": list(catalogue.channels)}
    }
    return channel


def _channel(spec: TopicSpec, message: str, summary: str, description: str) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": ["compact" if spec.compact else "delete"]}
    if spec.retention_ms is not None:
        configuration["retention.ms"] = spec.retention_ms
    binding = {
        "topic": spec.name,
        "partitions": spec.partitions,
        "topicConfiguration": configuration,
        "bindingVersion": _BINDING_VERSION,
    }
    return {
        "address": spec.name,
        "summary": summary,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": binding},
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _event_message() -> dict[str, Any]:
    texts = {
        f"{HEADER_PREFIX}{name}": {"type": "string", "description": f"Binary mode: the event's `{name}`."}
        for name in EVENT_ATTRIBUTES
    }
    headers = {
        CONTENT_TYPE_HEADER: {"type": "string", "description": f"{STRUCTURED_CONTENT_TYPE}, or that of the data."},
        SOURCE_HEADER: {"type": "string", "description": "The registered source of a record that is no CloudEvent."},
        PICKED_HEADER: {"type": "string", "description": "The record was picked out of a larger one by its mapping."},
        REQUEST_HEADER: {"type": "string", "description": "JSON: what the mapping reads of the request it came by."},
    }
    return {
        "name": "event",
        "title": "CloudEvent",
        "contentType": STRUCTURED_CONTENT_TYPE,
        "headers": {"type": "object", "properties": headers | texts},
        "payload": {"$ref": _REF.format(name="Event")},
        "examples": [{"name": "structured", "payload": EVENT_EXAMPLE}],
    }


def _public_message(public: _Public) -> dict[str, Any]:
    name = public.payload.__name__
    return {
        "name": name,
        "title": public.summary,
        "contentType": JSON_TYPE,
        "payload": {"$ref": _REF.format(name=name)},
        "bindings": {"kafka": {"key": _CUSTOMER_KEY, "bindingVersion": _BINDING_VERSION}},
    }


def _dead_message() -> dict[str, Any]:
    headers = {header.value: {"type": "string", "description": meaning} for header, meaning in HEADER_MEANINGS.items()}
    return {
        "name": "DeadLetter",
        "title": "An event that could not be taken, with the reason",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers},
        "payload": {"description": "The original bytes."},
    }
