"""Names are tidied, not corrected; times are moved to UTC, and an event's own text is kept where it says more."""

import pytest

from schemas.enrichment import name, utc_time


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  Ann ", "Ann"),
        ("Anna  Maria", "Anna Maria"),
        ("Ann\u00a0Example", "Ann Example"),
        ("Ann\t\r\nExample\u3000", "Ann Example"),
        ("Jose\u0301", "Jos\u00e9"),
        ("van  GOGH", "van GOGH"),
        ("\u1100\u1161", "\uac00"),
    ],
)
def test_a_name_is_tidied(text: str, normal: str) -> None:
    assert name.read(text, "").value == normal
    assert name.read(normal, "").value is None


@pytest.mark.parametrize("text", ["Ann", "O'Neill-de Vries", "", "   ", "می‌خواهم", "X Æ A-12", "李 小龍", "\ud800"])
def test_a_name_that_is_tidy_stays(text: str) -> None:
    assert name.read(text, "") == (None, None, None)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-11-22T12:30:00+02:00", "2026-11-22T10:30:00Z"),
        ("2026-11-22T00:30:00-05:30", "2026-11-22T06:00:00Z"),
        ("2026-01-01T00:30:00.125+01:00", "2025-12-31T23:30:00.125Z"),
        ("2026-11-22T10:00:00.123456789+00:00", "2026-11-22T10:00:00.123456789Z"),
        ("2026-11-22 10:00:00z", "2026-11-22T10:00:00Z"),
        ("1950-06-01T00:00:00+01:00", "1950-05-31T23:00:00Z"),
        ("0001-01-02T00:00:00+01:00", "0001-01-01T23:00:00Z"),
    ],
)
def test_a_time_is_moved_to_utc(text: str, normal: str) -> None:
    assert utc_time.read(text, "").value == normal
    assert utc_time.read(normal, "") == (None, None, None)


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00", "2026-11-22", "1-2-3", "", "\ud800"])
def test_what_is_no_time_with_an_offset_stays(text: str) -> None:
    assert utc_time.read(text, "") == (None, None, None)


@pytest.mark.parametrize("text", ["2026-02-30T10:00:00+01:00", "0001-01-01T00:00:00+01:00", "2026-11-22T23:59:60Z"])
def test_a_time_that_never_was_fails(text: str) -> None:
    assert utc_time.read(text, "") == (None, None, "no such time")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2026-11-22T10:00:00Z", False),
        ("2026-11-22T10:00:00.123456Z", False),
        ("2026-11-22t10:00:00.12z", False),
        ("2026-11-22T10:00:00+00:00", False),
        ("2026-11-22T10:00:00.123456-00:00", False),
        ("", False),
        ("2026-11-22T10:00:00.123456789Z", True),
        ("2026-11-22T10:00:00.123456789+00:00", True),
        ("2026-11-22T12:00:00+02:00", True),
        ("2026-11-22T05:30:00.1-04:30", True),
    ],
)
def test_the_text_of_a_time_is_kept_where_it_says_more_than_the_moment(text: str, kept: bool) -> None:
    assert utc_time.original_of(text) == (text if kept else None)
