"""The mappings that come with the program: each one's sample gives the events that are written down here."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.collect.mapping_check import CheckedRecord, CheckReport, Judges, MappingCheck
from connectors.collect.samples import format_of, read_sample
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.mapping import load_mappings
from schemas.sources import load_sources
from schemas.times import parse_time
from schemas.topics import Catalogue

FOLDER = Path(__file__).parents[3] / "connectors" / "collect" / "mappings"
CATALOGUE = Catalogue()
REQUEST = {"headers": {"x-shopify-topic": "orders/create"}, "query": {}}


def report(source: str, sample: str) -> CheckReport:
    registry = load_sources(FOLDER / "sources.yaml")
    registry.verify(CATALOGUE.channels)
    mapping = load_mappings(registry).for_source(source)
    assert mapping is not None
    cleaner = Cleaner(
        policy=DEFAULT_POLICY, registry=registry, keyring=Keyring(b"a secret of tests"), channels=CATALOGUE.channels
    )
    judges = Judges(CATALOGUE, DEFAULT_POLICY, registry, cleaner, Enrichment(), parse_time("2026-03-01T00:00:00Z"))
    path = FOLDER / "samples" / sample
    written = format_of(path, None)
    check = MappingCheck(mapping, judges, request=REQUEST, received=written != "csv", shown_max=100)
    return check.run(read_sample(path, written, mapping))


def told(record: CheckedRecord) -> dict[str, Any]:
    """What a record comes to, in short."""
    event = record.event or {}
    return {
        "id": event.get("id"),
        "type": event.get("type"),
        "time": event.get("time"),
        "channel": record.channel,
        "identifiers": [f"{each.kind}:{each.normalised}" for each in record.identifiers],
        "routed_by": record.routed_by,
        "evidence": record.evidence,
        "traits": record.traits,
    }


def test_an_order_of_the_web_shop() -> None:
    found = report("webshop", "webshop-order.json")
    assert (found.events, found.dead, found.skipped, found.silent, found.unread) == (2, 0, 1, (), ())
    first, second, _ = found.shown
    assert told(first) == {
        "id": "820982911946154500:2026-02-20T18:03:12+01:00",
        "type": "order.placed",
        "time": "2026-02-20T17:03:12Z",
        "channel": "web",
        "identifiers": [
            "account:shop-115310627314723950", "email:ann.de.vries@example.com", "phone:+31612345678",
        ],
        "routed_by": "account",
        "evidence": "claimed",
        "traits": {"city": "Delft", "country": "NL", "first_name": "Ann", "language": "nl-NL", "last_name": "de Vries"},
    }  # fmt: skip
    data = (first.event or {})["data"]
    assert data["refs"] == [{"kind": "order", "id": "#1042", "status": "paid"}]
    assert data["items"][0] == {"sku": "SHOE-42", "title": "Running shoes", "quantity": 1}
    assert data["permissions"] == {"email": {"marketing": True}}
    assert data["parties"] == {"ship_to": {"name": "Bob Jansen", "city": "Gouda"}}
    assert data["total"] == 139.9
    assert told(second)["identifiers"] == ["email:guest@example.org"]
    assert second.evidence is None


def test_contacts_of_the_crm_are_records() -> None:
    found = report("crm", "crm-contacts.csv")
    assert (found.events, found.dead, found.skipped, found.silent, found.unread) == (3, 0, 0, (), ("Owner",))
    ann, bob, kim = found.shown
    assert told(ann) == {
        "id": "C-10021@20-02-2026 09:15",
        "type": "contact.updated",
        "time": "2026-02-20T08:15:00Z",
        "channel": "crm",
        "identifiers": [
            "account:annv", "crm:C-10021", "email:ann.de.vries@example.com", "email:ann@work.example",
            "phone:+31152123456", "phone:+31612345678",
        ],
        "routed_by": "crm",
        "evidence": "record",
        "traits": {
            "birthday": "1986-07-04", "credit_limit": 1250.0, "first_name": "Ann", "gender": "female",
            "last_name": "de Vries", "stage": "customer",
        },
    }  # fmt: skip
    assert told(bob)["identifiers"] == [
        "company:Acme BV",
        "crm:C-10022",
        "email:bob@acme.example",
        "phone:+31687654321",
    ]
    assert kim.traits["first_name"] == "O'Neil; jr."


def test_merges_of_the_crm_are_orders_of_a_system_of_record() -> None:
    found = report("crm-merges", "crm-merges.csv")
    assert (found.events, found.dead, found.skipped, found.silent, found.unread) == (3, 1, 0, (), ())
    assert found.codes == {"order_without_other": 1}
    orders = [(told(each)["type"], each.order, [other.normalised for other in each.others]) for each in found.shown[:3]]
    assert orders == [
        ("identity.merged", "require", ["C-10388"]),
        ("identity.removed", "forbid", ["C-10402"]),
        ("identity.replaced", "require", ["bob@acme.example"]),
    ]
    replaced = told(found.shown[2])
    assert (replaced["identifiers"], replaced["routed_by"]) == (
        ["crm:C-10022", "email:bob.jansen@acme.example"],
        "crm",
    )


@pytest.mark.parametrize("sample", ["chat-conversation.json", "chat-conversation.form"])
def test_a_conversation_of_the_chat_tool_as_json_and_in_a_form(sample: str) -> None:
    found = report("chat-tool", sample)
    assert found.dead == 0
    assert found.unread == ()
    first = found.shown[0]
    event = first.event or {}
    assert (event["type"], first.channel, first.routed_by) == (
        "chat.closed",
        "chat",
        "account" if found.skipped else "email",
    )
    if sample.endswith(".json"):
        assert (found.events, found.skipped, found.silent) == (2, 1, ())
        assert event["time"] == "2026-02-20T09:30:00Z"
        assert event["data"]["refs"][1] == {"kind": "ticket", "id": "T-771"}
        assert event["data"]["text"] == "Hi, where is my order #1042? I ordered it last week.\nGreat, thank you!"
        assert (found.shown[1].routed_by, (found.shown[1].event or {})["data"]["rating"]) == ("cookie", 5)
    else:
        assert told(first)["identifiers"] == ["email:kim@example.net"]


def test_calls_of_the_phone_system_and_withheld_numbers() -> None:
    found = report("call-log", "call-log.csv")
    assert (found.events, found.dead, found.skipped, found.silent, found.unread) == (3, 0, 1, (), ())
    answered, called, withheld, missed = found.shown
    assert withheld.outcome == "skipped"
    assert told(answered)["identifiers"] == ["crm:C-10021", "phone:+31612345678"]
    assert (answered.event or {})["data"]["summary"] == "Call (orders), 204 s"
    # The customer is the other end of the line, whoever called.
    assert (told(called)["identifiers"], (called.event or {})["data"]["direction"]) == (["phone:+31687654321"], "out")
    assert (missed.event or {})["type"] == "call.missed"


def test_every_mapping_is_registered_or_has_a_door_of_its_own() -> None:
    registered = {source.mapping for source in load_sources(FOLDER / "sources.yaml").sources.values()}
    assert {path.name for path in FOLDER.glob("*.yaml")} - {"sources.yaml", "segment.yaml"} == registered
    assert msgspec.yaml.decode((FOLDER / "sources.yaml").read_bytes())
