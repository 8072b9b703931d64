"""Times to UTC: of traits that are RFC 3339 times with another offset, and what an event's own time said beside it.

An event's time is in UTC from the moment that it is read; its producer's text is kept where it says more than that.
"""

from functools import lru_cache
from typing import Final

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading
from schemas.times import in_utc

#: Names of what is a day wherever one is: a birthday moved to UTC would be the day before.
DAYS: Final = frozenset(
    {"birthday", "birthdate", "dateofbirth", "dob", "anniversary", "date", "startdate", "enddate", "duedate"}
)
#: The shortest time has 20 characters, the longest 35: nine digits of the second and an offset.
TEXT_LENGTH_MIN: Final = 20
TEXT_LENGTH_MAX: Final = 35
# With microseconds, which are all that an event's time keeps.
_ZULU_LENGTH_MAX: Final = 27
_ZERO_OFFSETS: Final = ("+00:00", "-00:00")


@lru_cache(maxsize=CACHED_READINGS_MAX)
def read(text: str, _region: str) -> Reading:
    """The same moment in UTC, with the digits of the second that it has."""
    try:
        normal = in_utc(text)
    except ValueError:
        return Reading(failed="no such time")
    return NOTHING if normal is None or normal == text else Reading(normal)


def original_of(text: str) -> str | None:
    """The text of an event's time where it says more than the moment: another offset, or finer digits."""
    if text.endswith(("Z", "z")):
        return text if len(text) > _ZULU_LENGTH_MAX else None
    plain = text.endswith(_ZERO_OFFSETS) and len(text) < _ZULU_LENGTH_MAX + len(_ZERO_OFFSETS[0])
    return None if plain or not text else text


def enricher() -> Enricher:
    """Reads traits that look like a time, whatever their name, and the event's time."""
    return Enricher(EnricherName.TIME, read)
