"""Other ways of linking, the ceiling, and what a lookup shows: over events that were written by hand."""

from typing import Any

import pytest

from bench.identity.baselines import Way, ceiling, union_find, unique_ids
from bench.identity.clusters import Judge
from bench.identity.exposure import Ask, Asking, Exposures, ShownTrait
from bench.identity.records import Record
from bench.identity.stream import Plan, World
from schemas.identifiers import Identifier


def identifier(text: str) -> Identifier:
    kind, _, value = text.partition(":")
    return Identifier(kind, value)


def record(
    number: int, person: int, own: str, foreign: str = "", *, traits: dict[str, Any] | None = None, merged: str = ""
) -> Record:
    """An event; identifiers are texts apart by blanks, the strongest of all first."""
    mine, others = ([identifier(text) for text in texts.split()] for texts in (own, foreign))
    order = ["crm", "account", "email", "loyalty", "phone", "cookie"]
    every = sorted((*mine, *others), key=lambda one: order.index(one.kind))
    return Record(
        key=("shop", f"e{number}"),
        truth=("default", person),
        time_us=number,
        rank=0,
        target=every[0] if every else None,
        evidence=tuple(every) if len(every) > 1 else (),
        grade=1,
        own=tuple(mine),
        foreign=tuple(others),
        traits=traits or {},
        mishaps=("kiosk",) if others else (),
        merged=tuple(identifier(text) for text in merged.split()),
        at=1.0,
    )


KIOSK = [
    record(1, 0, "email:a", "cookie:kiosk", traits={"first_name": "Ada"}),
    record(2, 1, "email:b", "cookie:kiosk", traits={"first_name": "Bea"}),
    record(3, 0, "crm:1 email:a"),
    record(4, 0, "crm:1"),
    record(5, 0, ""),
]


def customers(way: Way) -> list[set[str]]:
    found: dict[Any, set[str]] = {}
    for key, customer in way.events.items():
        if customer is not None:
            found.setdefault(customer, set()).add(key[1])
    return sorted(found.values(), key=min)


def test_union_find_joins_whoever_used_a_kiosk() -> None:
    assert customers(union_find(KIOSK)) == [{"e1", "e2", "e3", "e4"}]


def test_unique_ids_join_by_them_alone() -> None:
    assert customers(unique_ids(KIOSK)) == [{"e1"}, {"e2"}, {"e3", "e4"}]


@pytest.mark.parametrize("way", [union_find, unique_ids])
def test_both_obey_a_merge_that_a_record_tells(way: Any) -> None:
    records = [record(1, 0, "crm:1"), record(2, 0, "crm:2"), record(3, 0, "crm:1", merged="crm:1 crm:2")]
    assert customers(way(records)) == [{"e1", "e2", "e3"}]


def test_the_ceiling_unites_what_a_persons_own_events_link_and_nothing_else() -> None:
    assert customers(ceiling(KIOSK)) == [{"e1", "e3", "e4"}, {"e2"}]
    apart = [record(1, 0, "crm:1"), record(2, 0, "email:a")]
    assert customers(ceiling(apart)) == [{"e1"}, {"e2"}]


def test_an_identifier_of_several_people_goes_to_who_used_it_most_or_carefully_to_nobody() -> None:
    shared = [record(1, 0, "phone:1"), record(2, 0, "phone:1"), record(3, 1, "phone:1")]
    assert customers(ceiling(shared)) == [{"e1", "e2", "e3"}]
    assert customers(ceiling(shared, careful=True)) == []


def test_no_way_scores_better_than_the_ceiling() -> None:
    truth = {one.key: one.truth for one in KIOSK}
    best = Judge(truth, ceiling(KIOSK).events).scores().f1
    assert all(Judge(truth, way(KIOSK).events).scores().f1 <= best for way in (union_find, unique_ids))


def exposed(asking: Asking, asks: list[Ask], way: Way) -> tuple[int, int, int, int]:
    exposures = Exposures()
    for ask in asks:
        exposures.judge(asking, ask, way.show(ask.identifier))
    counted = exposures["all"]
    return counted.lookups, counted.stranger, counted.close, counted.planted


def test_a_lookup_that_shows_a_strangers_trait_is_counted_once() -> None:
    world = World.of(Plan(10, 1))
    asking = Asking(world, KIOSK, 1.0)
    assert {ask.identifier for ask in asking.asks} == {identifier(text) for text in ("email:a", "email:b", "crm:1")}
    assert [ask.identifier for ask in asking.of_nobody] == [identifier("cookie:kiosk")]
    # The newest name in the one customer is Bea's, so both of Ada's lookups show it; the kiosk shows somebody's.
    assert exposed(asking, asking.asks, union_find(KIOSK)) == (3, 2, 0, 0)
    assert exposed(asking, asking.of_nobody, union_find(KIOSK)) == (1, 1, 0, 0)
    assert exposed(asking, asking.asks, ceiling(KIOSK)) == (3, 0, 0, 0)


def test_a_trait_that_is_true_of_the_asking_person_too_is_nobody_elses() -> None:
    world = World.of(Plan(10, 1))
    world.people.customers[0].city = world.people.customers[1].city = "Gent"
    records = [record(1, 0, "email:a", traits={"city": "Gent"}), record(2, 1, "email:b")]
    asking = Asking(world, records, 1.0)
    ask = Ask(identifier("email:b"), ("default", 1))
    for city, stranger in (("Gent", 0), ("Lille", 1)):
        exposures = Exposures()
        exposures.judge(asking, ask, [ShownTrait("city", city, ("shop", "e1"))])
        assert exposures["all"].stranger == stranger


def test_planted_and_close_are_told_from_strangers() -> None:
    world = World.of(Plan(10, 1))
    records = [
        record(1, 0, "email:a phone:home"),
        record(2, 1, "phone:home", traits={"first_name": "Housemate"}),
        record(3, 2, "cookie:c", "email:a", traits={"first_name": "Mallory"}),
        record(4, 3, "email:d", traits={"first_name": "Dora"}),
    ]
    asking = Asking(world, records, 1.0)
    ask = Ask(identifier("email:a"), ("default", 0))

    def judged(*events: str) -> tuple[int, int, int]:
        exposures = Exposures()
        exposures.judge(asking, ask, [ShownTrait("first_name", event, ("shop", event)) for event in events])
        return exposures["all"].stranger, exposures["all"].close, exposures["all"].planted

    assert judged("e3") == (0, 0, 1)
    assert judged("e2", "e3") == (0, 1, 0)
    assert judged("e2", "e3", "e4") == (1, 0, 0)
    assert judged("e1") == (0, 0, 0)


def test_a_number_that_was_given_up_is_no_longer_asked_for_by_its_former_owner() -> None:
    world = World.of(Plan(10, 1))
    giver = world.people.customers[0]
    giver.phones, giver.changes_phone_at = ("+31610000001", "+31610000002"), 0.5
    records = [record(1, 0, "phone:+31610000001"), record(2, 1, "phone:+31610000001")]

    def owners(now: float) -> set[tuple[str, int] | None]:
        return {ask.asking for ask in Asking(world, records, now).asks}

    assert owners(0.4) == {("default", 0), ("default", 1)}
    assert owners(0.6) == {("default", 1)}
