"""Enrichment against what the generator meant: its events were made from numbers, devices and languages it knows."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from bench.behaviour import MESSAGES
from bench.generator import Plan, encode, generate
from bench.oracle.enriching import enriched_traits
from bench.population import AGENTS, make_population
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.event import parse_structured
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.sources import SourceRegistry
from schemas.topics import DEFAULT_CHANNELS

PLAN = Plan(customers=120, events=4_000, duplicate_share=0)


@pytest.fixture(scope="module")
def enriched() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every event with what was found out about it."""
    cleaner = Cleaner(
        policy=DEFAULT_POLICY,
        registry=SourceRegistry(),
        keyring=Keyring(b"a secret for tests only"),
        channels=DEFAULT_CHANNELS,
    )
    enrichment = Enrichment()
    pairs = []
    for event in generate(PLAN):
        parsed = parse_structured(encode(event))
        routed = cleaner.clean(parsed, topic_channel=event["channel"], now_us=1 << 60).routed
        found = enrichment.enrich(routed, parsed.time_text).enriched
        pairs.append((event, msgspec.json.decode(found) if found else {}))
    return pairs


def test_every_person_s_number_is_found_whichever_way_it_was_typed(enriched: list[Any]) -> None:
    countries = {person.phone: person.country for person in make_population(PLAN.customers, PLAN.seed).people}
    seen: Counter[str] = Counter()
    for event, findings in enriched:
        said = event["data"].get("traits", {}).get("phone")
        if said is None:
            continue
        normal = enriched_traits(event["data"]["traits"])["phone"]
        # A forger's number is nobody's.
        if normal in countries:
            assert findings["phone"] == {
                "trait": "phone", "region": countries[normal], "type": "mobile", "valid": True,
            }  # fmt: skip
            seen["national" if said.strip()[0] == "0" else "international"] += 1
            assert findings.get("original", {}).get("/data/traits/phone", normal) == said
    assert min(seen["national"], seen["international"]) > 5


def test_every_device_is_of_the_class_that_its_agent_stands_for(enriched: list[Any]) -> None:
    classes = {agent: kind for kind, agent in AGENTS}
    seen: Counter[str] = Counter()
    for event, findings in enriched:
        data = event["data"]
        agent = data.get("user_agent") or data.get("context", {}).get("userAgent")
        if agent is None:
            assert "device" not in findings
        else:
            assert findings["device"]["class"] == classes[agent]
            seen[classes[agent]] += 1
    assert seen.keys() == {kind for kind, _ in AGENTS}


def test_every_message_has_its_language(enriched: list[Any]) -> None:
    languages = {text: code for code, text in MESSAGES}
    seen: Counter[str] = Counter()
    for event, findings in enriched:
        if text := event["data"].get("text"):
            assert findings["language"]["code"] == languages[text]
            assert findings["language"]["field"] == "text"
            seen[languages[text]] += 1
    assert seen.keys() == set(languages.values())


def test_an_offset_is_kept_and_nothing_fails(enriched: list[Any]) -> None:
    offsets = 0
    for event, findings in enriched:
        assert "failed" not in findings
        assert ("time" in findings) == event["time"].endswith("+02:00")
        offsets += "time" in findings
    assert offsets > 100


@pytest.mark.parametrize(
    "traits", [{"phone": "020-1234567"}, {"phone": "+44 20 7946 0958"}, {"email": "ann@gmail.com"}]
)
def test_the_oracle_guesses_nothing_that_it_has_no_rule_for(traits: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="known here"):
        enriched_traits(traits)
