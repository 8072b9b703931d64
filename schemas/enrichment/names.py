"""The names of enrichers, in the order in which they run, and of the traits that they derive from others."""

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class EnricherName(StrEnum):
    """What can be switched on and off."""

    PHONE = "phone"
    EMAIL = "email"
    NAME = "name"
    TIME = "time"
    DEVICE = "device"
    LANGUAGE = "language"


class Outcome(StrEnum):
    """What came of one look of an enricher at one text."""

    #: The trait has another value now.
    CHANGED = "changed"
    #: Something was found out, and nothing rewritten.
    FOUND = "found"
    #: There was nothing to find or to rewrite.
    UNCHANGED = "unchanged"
    FAILED = "failed"


ENRICHERS: Final[tuple[str, ...]] = tuple(name.value for name in EnricherName)
#: The one word that switches all of them off.
NO_ENRICHERS: Final = "none"

#: Trait to the traits that are derived from it, each with the finding that is its value. They are set and withdrawn
#: with their origin, by the same event, so that a context never shows the domain of another address.
DERIVED: Final[dict[str, dict[str, str]]] = {
    "email": {"email_domain": "domain", "email_free": "free"},
    "phone": {"phone_region": "region"},
}


def enricher_names(given: Iterable[str]) -> tuple[str, ...]:
    """The enrichers that a list names, in the order in which they run; `none` alone is the empty list.

    Raises:
        ValueError: one is unknown; the message has the nearest.
    """
    names = tuple(given)
    if names == (NO_ENRICHERS,):
        return ()
    for name in names:
        if name not in ENRICHERS:
            near = difflib.get_close_matches(name, ENRICHERS, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(ENRICHERS)}, or {NO_ENRICHERS}"
            raise ValueError(f"{name!r} is no enricher{meant}")
    return tuple(name for name in ENRICHERS if name in names)


def with_derived(traits: Iterable[str]) -> frozenset[str]:
    """The traits and what is derived from them: what holds of an address has to hold of its domain."""
    named = frozenset(traits)
    return named | {derived for origin in named for derived in DERIVED.get(origin, ())}
