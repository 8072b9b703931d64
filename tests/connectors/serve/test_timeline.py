"""Pages of interactions: laws over any interactions, members and page sizes."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.serve.finding import Published
from connectors.serve.interaction_rows import Retention
from connectors.serve.timeline import Cursor, Page
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED, JOINED
from schemas.times import format_time
from tests.connectors.serve.support import DAY_US, NOW_US, Copy

ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3),
        st.sampled_from(["a", "ab", "é", "a/b"]),
        st.sampled_from(["1", "10", "2", "\u00ff"]),
    ),
    max_size=30,
)


def customer_of_three(copy: Copy) -> list[str]:
    home = copy.home("email", "ann@example.com", Grade.LOGIN)
    copy.link("phone", "+31201234567", home, JOINED, Grade.LOGIN)
    copy.link("cookie", "c-1", home, ATTACHED)
    return [home, copy.fragment("phone", "+31201234567"), copy.fragment("cookie", "c-1")]


def published(copy: Copy, customer: str) -> Published:
    found = copy.finder.context(customer)
    assert found is not None
    return found


def pages(copy: Copy, customer: str, limit: int) -> list[Page]:
    read = []
    cursor = None
    while True:
        page = copy.timeline.page(published(copy, customer), limit, cursor)
        read.append(page)
        if page.next is None:
            return read
        cursor = Cursor.decoded(page.next)


@given(entries=ENTRIES, limit=st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_pages_one_after_the_other_are_the_whole_list_newest_first(
    entries: list[tuple[int, int, str, str]], limit: int
) -> None:
    copy = Copy()
    fragments = customer_of_three(copy)
    copy.put(*(copy.interaction(fragments[place], time, source, event) for place, time, source, event in entries))
    wanted = sorted({(time, source, event, fragments[place]) for place, time, source, event in entries}, reverse=True)
    read = pages(copy, fragments[0], limit)
    assert all(len(page.interactions) == limit for page in read[:-1])
    assert [(shown.time, shown.source, shown.id, shown.fragment) for page in read for shown in page.interactions] == [
        (format_time(time), source, event, fragment) for time, source, event, fragment in wanted
    ]


def test_what_comes_in_between_two_pages_shifts_nothing() -> None:
    copy = Copy()
    home, *_ = customer_of_three(copy)
    copy.put(*(copy.interaction(home, time, event=str(time)) for time in range(6)))
    first = copy.timeline.page(published(copy, home), 3, None)
    copy.put(copy.interaction(home, 100, event="later"))
    assert first.next is not None
    second = copy.timeline.page(published(copy, home), 3, Cursor.decoded(first.next))
    assert [shown.id for shown in (*first.interactions, *second.interactions)] == ["5", "4", "3", "2", "1", "0"]


def test_interactions_carry_the_present_customer_and_the_kind_of_an_attached_member() -> None:
    copy = Copy()
    home, joined, attached = customer_of_three(copy)
    copy.put(copy.interaction(attached, 1, customer="f" * 32), copy.interaction(joined, 2), copy.interaction(home, 3))
    (page,) = pages(copy, home, 10)
    assert [(shown.customer, shown.fragment, shown.via) for shown in page.interactions] == [
        (home, home, None),
        (home, joined, None),
        (home, attached, "cookie"),
    ]


def test_a_merge_and_a_split_move_no_history() -> None:
    copy = Copy()
    home, joined, _ = customer_of_three(copy)
    copy.put(copy.interaction(joined, 1), copy.interaction(home, 2))
    copy.home("phone", "+31201234567")
    assert [shown.fragment for page in pages(copy, home, 10) for shown in page.interactions] == [home]
    assert [shown.fragment for page in pages(copy, joined, 10) for shown in page.interactions] == [joined]


@pytest.mark.parametrize("text", ["", "x", "!!!!", "a" * 3000, "é", base64.urlsafe_b64encode(b"\xff" * 40).decode()])
def test_nonsense_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match=r"cursor|moment|utf-8"):
        Cursor.decoded(text)


@given(st.binary(max_size=80))
def test_a_cursor_is_refused_or_comes_back_as_it_was(packed: bytes) -> None:
    text = base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
    try:
        cursor = Cursor.decoded(text)
    except ValueError:
        return
    assert cursor.encoded() == text


def test_the_newest_interactions_of_a_fragment_stay_and_the_horizon_says_what_left() -> None:
    copy = Copy(Retention(interactions_per_fragment_max=10))
    home = copy.home("cookie", "c-1", first=format_time(0), last=format_time(29))
    for time in range(30):
        copy.put(copy.interaction(home, time, event=str(time)))
    (page,) = pages(copy, home, 100)
    kept = [int(shown.id) for shown in page.interactions]
    assert kept == list(range(29, 29 - len(kept), -1))
    assert 10 <= len(kept) <= 11
    assert page.horizon == format_time(min(kept) - 1) or page.horizon == format_time(min(kept))


def test_a_batch_of_any_size_leaves_no_more_than_the_bound_and_a_tenth() -> None:
    copy = Copy(Retention(interactions_per_fragment_max=10))
    home = copy.home("cookie", "c-1")
    copy.put(*(copy.interaction(home, time, event=str(time)) for time in range(50)))
    (page,) = pages(copy, home, 100)
    assert [int(shown.id) for shown in page.interactions] == list(range(49, 39, -1))
    copy.put(copy.interaction(home, 60), copy.interaction(home, 60))
    (page,) = pages(copy, home, 100)
    assert len(page.interactions) == 11


def test_what_was_published_too_long_ago_is_forgotten_whatever_its_own_time_is() -> None:
    copy = Copy(Retention(days=30))
    home = copy.home("cookie", "c-1")
    old = copy.interaction(home, NOW_US, event="published long ago")._replace(
        timestamp_ms=(NOW_US - 40 * DAY_US) // 1000
    )
    copy.put(old)
    copy.put(copy.interaction(home, 5, event="an old event, published now"))
    (page,) = pages(copy, home, 10)
    assert [shown.id for shown in page.interactions] == ["an old event, published now"]
    assert page.horizon == format_time(NOW_US)
    assert not [key for key, _ in copy.rows.scan(b"d/") if key.endswith(home.encode())][1:]


def test_nothing_missing_has_no_horizon_and_what_the_topic_lost_has_one() -> None:
    copy = Copy()
    home = copy.home("cookie", "c-1", first=format_time(10), last=format_time(20))
    copy.put(copy.interaction(home, 10), copy.interaction(home, 20))
    assert pages(copy, home, 10)[0].horizon is None
    copy.home("cookie", "c-1", first=format_time(5), last=format_time(20))
    assert pages(copy, home, 10)[0].horizon == format_time(10)
    lonely = copy.home("cookie", "c-2", first=format_time(5), last=format_time(20))
    assert pages(copy, lonely, 10)[0].horizon == format_time(20)
