"""What the page says in words that people understand: levels, grades, roles, times, and what events wrote.

What events wrote is hostile until shown: characters that steer a line or its direction are made visible, and long
texts are cut. Templates escape everything besides.
"""

import re
from typing import Any, Final

import msgspec

from schemas.errors import EventError
from schemas.identity_policy import Grade
from schemas.levels import ANONYMOUS, IDENTIFIED, RECOGNISED
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from schemas.times import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, SIGHT_BUCKET_DAYS, format_time, parse_time

#: A text of an event, in characters; the API has the whole of it.
TEXT_LENGTH_MAX: Final = 400
DATA_LENGTH_MAX: Final = 4_000
#: What a neighbour of the customer's is to it, where it belongs to another one.
ELSEWHERE: Final = "elsewhere"
# C0, DEL and C1 but for the line feed, and the characters that turn the direction of a line or break it.
_STEERING: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# Marks that stand above and below a letter: no script needs so many on one, and hundreds are drawn over other lines.
_MARKS_MAX: Final = 4
_MARK: Final = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS: Final = re.compile(f"({_MARK}{{{_MARKS_MAX}}})({_MARK}+)")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

LEVELS: Final = {
    IDENTIFIED: "A login or a system of record ties this customer together.",
    RECOGNISED: "Known by something that was only typed, or that others may use too, such as a phone number. "
    "Probably this person, but not proven.",
    ANONYMOUS: "Only a browser or a device is known, not who uses it.",
    SHARED: "Several people use this identifier, so it shows nobody's data.",
}
GRADES: Final = {
    Grade.RECORD.label: "from a system of record",
    Grade.LOGIN.label: "proven by a login",
    Grade.CLAIMED.label: "only claimed: typed, not proven",
}
#: Of the identifier by which somebody was found.
FOUND_BY: Final = {
    Grade.RECORD.label: "A system of record says that it is theirs.",
    Grade.LOGIN.label: "A login has proven that it is theirs.",
    Grade.CLAIMED.label: "That it is theirs was only claimed, by somebody who typed it: make sure before you tell "
    "anything.",
}
ROLES: Final = {
    HOME: "home: the customer's id is that of this identifier",
    JOINED: "joined: the same person, by logins or records",
    ATTACHED: "attached: belongs here, but joins nobody else to it",
    SHARED: "shared: several people use it, so it is nobody's",
    ELSEWHERE: "seen together, but it belongs to another customer",
}


def plain(text: object, length_max: int = TEXT_LENGTH_MAX) -> str:
    """A text of an event as it is, but for what would steer the line or leave it, and no longer than this."""
    whole = str(text)
    cut = whole if len(whole) <= length_max else f"{whole[:length_max]}… ({len(whole):,} characters)"
    kept = _MARKS.sub(lambda found: f"{found[1]}⟨{len(found[2])} marks⟩", cut)
    return _STEERING.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", kept)


def value_text(encoded: bytes) -> str:
    """A JSON value for people: texts without quotes, yes and no, all else as JSON."""
    value: Any = msgspec.json.decode(encoded)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        return plain(", ".join(value))
    return plain(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def pretty_json(encoded: bytes) -> str:
    """JSON on indented lines."""
    return plain(msgspec.json.format(bytes(encoded), indent=2).decode(), DATA_LENGTH_MAX)


def moment(time: str | None) -> str:
    """An RFC 3339 time as `22 Nov 2026, 07:15 UTC`; what is none, as it is."""
    if time is None:
        return "never"
    try:
        written = format_time(parse_time(time))
    except EventError:
        return plain(time)
    return f"{day(written)}, {written[11:16]} UTC"


def clock(time: str) -> str:
    """Of such a time, `07:15:09`."""
    return time[11:19]


def day(time: str) -> str:
    """An RFC 3339 day or time as `22 Nov 2026`."""
    year, month, number = time[:10].split("-")
    return f"{int(number)} {_MONTHS[int(month) - 1]} {year}"


def ago(time: str | None, now_us: int) -> str:
    """How long ago, in its greatest unit."""
    if time is None:
        return "never"
    try:
        seconds = (now_us - parse_time(time)) // MICROSECONDS_PER_SECOND
    except EventError:
        return ""
    if seconds < 0:
        return "ahead of our clock"
    for length, unit in _SPANS:
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def span_of_last_sight(bucket_us: int, first_us: int, now_us: int) -> str:
    """When a link was seen last, as far as is known, since that is kept by 30-day spans: `on` a day, or between two."""
    start = max(bucket_us, first_us)
    end = max(start, min(now_us, bucket_us + SIGHT_BUCKET_DAYS * MICROSECONDS_PER_DAY - 1))
    earliest, latest = day(format_time(start)), day(format_time(end))
    return f"on {latest}" if earliest == latest else f"on a day from {earliest} to {latest}"


def seconds_text(seconds: float) -> str:
    """A duration for people."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"


def rate_text(per_second: float) -> str:
    """Events per second, with as many digits as tell something."""
    if per_second == 0:
        return "0"
    return f"{per_second:.1f}" if per_second < 100 else f"{per_second:,.0f}"
