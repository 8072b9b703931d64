"""What an enricher is, and what it says about one text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from schemas.enrichment.names import EnricherName

#: Texts of each enricher whose reading is kept: reading one takes up to a millisecond, and they come again and again.
CACHED_READINGS_MAX: Final = 8_192


class Reading(NamedTuple):
    """What an enricher made of a text. It is shared between events: nobody may change it."""

    #: The comparable form, where that differs.
    value: str | None = None
    #: What was found out, JSON values by name.
    found: Mapping[str, Any] | None = None
    #: Why it could not be read, in words that don't repeat the text.
    failed: str | None = None


NOTHING: Final = Reading()
#: A text and the region of its event, such as `NL` or an empty one, to what it says.
Read = Callable[[str, str], Reading]


@dataclass(frozen=True, slots=True)
class Enricher:
    """One enricher: where it looks, and how it reads what it finds there."""

    name: EnricherName
    read: Read
    #: Names of traits in their folded form, the most telling first.
    traits: tuple[str, ...] = ()
    #: Paths into the event's data, of which the first that says something counts.
    paths: tuple[tuple[str, ...], ...] = ()
    #: Whether a trait of its name that is no text is a fault.
    text_only: bool = False
    #: The characters at a text's start that it looks at; 0 where it looks at all of it.
    text_length: int = 0


def folded(name: str) -> str:
    """A trait's name as it is compared: `firstName`, `first_name` and `First Name` are one."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")
