"""The generator: the same plan gives the same events, in the shares and the disorder that were asked for."""

from collections import Counter
from typing import Any

import phonenumbers
import pytest

from bench.behaviour import HABITS
from bench.demo import EXAMPLE_COOKIE, EXAMPLE_CRM, EXAMPLE_EMAIL, EXAMPLE_PHONE, demo_events
from bench.generator import SOURCES_FILE, START_US, Plan, encode, generate, load_sources
from bench.oracle import expect
from bench.oracle.reading import read_time
from bench.population import make_population
from schemas.event import parse_structured
from schemas.sources import load_sources as load_registry
from schemas.topics import DEFAULT_CHANNELS

NOW_US = 1_790_000_000_000_000


def name_of(event: dict[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


def test_the_same_plan_gives_the_same_bytes_and_another_seed_others() -> None:
    plan = Plan(customers=50, events=800)
    first = [encode(event) for event in generate(plan)]
    assert first == [encode(event) for event in generate(plan)]
    assert first != [encode(event) for event in generate(Plan(customers=50, events=800, seed=2))]


def test_distinct_events_are_as_many_as_planned_and_copies_are_exact() -> None:
    events = list(generate(Plan(events=4_000)))
    by_name: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        assert by_name.setdefault(name_of(event), event) == event
    assert len(by_name) == 4_000
    assert 0.03 < len(events) / 4_000 - 1 < 0.07


def test_late_events_keep_their_time_and_come_hours_later() -> None:
    plan = Plan(events=4_000, duplicate_share=0, disorder_events=0)
    newest = late = 0
    for event in generate(plan):
        time_us = read_time(event["time"])
        late += newest - time_us > 3_600_000_000
        newest = max(newest, time_us)
    assert 0.03 < late / 4_000 < 0.07


def test_without_shares_or_disorder_events_come_in_the_order_of_their_times() -> None:
    plan = Plan(events=500, duplicate_share=0, late_share=0, disorder_events=0)
    seconds = [read_time(event["time"]) // 1_000_000 for event in generate(plan)]
    assert seconds == sorted(seconds)
    assert seconds[0] >= START_US // 1_000_000


@pytest.mark.parametrize("wrong", [{"late_share": 1.1}, {"events_per_second": 0}, {"events": -1}])
def test_an_impossible_plan_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Plan(**wrong)


def test_every_habit_every_channel_and_a_source_that_nobody_registered_occur() -> None:
    events = list(generate(Plan(customers=200, events=8_000)))
    channels = {event["channel"] for event in events}
    assert channels >= {"web", "app", "chat", "email", "voice", "store", "iot", "crm", "sms", "social"}
    assert channels <= set(DEFAULT_CHANNELS)
    assert {event["source"] for event in events} - set(load_sources()) == {"guest-wifi"}
    assert len({event["type"] for event in events}) > len(HABITS)


def test_the_registrations_are_ones_that_the_program_takes() -> None:
    registry = load_registry(SOURCES_FILE)
    registry.verify(DEFAULT_CHANNELS)
    assert set(registry.sources) == set(load_sources())


def test_every_event_is_one_that_the_program_can_read() -> None:
    for event in generate(Plan(customers=100, events=2_000)):
        parsed = parse_structured(encode(event))
        assert parsed.id == event["id"]
        assert parsed.time == read_time(event["time"])


def test_phone_numbers_exist_and_identifiers_are_one_persons_but_for_what_is_shared_on_purpose() -> None:
    people = make_population(1_000, 3).people
    for person in people:
        for number in filter(None, (person.phone, person.landline)):
            assert phonenumbers.is_valid_number(phonenumbers.parse(number))
    for field in ("crm", "account", "loyalty", "phone", "app", "device", "meter"):
        values = [value for person in people if (value := getattr(person, field))]
        assert len(values) == len(set(values)), field


def test_the_population_has_every_case() -> None:
    people = make_population(200, 1).people
    names = Counter(person.name for person in people)
    assert people[0].name == "Ann Example"
    assert people[-1].name == people[-2].name
    assert names[people[-1].name] >= 2
    landlines = Counter(person.landline for person in people if person.landline)
    assert set(landlines.values()) == {2}
    assert any(person.borrowed_phone for person in people)
    assert any(person.borrowed_email for person in people)
    assert {person.sort for person in people} == {"full", "online", "prospect", "shopper", "anonymous"}


def test_the_truth_of_a_run_has_every_level_and_shared_identifiers_of_every_sort() -> None:
    expectation = expect(generate(Plan()), load_sources())
    levels = {home.level for customer in expectation.customers for home in customer.homes.values()}
    assert levels == {"identified", "recognised", "anonymous"}
    assert {one.kind for one in expectation.shared} >= {"cookie", "crm", "device", "email", "phone"}


@pytest.mark.parametrize("now_us", [NOW_US, NOW_US + 86_400_000_000 * 100 + 123_457])
def test_the_demo_ends_now_and_shows_ann(now_us: int) -> None:
    events = demo_events(now_us)
    times = [read_time(event["time"]) for event in events]
    assert max(times) <= now_us
    assert now_us - max(times) < 3_600_000_000
    expectation = expect(events, load_sources())
    ann = next(customer for customer in expectation.customers if ["crm", EXAMPLE_CRM] in customer.members)
    assert ["email", EXAMPLE_EMAIL] in ann.members
    assert ["phone", EXAMPLE_PHONE] in ann.members
    assert ["cookie", EXAMPLE_COOKIE] in ann.members
    (home,) = ann.homes.values()
    assert home.level == "identified"
    assert len(home.document["channels"]) >= 6
    traits = home.document["traits"]
    assert traits["first_name"]["value"] == "Ann"
    assert traits["phone"]["value"] == EXAMPLE_PHONE
    assert (traits["phone_region"]["value"], traits["email_domain"]["value"]) == ("NL", "example.com")
    assert traits["phone_region"]["event"] == traits["phone"]["event"]
    assert home.document["permissions"]
    assert home.document["refs"]
