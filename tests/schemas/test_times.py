"""Times: RFC 3339 at the edges, whole microseconds inside."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
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


def _by_the_rule(text: str) -> int | None:
    """What RFC 3339 says of the text, read without any table."""
    match = re.fullmatch(r"([0-9-]{10})[Tt ]([0-9:]{8})(?:[.]([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})", text)
    if match is None or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9]{2}:[0-9]{2}:[0-9]{2}", match[1] + match[2]):
        return None
    zone = "+00:00" if match[4] in "Zz" else match[4]
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}") - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    whole = moment // timedelta(microseconds=1) + int((match[3] or "")[:6].ljust(6, "0"))
    return whole if 0 <= whole <= TIME_MAX_US else None


_PART = st.sampled_from(
    ["00", "01", "02", "09", "12", "23", "24", "28", "29", "30", "31", "59", "60", "99", "1", "+1", "٣٣"]
)
_YEAR = st.sampled_from(["1969", "1970", "2023", "2024", "2026", "9999", "0000", "٢٠٢٦", "+026"])
_REST = st.sampled_from(
    [
        *("Z", "z", "", ".Z", ".5Z", ".123456Z", ".123456789Z", ".1234567890Z", ".5z", ".1_1Z", ".٣Z", ". 1Z", ".+1Z"),
        *(",5Z", "Z ", "Z\n", "+00:00", "-00:00", "+23:59", "+24:00", ".5+02:00", "+0200"),
    ]
)


@settings(max_examples=700)
@given(
    year=_YEAR,
    parts=st.tuples(_PART, _PART, _PART, _PART, _PART),
    signs=st.sampled_from(["--T::", "--t::", "-- ::", "--T:.", "-/T::", "--_::"]),
    rest=_REST,
)
@example(year="2026", parts=("11", "22", "10", "00", "00"), signs="--T::", rest="Z")
@example(year="2026", parts=("11", "22", "10", "00", "00"), signs="--T::", rest=".٣Z")
@example(year="2024", parts=("02", "29", "23", "59", "59"), signs="--T::", rest=".123456789Z")
def test_a_time_is_what_the_rule_says_however_it_is_read(
    year: str, parts: tuple[str, ...], signs: str, rest: str
) -> None:
    text = year + "".join(sign + part for sign, part in zip(signs, parts, strict=True)) + rest
    try:
        read: int | None = parse_time(text)
    except EventError as error:
        read = None if error.code is DeadCode.INVALID_TIME else -1
    assert read == _by_the_rule(text)


@given(st.integers(0, TIME_MAX_US))
def test_a_time_that_is_written_and_read_is_the_same(time_us: int) -> None:
    assert parse_time(format_time(time_us)) == time_us
