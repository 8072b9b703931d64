"""Words for people: times, values, and texts that would steer a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.serve.page import words
from connectors.serve.page.activity import OTHER, WINDOW_SECONDS, Activity
from schemas.times import format_time

SECOND_US = 1_000_000


@given(st.text())
def test_nothing_that_is_shown_steers_the_line(text: str) -> None:
    shown = words.plain(text)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in shown)
    assert not {"\u202e", "\u2066", "\u2029", "\x7f", "\x9b"} & set(shown)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b'"Ann"', "Ann"), (b"true", "yes"), (b"false", "no"), (b"42.5", "42.5"), (b'["a","b"]', "a, b"),
        (b'{"a":[1]}', '{"a":[1]}'), (b"[]", "[]"), (b"null", "null"),
    ],
)  # fmt: skip
def test_values_of_traits_read_as_people_write_them(encoded: bytes, text: str) -> None:
    assert words.value_text(encoded) == text


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u20dd"])
def test_marks_in_heaps_do_not_leave_their_line(mark: str) -> None:
    assert words.plain("z" + mark * 300 + "a") == "z" + mark * 4 + "⟨296 marks⟩a"


@pytest.mark.parametrize("text", ["Việt Nam", "a\u0302\u0323\u0301", "שָׁלוֹם", "पत्नी", "👩🏽‍🚀"])
def test_letters_with_the_marks_of_their_script_are_shown_as_they_are(text: str) -> None:
    assert words.plain(text) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (7300, "2 hours ago"),
        (86_400, "1 day ago"), (-5, "ahead of our clock"),
    ],
)  # fmt: skip
def test_ages_have_one_unit(seconds: int, text: str) -> None:
    now_us = 20_000 * 86_400 * SECOND_US
    time = format_time(now_us - seconds * SECOND_US)
    assert words.ago(time, now_us) == text


def test_moments_are_utc_and_what_is_no_time_is_shown_as_it_is() -> None:
    assert words.moment("2026-11-22T07:15:09.123Z") == "22 Nov 2026, 07:15 UTC"
    assert words.moment("yesterday") == "yesterday"
    assert words.moment(None) == "never"


@pytest.mark.parametrize(
    ("bucket", "first", "now", "text"),
    [
        (0, 9, 20, "on a day from 10 Jan 1970 to 21 Jan 1970"),
        (0, 9, 90, "on a day from 10 Jan 1970 to 30 Jan 1970"),
        (0, 9, 9, "on 10 Jan 1970"),
    ],
)
def test_the_last_sight_is_told_as_far_as_it_is_known(bucket: int, first: int, now: int, text: str) -> None:
    day_us = 86_400 * SECOND_US
    assert words.span_of_last_sight(bucket * day_us, first * day_us, now * day_us) == text


@pytest.mark.parametrize(("rate", "text"), [(0, "0"), (0.1, "0.1"), (12.34, "12.3"), (1234.5, "1,234")])
def test_rates_have_as_many_digits_as_tell_something(rate: float, text: str) -> None:
    assert words.rate_text(rate) == text


def test_counts_are_by_second_of_publication_and_end_before_the_present_one() -> None:
    activity = Activity(("web", "chat"))
    for channel, second in (("web", 100), ("web", 100), ("chat", 101), ("unheard-of", 101), ("web", 102)):
        activity.add(channel, second * 1000 + 7)
    assert activity.series(102, 3) == {"web": [0, 2, 0], "chat": [0, 0, 1], OTHER: [0, 0, 1]}


def test_counts_are_kept_for_a_bounded_time() -> None:
    activity = Activity(("web",))
    for second in range(5 * WINDOW_SECONDS):
        activity.add("web", second * 1000)
    assert len(activity._seconds) <= 2 * WINDOW_SECONDS
    assert sum(activity.series(5 * WINDOW_SECONDS)["web"]) == WINDOW_SECONDS
