"""Event times: RFC 3339 text at the edges, whole microseconds since 1970 (UTC) inside."""

import functools
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.errors import DeadCode, EventError

#: Kafka stamps records in milliseconds.
MICROSECONDS_PER_MILLISECOND: Final = 1_000
MICROSECONDS_PER_SECOND: Final = 1_000_000
SECONDS_PER_DAY: Final = 86_400
MICROSECONDS_PER_DAY: Final = SECONDS_PER_DAY * MICROSECONDS_PER_SECOND
# Identity keeps when a pair was last seen by spans of this length, so that a daily visitor costs one record a month.
SIGHT_BUCKET_DAYS: Final = 30

#: The last microsecond of the year 9999, past which no time can be written as RFC 3339.
TIME_MAX_US: Final = 253_402_300_799_999_999

_HOURS_PER_DAY: Final = 24
# More than half a year's.
_HOUR_TEXTS_MAX: Final = 4_800
_SECONDS_OF_HOUR: Final = tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(3_600))
_THOUSAND: Final = tuple(f"{number:03d}" for number in range(1_000))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
#: The hour and the minute as they are written, and the second.
_MINUTES_US: Final = {
    f"T{minute // 60:02d}:{minute % 60:02d}:": minute * 60 * MICROSECONDS_PER_SECOND for minute in range(24 * 60)
}
_SECONDS_US: Final = {f"{second:02d}": second * MICROSECONDS_PER_SECOND for second in range(60)}
_RFC3339_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(text: str, pointer: str = "/time") -> int:
    """Microseconds since 1970 of an RFC 3339 time with its offset; finer digits are cut.

    Raises:
        EventError: `invalid_time`, when it is no such time, or lies before 1970 or after 9999 in UTC.
    """
    # Most producers write UTC, and the events of an hour are of few days: looking its parts up takes a third of the
    # time. What is not written so, wrong times among it, is read by the rule.
    day, minute, second = _day_us(text[:10]), _MINUTES_US.get(text[10:17]), _SECONDS_US.get(text[17:19])
    if day is None or minute is None or second is None:
        return _parse_any_time(text, pointer)
    rest = text[19:]
    if rest == "Z":
        return day + minute + second
    digits = rest[1:-1]
    if rest[:1] == "." and rest[-1] == "Z" and 0 < len(digits) <= 9 and digits.isascii() and digits.isdigit():
        return day + minute + second + int(digits[:6].ljust(6, "0"))
    return _parse_any_time(text, pointer)


def _parse_any_time(text: str, pointer: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise EventError(
            DeadCode.INVALID_TIME, f"{text[:64]!r} is no RFC 3339 time such as 2026-11-22T10:00:00Z", pointer
        )
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        whole = (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as error:
        raise EventError(DeadCode.INVALID_TIME, f"{text[:64]!r}: {error}", pointer) from None
    if fraction:
        whole += int(fraction[:6].ljust(6, "0"))
    if not 0 <= whole <= TIME_MAX_US:
        raise EventError(DeadCode.INVALID_TIME, f"{text[:64]!r} lies before 1970 or after 9999", pointer)
    return whole


@functools.lru_cache(maxsize=4096)
def _day_us(text: str) -> int | None:
    """The start of a day since 1970 in microseconds, or None where the text is no such day."""
    if _RFC3339_DAY.fullmatch(text) is None:
        return None
    try:
        days = (date.fromisoformat(text) - _EPOCH_DAY).days
    except ValueError:
        return None
    return days * MICROSECONDS_PER_DAY if days >= 0 else None


def in_utc(text: str) -> str | None:
    """An RFC 3339 time of any year, written in UTC with the digits of the second that it has; None where it is none.

    Raises:
        ValueError: it is written as one, but there is no such time.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    whole = moment.replace(tzinfo=None).isoformat()
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


class _HourTexts(dict[int, str]):
    """Hours since 1970 as the beginning of a time in them: events of few hours come at a time."""

    def __missing__(self, hour: int) -> str:
        """Write an hour that was not asked for of late."""
        if len(self) >= _HOUR_TEXTS_MAX:
            self.clear()
        day, within = divmod(hour, _HOURS_PER_DAY)
        text = self[hour] = f"{format_day(day)}T{within:02d}:"
        return text


_HOUR_TEXTS = _HourTexts()


# Contexts are written with dozens of times each, of which most are no event's of the day. So a time is put together of
# what stands in tables: that takes a third of formatting its numbers, and less than to keep it by its value in a cache
# that would hold few of those that are asked for.
def format_time(time_us: int) -> str:
    """RFC 3339 in UTC with as many digits of the second as are needed: none, three or six."""
    second, micros = time_us // 1_000_000, time_us % 1_000_000
    hour, within = second // 3_600, second % 3_600
    if micros == 0:
        return f"{_HOUR_TEXTS[hour]}{_SECONDS_OF_HOUR[within]}Z"
    if micros % 1_000 == 0:
        return f"{_HOUR_TEXTS[hour]}{_SECONDS_OF_HOUR[within]}.{_THOUSAND[micros // 1_000]}Z"
    return f"{_HOUR_TEXTS[hour]}{_SECONDS_OF_HOUR[within]}.{_THOUSAND[micros // 1_000]}{_THOUSAND[micros % 1_000]}Z"


def day_of(time_us: int) -> int:
    """Whole days since 1970."""
    return time_us // MICROSECONDS_PER_DAY


@functools.lru_cache(maxsize=4096)
def format_day(day: int) -> str:
    """The day as `2026-11-22`."""
    return (_EPOCH_DAY + timedelta(days=day)).isoformat()


def sight_bucket(time_us: int) -> int:
    """The start, in microseconds, of the 30-day bucket that holds the time."""
    span = SIGHT_BUCKET_DAYS * MICROSECONDS_PER_DAY
    return time_us // span * span
