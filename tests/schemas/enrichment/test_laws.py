"""Whatever an event holds: enrichers never fail it, stay within bounds, and touch nothing that identity goes by."""

import json
from itertools import permutations
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.intake import Intake
from agents.known_evidence import KnownEvidence
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import ENRICHERS
from schemas.limits import ENRICHED_SIZE_BYTES_MAX, TRAIT_SIZE_BYTES_MAX, TRAITS_MAX
from schemas.mapping import load_mappings
from schemas.messages import RoutedEvent, decode_routed
from schemas.sources import SourceRegistry
from schemas.topics import DEFAULT_CHANNELS, Catalogue, Topic
from state.engine import MemoryRows, Output
from state.fold import fold
from state.fragment import Fragment
from tests.schemas.enrichment.events import CLEANER, DATA, TIMES, clean, encoded, event

#: Every reason that is given; none repeats what it is about.
REASONS = {
    "no phone number, or one that lacks its country's code", "no e-mail address", "no text", "no such time",
    "too long in its comparable form", "no room for another trait",
}  # fmt: skip
checked = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def other() -> Enrichment:
    """One that reads other events before."""
    return Enrichment()


class Raw(NamedTuple):
    """A record as aiokafka gives it."""

    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    topic: str = "gt.raw.web"
    partition: int = 1
    offset: int = 42
    timestamp: int = 4_000_000_000_000


def intake(enrichment: Enrichment | None) -> Intake:
    registry = SourceRegistry()
    return Intake(
        catalogue=Catalogue(channels=DEFAULT_CHANNELS),
        cleaner=CLEANER,
        registry=registry,
        mappings=load_mappings(registry),
        known=KnownEvidence(MemoryRows()),
        enrichment=enrichment,
    )


def routed(outputs: list[Output]) -> RoutedEvent:
    message = decode_routed(outputs[0].value or b"")
    assert isinstance(message, RoutedEvent)
    return message


@checked
@given(DATA, TIMES)
def test_routing_evidence_and_content_are_the_same_with_all_enrichers_and_with_none(
    enrichment: Enrichment, data: Any, time: str
) -> None:
    record = Raw(encoded(data, time))
    plain, enriched = intake(None).handle(record), intake(enrichment).handle(record)
    assert [output.topic for output in plain] == [Topic.ROUTED, Topic.EVIDENCE]
    assert plain[1:] == enriched[1:]
    assert plain[0].key == enriched[0].key
    before, after = routed(plain), routed(enriched)
    assert msgspec.structs.replace(after, traits=before.traits, enriched=b"") == before


@checked
@given(DATA, TIMES)
def test_what_comes_of_any_event_stays_within_its_bounds(enrichment: Enrichment, data: Any, time: str) -> None:
    parsed = event(data, time)
    before = clean(parsed).routed
    traits, enriched = enrichment.enrich(before, parsed.time_text)
    assert before.traits.keys() <= traits.keys()
    assert len(traits) <= TRAITS_MAX
    assert all(len(value) <= TRAIT_SIZE_BYTES_MAX for value in traits.values())
    assert len(enriched) <= ENRICHED_SIZE_BYTES_MAX
    findings = json.loads(enriched) if enriched else {}
    assert findings.keys() <= {*ENRICHERS, "original", "failed", "cut"}
    assert set(findings.get("failed", {}).values()) <= REASONS
    assert all(traits[name] == b"null" for name, value in before.traits.items() if value == b"null")


@checked
@given(st.lists(DATA, min_size=2, max_size=4))
def test_the_same_event_gives_the_same_bytes_whatever_came_before_it(
    enrichment: Enrichment, other: Enrichment, many: list[Any]
) -> None:
    events = [clean(event(data)).routed for data in many]
    forwards = [enrichment.enrich(each) for each in events]
    backwards = [other.enrich(each) for each in reversed(events)]
    assert forwards == backwards[::-1]


@checked
@given(DATA, TIMES)
def test_what_was_made_comparable_stays_so(enrichment: Enrichment, data: Any, time: str) -> None:
    before = clean(event(data, time)).routed
    once = enrichment.enrich(before).traits
    again = enrichment.enrich(msgspec.structs.replace(before, traits=once)).traits
    # What is derived is the event's own word the second time.
    assert again == once


@checked
@given(st.lists(DATA, min_size=3, max_size=3))
def test_enriched_events_fold_to_the_same_in_any_order(enrichment: Enrichment, many: list[Any]) -> None:
    events = []
    for number, data in enumerate(many):
        before = clean(event(data, number=number)).routed
        traits, enriched = enrichment.enrich(before)
        events.append(msgspec.structs.replace(before, traits=traits, enriched=enriched))
    folded = set()
    for order in permutations(events):
        fragment = Fragment()
        for each in order:
            fold(fragment, each)
        folded.add(msgspec.msgpack.encode(fragment, order="sorted"))
    assert len(folded) == 1


@pytest.mark.parametrize(
    "value", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 900, b'"' + b"\\u0001" * 300 + b'"', b"NaN", b"-", b"nul"]
)
def test_bytes_that_no_cleaning_lets_through_do_not_stop_it(enrichment: Enrichment, value: bytes) -> None:
    before = clean(event({})).routed
    traits = {"phone": value, "email": value, "name": value, "at": value}
    broken = msgspec.structs.replace(before, traits=traits, data=value)
    after = enrichment.enrich(broken, "no time at all")
    assert {name: after.traits[name] for name in ("email", "name", "at")} == dict.fromkeys(
        ("email", "name", "at"), value
    )


def test_the_largest_findings_stay_within_their_bound_and_say_that_they_were_cut(enrichment: Enrichment) -> None:
    traits = {f"phone{'_' * number}".ljust(64, "-"): "+31 6 12345678" for number in range(1, 33)}
    traits |= {f"email{'_' * number}".ljust(64, "-"): f"A@{'B' * 60}.example" for number in range(1, 33)}
    agent = "\u0001" * 100 + "Xyz" * 100 + "/1.0 CFNetwork/1494 Darwin/23.4.0"
    data = {"traits": traits, "user_agent": agent, "text": "Waar blijft mijn pakket?"}
    enriched = enrichment.enrich(clean(event(data)).routed, "2026-11-22T12:00:00+02:00").enriched
    findings = json.loads(enriched)
    assert findings["cut"] is True
    assert "original" not in findings
    assert len(enriched) <= ENRICHED_SIZE_BYTES_MAX
    assert findings["phone"]["also"]
