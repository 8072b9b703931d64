"""The AsyncAPI document: whole, of one piece, and true of the records that it describes."""

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas.asyncapi import asyncapi_document
from schemas.dead_letters import HEADER_MEANINGS
from schemas.event_schema import EVENT_EXAMPLE
from schemas.messages import Add, Ref
from schemas.topics import PUBLIC_TOPICS, Catalogue, DeadHeader, Topic
from state.engine import Output
from tests.state.builders import ANN, ANNS_COOKIE, MORNING, fragment_of, routed, sealed
from tests.state.context.bench import Bench, of

CATALOGUE = Catalogue("acme.", 8, ("web", "voice"))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made = asyncapi_document(CATALOGUE, bootstrap_servers="broker:9092", version="1.2.3")
    # As a reader of the JSON has it.
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return decoded


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for child in node.values() for found in references(child)]
    return [found for child in node for found in references(child)] if isinstance(node, list) else []


def resolve(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def validator(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def published() -> list[Output]:
    """What a customer with a fact, a reference and an attached cookie comes to."""
    event = routed(
        traits={"first_name": b'"Ann"'},
        refs=(Ref("order", "o-12", "paid"),),
        received=MORNING,
        enriched=b'{"language":{"code":"en"}}',
    )
    attached = Add(fragment_of(ANN), fragment_of(ANNS_COOKIE), "cookie", sealed(ANNS_COOKIE), "attached", 1, 1)
    return Bench().publish(event, attached)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert len(found) > 30
    for reference in found:
        assert resolve(document, reference) is not None


def test_every_public_topic_and_the_raw_and_dead_ones_are_channels(document: dict[str, Any]) -> None:
    addresses = {channel["address"] for channel in document["channels"].values()}
    expected = {CATALOGUE.name(topic) for topic in (*PUBLIC_TOPICS, Topic.DEAD)} | {"acme.raw.{channel}"}
    assert addresses == expected
    assert document["channels"]["raw"]["parameters"]["channel"]["enum"] == ["web", "voice"]


def test_each_channel_has_an_operation_and_messages_with_a_payload(document: dict[str, Any]) -> None:
    operated = {operation["channel"]["$ref"] for operation in document["operations"].values()}
    assert operated == {f"#/channels/{name}" for name in document["channels"]}
    for channel in document["channels"].values():
        for message in channel["messages"].values():
            assert resolve(document, message["$ref"])["payload"]


def test_partitions_and_retention_are_those_of_the_catalogue(document: dict[str, Any]) -> None:
    specs = {spec.name: spec for spec in CATALOGUE.specs()}
    for name in ("context", "interaction", "dead"):
        binding = document["channels"][name]["bindings"]["kafka"]
        spec = specs[binding["topic"]]
        assert binding["partitions"] == spec.partitions
        assert binding["topicConfiguration"].get("retention.ms") == spec.retention_ms


def test_schemas_are_json_schema_and_hold_for_what_is_published(document: dict[str, Any]) -> None:
    for name in ("Event", "ContextDocument", "Interaction", "ContextChange", "IdentityChange"):
        validator(document, name).check_schema(document["components"]["schemas"][name])
    validator(document, "Event").validate(EVENT_EXAMPLE)
    outputs = published()
    for name, topic in {
        "ContextDocument": Topic.CONTEXT,
        "Interaction": Topic.INTERACTIONS,
        "ContextChange": Topic.CONTEXT_CHANGES,
    }.items():
        for record in of(topic, outputs):
            validator(document, name).validate(record)


def test_a_document_that_is_none_is_refused_by_its_schema(document: dict[str, Any]) -> None:
    (wrong,) = of(Topic.CONTEXT, published())
    del wrong["identity"]
    assert not validator(document, "ContextDocument").is_valid(wrong)


def test_every_header_of_a_dead_letter_has_a_meaning(document: dict[str, Any]) -> None:
    assert set(HEADER_MEANINGS) == set(DeadHeader)
    assert set(document["components"]["messages"]["dead"]["headers"]["properties"]) == set(DeadHeader)
