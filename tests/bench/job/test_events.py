"""The job's events: the same for the same plan, of the stated size, copied and out of order as stated."""

import msgspec

from bench.job.events import SPAN_DAYS, START_US, Plan, arrivals, event
from bench.job.forms import Forms
from bench.job.persons import Households, happening, raw
from schemas.messages import RoutedEvent, decode_routed
from schemas.times import MICROSECONDS_PER_DAY

PLAN = Plan(events=6_000, customers=300)


def test_the_same_plan_gives_the_same_events() -> None:
    assert [event(PLAN, number) for number in range(50)] == [event(PLAN, number) for number in range(50)]
    assert event(PLAN, 1) != event(msgspec.structs.replace(PLAN, seed=2), 1)


def test_ids_are_unique_and_times_within_the_span() -> None:
    events = [event(PLAN, number) for number in range(PLAN.events)]
    assert len({(each.source, each.id) for each in events}) == PLAN.events
    assert min(each.time_us for each in events) >= START_US
    assert max(each.time_us for each in events) < START_US + (SPAN_DAYS + 1) * MICROSECONDS_PER_DAY
    assert {each.time_us % 1_000_000 == 0 for each in events} == {True, False}


def test_one_event_in_twenty_arrives_twice_and_none_far_before_its_place() -> None:
    places = list(arrivals(PLAN))
    assert set(places) == set(range(PLAN.events))
    copies = len(places) - PLAN.events
    assert 0.04 < copies / PLAN.events < 0.06
    first: dict[int, int] = {}
    for place, number in enumerate(places):
        first.setdefault(number, place)
    # Copies of others push an event back; nothing brings it forward by more than the disorder.
    assert all(place >= number - PLAN.disorder_events for number, place in first.items())
    assert places != sorted(places)


def test_a_hot_customer_has_half_of_all_events() -> None:
    hot = msgspec.structs.replace(PLAN, hot_share=0.5)
    share = sum(event(hot, number).customer == 0 for number in range(hot.events)) / hot.events
    assert 0.47 < share < 0.54


def test_in_turn_makes_every_customer_known() -> None:
    plan = Plan(events=100, customers=100, in_turn=True)
    assert {event(plan, number).customer for number in range(100)} == set(range(100))


def test_an_event_has_some_315_bytes_or_as_many_as_are_asked_for() -> None:
    forms = Forms()
    sizes = [len(forms.job(event(PLAN, number)).value) for number in range(2_000)]
    assert 300 < sum(sizes) / len(sizes) < 330
    large = msgspec.structs.replace(PLAN, padding_bytes=1_700)
    assert 1_950 < len(forms.job(event(large, 3)).value) < 2_100


def test_all_forms_say_the_same() -> None:
    forms = Forms()
    for number in range(200):
        whole = event(PLAN, number)
        job = msgspec.json.decode(forms.job(whole).value)
        routed = decode_routed(forms.routed(whole, number).value)
        assert isinstance(routed, RoutedEvent)
        assert routed.target == forms.customer(whole.customer) == forms.job(whole).key.decode()
        assert (routed.id, routed.source, routed.type, routed.channel) == tuple(
            job[name] for name in ("id", "source", "type", "channel")
        )
        assert {name: msgspec.json.decode(value) for name, value in routed.traits.items()} == job.get("traits", {})
        assert msgspec.json.decode(routed.data) == job["data"]


def test_a_person_has_one_to_three_identifiers_and_a_visitor_tells_no_traits() -> None:
    seen: dict[int, set[str]] = {}
    alone = 0
    for number in range(PLAN.events):
        one = happening(PLAN, number)
        seen.setdefault(one.event.customer, set()).update(one.identifiers)
        assert 1 <= len(one.identifiers) <= 2
        if set(one.identifiers) == {"cookie"}:
            alone += 1
            assert not one.event.traits
            assert "traits" not in msgspec.json.decode(raw(one))["data"]
    assert {len(kinds) for kinds in seen.values()} == {1, 2, 3}
    assert 0.1 < alone / PLAN.events < 0.14


def test_whatever_events_showed_together_is_one_customer_under_its_strongest_identifier() -> None:
    households = Households()
    households.show({"cookie": "c", "email": "a@example.com"})
    households.show({"account": "n", "email": "a@example.com"})
    households.show({"cookie": "lonely"})
    households.settle()
    homes = {households.home(each) for each in ({"cookie": "c"}, {"email": "a@example.com"}, {"account": "n"})}
    assert len(homes) == 1
    assert households.home({"cookie": "lonely"}) not in homes
