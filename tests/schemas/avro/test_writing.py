"""Goal: a public record says the same in Avro as in JSON, to the byte. Method: engines' outputs, and any document."""

import io
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.document
import schemas.identity_changes
from schemas.avro.framing import FRAME_SIZE_BYTES
from schemas.avro.public_schemas import JSON_PROPERTY, public_schemas, released_schemas, subject_of
from schemas.avro.reading import AvroReader
from schemas.avro.writing import AvroWriter
from schemas.document import FieldChange, Interaction, canonical_bytes
from schemas.identity_changes import Cause, ChangeName, IdentityChange, encode_identity_change
from schemas.messages import Add, Own, RoutedEvent
from schemas.topics import PUBLIC_TOPICS, Topic
from state.engine import Output
from tests.schemas.avro.documents import JSON_VALUES, TEXTS, documents
from tests.state.builders import ANN, ANNS_COOKIE, fragment_of, sealed
from tests.state.context.bench import Bench
from tests.state.strategies import histories

WRITERS = {topic: AvroWriter(public) for topic, public in public_schemas().items()}
READERS = {topic: AvroReader(public.text, size_bytes_max=1024 * 1024) for topic, public in public_schemas().items()}
PARSED = {topic: fastavro.parse_schema(public.schema) for topic, public in public_schemas().items()}


def holds(topic: Topic, document: bytes) -> None:
    """What has to hold of every public record."""
    body = WRITERS[topic].body(document)
    assert READERS[topic].json(body) == document
    # Somebody else's reader sees the same, JSON texts and nulls apart.
    schema = PARSED[topic]
    names = {record["name"]: record for record in _records(schema)}
    read = fastavro.schemaless_reader(io.BytesIO(body), schema, None)
    assert _told(read, schema, names) == msgspec.json.decode(document)
    # What fits into a record as JSON fits as framed Avro.
    assert FRAME_SIZE_BYTES + len(body) <= len(document)


def _told(value: Any, schema: Any, names: dict[str, Any]) -> Any:
    """The content of what fastavro read, by the two rules that the documentation states."""
    if isinstance(schema, str):
        schema = names.get(schema, schema)
    if isinstance(schema, list):
        return None if value is None else _told(value, schema[1], names)
    if isinstance(value, list):
        return [_told(each, schema["items"], names) for each in value]
    if isinstance(value, dict) and schema["type"] == "map":
        return {key: _told(each, schema["values"], names) for key, each in value.items()}
    if not isinstance(value, dict):
        return value
    told = {}
    for field in schema["fields"]:
        found = value[field["name"]]
        if found is not None and field.get(JSON_PROPERTY):
            told[field["name"]] = msgspec.json.decode(found)
        elif found is not None or "default" not in field:
            told[field["name"]] = _told(found, field["type"], names)
    return told


