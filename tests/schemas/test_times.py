"""Times: RFC 3339 at the edges, whole microseconds inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DeadCode, EventError
from schemas.times import TIME_MAX_US, day_of, format_day, format_time, parse_time, sight_bucket


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-22T10:00:00Z", 1_795_341_600_000_000),
        ("2026-11-22t11:00:00+01:00", 1_795_341_600_000_000),
        ("2026-11-22 10:00:00.5z", 1_795_341_600_500_000),
        ("2026-11-22T10:00:00.123456789Z", 1_795_341_600_123_456),
        ("9999-12-31T23:59:59.999999Z", TIME_MAX_US),
    ],
)
def test_times_are_read(text: str, time_us: int) -> None:
    assert parse_time(text) == time_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:00",
        "2026-11-22T24:00:01Z",
        "2026-02-29T10:00:00Z",
        "2026-11-22T10:00:00+25:00",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "\uff12026-11-22T10:00:00Z",
        "2026-11-22T10:00:00Z\n",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(EventError) as caught:
        parse_time(text, "/at")
    assert (caught.value.code, caught.value.pointer) == (DeadCode.INVALID_TIME, "/at")


@given(st.integers(0, TIME_MAX_US))
def test_a_written_time_reads_as_itself(time_us: int) -> None:
    assert parse_time(format_time(time_us)) == time_us
    assert format_time(time_us).startswith(format_day(day_of(time_us)))
    assert sight_bucket(time_us) <= time_us


def test_only_the_digits_that_are_needed_are_written() -> None:
    assert format_time(0) == "1970-01-01T00:00:00Z"
    assert format_time(1_000) == "1970-01-01T00:00:00.001Z"
    assert format_time(1) == "1970-01-01T00:00:00.000001Z"
