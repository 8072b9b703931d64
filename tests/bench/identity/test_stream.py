"""The labelled population: its shares, its truth, and that a seed gives the same events for ever."""

import hashlib
from collections import Counter
from itertools import islice, pairwise

import pytest

from bench.generator import encode
from bench.identity.mishaps import DUMMY_CRM, OWN_NUMBERS
from bench.identity.people import OUTLET, Person
from bench.identity.records import Record, read
from bench.identity.shares import OF_PERSONS, Shares
from bench.identity.stream import Labelled, Plan, World, stream

PERSONS = 400


@pytest.fixture(scope="module")
def world() -> World:
    return World.of(Plan(PERSONS, 3))


@pytest.fixture(scope="module")
def events(world: World) -> list[Labelled]:
    return list(stream(world))


@pytest.fixture(scope="module")
def records(events: list[Labelled]) -> list[Record]:
    return read(events)


def digest(plan: Plan) -> str:
    hashed = hashlib.sha256()
    for labelled in stream(World.of(plan)):
        hashed.update(encode(labelled.event) + repr((labelled.truth, labelled.mishaps)).encode())
    return hashed.hexdigest()


def test_a_seed_gives_the_same_bytes_and_another_one_others() -> None:
    assert digest(Plan(40, 5)) == digest(Plan(40, 5)) != digest(Plan(40, 6))


def test_events_come_one_by_one_whatever_the_length_of_the_run() -> None:
    endless = stream(World.of(Plan(40, 1, events=10**9)))
    assert len(list(islice(endless, 500))) == 500


def test_shares_vary_with_the_seed_within_three_tenths() -> None:
    design, drawn = Shares(), [Shares.of_seed(seed) for seed in range(30)]
    for name in Shares.__slots__:
        values = [getattr(shares, name) for shares in drawn]
        assert 0.7 * getattr(design, name) <= min(values) < max(values) <= 1.3 * getattr(design, name)


def test_persons_have_their_difficulties_in_their_shares(world: World) -> None:
    found = Counter(name for person in world.people.customers for name in person.difficulties)
    for name in OF_PERSONS:
        assert found[name] / PERSONS == pytest.approx(getattr(world.shares, name), abs=0.015), name


def test_events_go_wrong_in_their_shares(world: World, events: list[Labelled]) -> None:
    distinct = [labelled for labelled in events if not labelled.copy]
    calls = [one for one in distinct if one.event["source"] == "phone-desk"]
    sales = [one for one in distinct if one.event["source"] == "shop-till"]
    for name, among, tolerance in (
        ("kiosk", distinct, 0.006),
        ("mistyped", distinct, 0.006),
        ("tests", distinct, 0.002),
        ("forged", distinct, 0.002),
        ("own_number", calls, 0.03),
        ("withheld", calls, 0.03),
        ("dummy_crm", sales, 0.02),
    ):
        share = sum(name in one.mishaps for one in among) / len(among)
        assert share == pytest.approx(getattr(world.shares, name), abs=tolerance), name
    mistyped = [one for one in distinct if "mistyped" in one.mishaps]
    assert sum("mistyped_real" in one.mishaps for one in mistyped) == len(mistyped) // 3
    assert len(events) / len(distinct) - 1 == pytest.approx(world.shares.duplicates, abs=0.01)


def test_copies_are_the_same_event_and_late_ones_keep_their_time(world: World, events: list[Labelled]) -> None:
    first: dict[tuple[str, str], Labelled] = {}
    for labelled in events:
        key = labelled.event["source"], labelled.event["id"]
        assert first.setdefault(key, labelled).event == labelled.event
    assert len(first) == world.plan.events_count == PERSONS * 20
    times = [labelled.at for labelled in first.values()]
    late = sum(earlier > later for earlier, later in pairwise(times))
    assert late > 0.5 * world.shares.late * len(times)


def test_what_is_foreign_in_an_event_is_really_somebody_elses(world: World, records: list[Record]) -> None:
    people = {person.number: person for person in (*world.people.customers, *world.people.testers)}
    for record in records:
        person = people[record.truth[1]]
        assert all(identifier.value not in own_values(person) for identifier in record.foreign), record
        assert all(identifier.value in own_values(person) for identifier in record.own), record


def own_values(person: Person) -> set[str]:
    """All that the person is known by, private addresses of testers among them."""
    one = {person.crm, person.second_crm, person.billing, person.account, person.landline, person.loyalty, person.app}
    more = {person.home_cookie, person.home_device, person.mailbox, person.outlet_crm, person.outlet_cookie}
    return {*one, *more, *person.emails, *person.phones, *person.cookies, f"private{person.number}@mail.example"}


def test_numbers_of_two_brands_and_of_two_systems_collide_and_are_told_apart(records: list[Record]) -> None:
    seen: dict[str, set[tuple[str, str, int]]] = {}
    for record in records:
        for identifier in record.own:
            if identifier.kind == "crm":
                seen.setdefault(identifier.value, set()).add((identifier.realm, identifier.namespace, record.truth[1]))
    several = [owners for owners in seen.values() if len({person for _, _, person in owners}) > 1]
    assert any({realm for realm, _, _ in owners} == {"default", OUTLET} for owners in several)
    assert any({space for _, space, _ in owners} == {"default", "billing"} for owners in several)
    for owners in several:
        assert len({(realm, space) for realm, space, _ in owners}) == len(owners), "one number, one person a system"


def test_the_operator_knows_some_of_what_is_nobodys_and_not_all(records: list[Record]) -> None:
    linked: set[str] = set()
    unlinked: set[str] = set()
    for record in records:
        if record.mishaps[:1] in (("own_number",), ("dummy_crm",)):
            for identifier in record.foreign:
                (linked if identifier in record.evidence else unlinked).add(identifier.value)
    assert linked == {OWN_NUMBERS[2], DUMMY_CRM[1]}
    assert set(OWN_NUMBERS) <= unlinked