def _records(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [record for branch in schema for record in _records(branch)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema["type"] == "record" else []
    inner = [field["type"] for field in schema.get("fields", ())] + [schema.get("items"), schema.get("values")]
    return own + [record for each in inner for record in _records(each)]


@pytest.mark.parametrize("topic", PUBLIC_TOPICS)
def test_each_record_of_a_schema_has_the_fields_of_the_struct_that_is_published_in_its_order(topic: Topic) -> None:
    records = _records(public_schemas()[topic].schema)
    assert records
    for record in records:
        module = schemas.identity_changes if topic is Topic.IDENTITY_CHANGES else schemas.document
        fields = msgspec.structs.fields(getattr(module, record["name"]))
        assert [each["name"] for each in record["fields"]] == [each.encode_name for each in fields]
        required = {each.encode_name for each in fields if each.required or each.encode_name == "data"}
        assert {each["name"] for each in record["fields"] if "default" not in each} == required


@pytest.mark.parametrize("topic", PUBLIC_TOPICS)
def test_everything_in_a_schema_is_explained_and_of_our_namespace(topic: Topic) -> None:
    public = public_schemas()[topic]
    assert public.schema["namespace"] == "goldenthread"
    for record in _records(public.schema):
        assert record["doc"]
        assert [each["name"] for each in record["fields"] if not each.get("doc")] == []
        # Optional is null by default, which is what old readers and new ones both need.
        assert all(
            each["type"][0] == "null" and each["default"] is None for each in record["fields"] if "default" in each
        )


def test_each_topic_has_a_subject_by_its_full_name_and_a_released_schema() -> None:
    assert subject_of("acme.context") == "acme.context-value"
    assert all(set(released) == set(PUBLIC_TOPICS) for released in released_schemas().values())
    assert "0.1.0" in released_schemas()


def _outputs(events: list[RoutedEvent], others: list[RoutedEvent]) -> list[Output]:
    """What the engine publishes of one customer with an attached member, whose place then changes."""
    bench = Bench()
    outputs = bench.publish(*events[::2])
    outputs += bench.publish(*events[1::2], *others)
    outputs += bench.publish(
        Own(fragment_of(ANNS_COOKIE), "cookie", sealed(ANNS_COOKIE), fragment_of(ANN), "attached", 2, 1, 0, 0),
        Add(fragment_of(ANN), fragment_of(ANNS_COOKIE), "cookie", sealed(ANNS_COOKIE), "attached", 1, 2),
    )
    for snapshot in [each.value for each in outputs if each.topic == Topic.ROUTED and each.value]:
        outputs += bench.publish(snapshot)
    return outputs


@settings(max_examples=50)
@given(histories(), histories(ANNS_COOKIE, 4), JSON_VALUES)
def test_whatever_the_engine_publishes_comes_back_byte_by_byte(
    events: list[RoutedEvent], others: list[RoutedEvent], value: Any
) -> None:
    events = [
        msgspec.structs.replace(each, traits={**each.traits, "any": msgspec.json.encode(value)}) for each in events
    ]
    for output in _outputs(events, others):
        if output.topic in PUBLIC_TOPICS and output.value is not None:
            holds(Topic(output.topic), output.value)
            if output.topic == Topic.CONTEXT:
                again = READERS[Topic.CONTEXT].json(WRITERS[Topic.CONTEXT].body(output.value))
                assert canonical_bytes(again) == canonical_bytes(output.value)


@pytest.mark.parametrize("topic", PUBLIC_TOPICS)
def test_any_document_that_the_schema_allows_comes_back_byte_by_byte(topic: Topic) -> None:
    @settings(max_examples=40)
    @given(documents(topic))
    def holds_of_any(document: bytes) -> None:
        holds(topic, document)

    holds_of_any()


@given(JSON_VALUES, JSON_VALUES, TEXTS)
def test_an_interaction_keeps_its_data_and_what_enrichers_found(data: Any, enriched: Any, text: str) -> None:
    raw, found = msgspec.Raw(msgspec.json.encode(data)), msgspec.Raw(msgspec.json.encode(enriched))
    interaction = Interaction(
        text, text, text, text, text, text, text, text, text, data=raw, received="2026-11-22T10:00:00Z", enriched=found
    )
    holds(Topic.INTERACTIONS, msgspec.json.encode(interaction))


def test_a_value_that_is_null_differs_from_none() -> None:
    null = msgspec.Raw(b"null")
    for change in (FieldChange("/traits/a"), FieldChange("/traits/a", old=null), FieldChange("/traits/a", null, null)):
        holds(Topic.CONTEXT_CHANGES, msgspec.json.encode({"customer": "c", "version": 1, "changes": [change]}))


@given(st.sampled_from(ChangeName), st.lists(TEXTS, min_size=7, max_size=7), st.integers(0, 2**60))
def test_a_decision_about_who_is_who_comes_back(change: ChangeName, texts: list[str], offset: int) -> None:
    cause = Cause("source", "id", "2026-11-22T10:00:00Z", "login")
    customer, fragment, kind, grade, former, other, reason = texts
    decision = IdentityChange(change, customer, fragment, kind, grade, offset, cause, former, other, reason)
    holds(Topic.IDENTITY_CHANGES, encode_identity_change(decision))


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b'{"customer":"c","version":1,"changes":[],"more":1}',
        b'{"customer":"c","version":"1","changes":[]}',
    ],
)
def test_a_document_that_its_schema_does_not_describe_is_refused_not_cut(document: bytes) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        WRITERS[Topic.CONTEXT_CHANGES].body(document)
