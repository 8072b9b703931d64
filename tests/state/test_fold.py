"""The laws of the fold: any order, batching and duplication of the same events give the same bytes."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.messages import Ref, RoutedEvent
from schemas.rows import encode_row
from state.fold import fold
from state.fragment import Fragment, Limits, decode_fragment, encode_fragment
from tests.state.builders import DAY, MINUTE, MORNING, routed
from tests.state.strategies import histories

TIGHT = Limits(traits=2, trusted=1, types=2, days=2, refs=2, groups=2, permissions=2, recent=2)


def folded(events: Iterable[RoutedEvent], limits: Limits = TIGHT) -> Fragment:
    fragment = Fragment()
    seen = set()
    for event in events:
        if (event.source, event.id) not in seen:
            seen.add((event.source, event.id))
            fold(fragment, event, limits)
    return fragment


@given(histories(), st.randoms(use_true_random=False))
@pytest.mark.parametrize("limits", [TIGHT, Limits()], ids=["tight", "usual"])
def test_any_order_gives_the_same_bytes(limits: Limits, events: list[RoutedEvent], random: Any) -> None:
    shuffled = events + events[: len(events) // 2]
    random.shuffle(shuffled)
    assert encode_row(folded(shuffled, limits)) == encode_row(folded(events, limits))


@given(histories(), st.integers(0, 12))
def test_a_fragment_that_was_written_and_read_folds_on_alike(events: list[RoutedEvent], cut: int) -> None:
    fragment = folded(events[:cut])
    reread = decode_fragment(encode_fragment(fragment))
    for event in events[cut:]:
        fold(fragment, event, TIGHT)
        fold(reread, event, TIGHT)
    assert encode_row(reread) == encode_row(fragment)


@given(histories())
def test_every_part_keeps_its_bound_and_counts_miss_nothing(events: list[RoutedEvent]) -> None:
    fragment = folded(events)
    assert len(fragment.traits) <= TIGHT.traits
    assert len(fragment.trusted) <= TIGHT.trusted
    assert len(fragment.types) <= TIGHT.types
    assert len(fragment.days) <= TIGHT.days
    assert len(fragment.recent) <= TIGHT.recent
    for nested, limit in ((fragment.refs, 2), (fragment.groups, 2), (fragment.permissions, 2)):
        assert sum(map(len, nested.values())) <= limit
    assert (fragment.total.count if fragment.total else 0) == len(events)
    assert sum(count.count for count in fragment.channels.values()) == len(events)


@given(histories())
def test_the_last_contact_in_each_direction_outlives_the_recent_ones(events: list[RoutedEvent]) -> None:
    fragment = folded(events)
    for direction in ("in", "out"):
        expected = max(
            ((event.time, event.source, event.id) for event in events if event.direction == direction), default=None
        )
        touch = fragment.last_touch(direction)
        assert (touch.age_key if touch else None) == expected


@given(histories())
def test_a_fold_that_says_nothing_new_changes_counts_and_recent_interactions_only(events: list[RoutedEvent]) -> None:
    fragment = Fragment()
    for event in events:
        before = decode_fragment(encode_fragment(fragment))
        if not fold(fragment, event, TIGHT):
            assert fragment.grade == before.grade
            assert {name: each.value for name, each in fragment.traits.items()} == {
                name: each.value for name, each in before.traits.items()
            }
            assert fragment.groups.keys() == before.groups.keys()


def test_the_newest_trait_and_the_best_graded_one_are_both_kept() -> None:
    record = routed(id="e-1", grade=3, time=MORNING, traits={"email": b'"ann@example.com"'})
    claim = routed(id="e-2", grade=1, time=MORNING + MINUTE, traits={"email": b'"other@example.com"'})
    fragment = folded([claim, record], Limits())
    trusted = fragment.trusted_register("email")
    assert fragment.traits["email"].value == b'"other@example.com"'
    assert trusted is not None
    assert trusted.value == b'"ann@example.com"'


def test_a_late_event_never_beats_a_newer_one() -> None:
    new = routed(id="e-2", time=MORNING, traits={"city": b'"Utrecht"'}, refs=(Ref("order", "o-1", "paid"),))
    old = routed(id="e-1", time=MORNING - DAY, traits={"city": b'"Delft"'}, refs=(Ref("order", "o-1", "open"),))
    fragment = folded([new, old], Limits())
    assert fragment.traits["city"].value == b'"Utrecht"'
    assert fragment.refs["order"]["o-1"].status == "paid"


def test_of_two_sources_at_one_time_the_higher_rank_wins() -> None:
    low = routed(source="z", rank=0, traits={"city": b'"Delft"'})
    high = routed(source="a", rank=5, traits={"city": b'"Utrecht"'})
    assert folded([high, low], Limits()).traits["city"].value == b'"Utrecht"'


def test_a_usual_fragment_stays_small() -> None:
    events = [
        routed(
            id=f"event-{number:010}",
            time=MORNING + number * 7 * MINUTE,
            type=f"page.type{number % 4}",
            channel=["web", "chat", "email"][number % 3],
            traits={"first_name": b'"Ann"', "email": b'"ann@example.com"', "city": b'"Utrecht"'},
            refs=(Ref("order", f"o-{number % 3}", "paid"),),
        )
        for number in range(300)
    ]
    assert len(encode_row(folded(events, Limits()))) < 2_600
