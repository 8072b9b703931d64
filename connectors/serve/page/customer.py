"""What the page shows of one customer: the context document in words, and its interactions."""

from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from connectors.serve.page.words import plain, pretty_json, value_text
from connectors.serve.timeline import Page
from schemas.document import ContextDocument, Permission, Trait
from schemas.enrichment.reading import folded

_DOCUMENT: Final = msgspec.json.Decoder(ContextDocument)
# What a person is called, by the names of traits that the name enricher reads too, in their folded form.
_WHOLE: Final = ("name", "fullname", "displayname")
_GIVEN: Final = ("firstname", "givenname")
_FAMILY: Final = ("lastname", "familyname", "surname")
_NICK: Final = ("nickname",)
#: Which names are shown together, the best first.
CALLED: Final = ((_WHOLE,), (_GIVEN, _FAMILY), (_GIVEN,), (_FAMILY,), (_NICK,))


class TraitLine(NamedTuple):
    """A fact, and where it comes from."""

    name: str
    value: str
    time: str
    source: str
    event: str
    via: str
    #: A newer value that was only claimed, where a better proven one stands.
    claim: str
    #: Of the page that says why it has its value.
    path: str


class PermissionLine(NamedTuple):
    """Yes or no to a purpose on a channel."""

    channel: str
    purpose: str
    value: bool
    time: str
    source: str
    via: str


class TimelineEntry(NamedTuple):
    """One interaction."""

    time: str
    channel: str
    type: str
    summary: str
    direction: str
    source: str
    id: str
    via: str
    data: str


class TimelinePage(NamedTuple):
    """Some interactions, newest first."""

    entries: list[TimelineEntry]
    next: str | None
    horizon: str | None


def read_document(encoded: bytes) -> ContextDocument:
    """The context as it was published."""
    return _DOCUMENT.decode(encoded)


def display_name(document: ContextDocument) -> str:
    """What people call the customer: its name, or its home's value."""
    texts = _texts(document.traits)
    for parts in CALLED:
        found = [next((texts[name] for name in names if name in texts), None) for names in parts]
        if None not in found:
            return plain(" ".join(filter(None, found)), 120)
    shown = document.identifiers
    return plain(f"{shown[0].kind} {shown[0].value}", 120) if shown else "A customer"


def trait_lines(document: ContextDocument) -> list[TraitLine]:
    """All traits, in the order of their names."""
    return [_trait_line(name, trait) for name, trait in sorted(document.traits.items())]


def permission_lines(document: ContextDocument) -> list[PermissionLine]:
    """All permissions, in the order of channel and purpose."""
    return [
        _permission_line(channel, purpose, permission)
        for channel, purposes in sorted(document.permissions.items())
        for purpose, permission in sorted(purposes.items())
    ]


def timeline_page(page: Page) -> TimelinePage:
    """A page of interactions, ready to be shown."""
    entries = [
        TimelineEntry(
            shown.time,
            plain(shown.channel),
            plain(shown.type),
            plain(shown.summary or ""),
            plain(shown.direction or ""),
            plain(shown.source),
            plain(shown.id),
            plain(shown.via or ""),
            pretty_json(shown.data),
        )
        for shown in page.interactions
    ]
    return TimelinePage(entries, page.next, page.horizon)


def _texts(traits: dict[str, Trait]) -> dict[str, str]:
    """Traits that are texts, by their folded names; of several with one name the customer's own, then the newest."""
    said: dict[str, str] = {}
    for name, trait in sorted(traits.items(), key=lambda one: (one[1].via is None, one[1].time)):
        value = msgspec.json.decode(trait.value)
        if isinstance(value, str) and value.strip():
            said[folded(name)] = value
    return said


def _trait_line(name: str, trait: Trait) -> TraitLine:
    claim = trait.newer_claim
    return TraitLine(
        plain(name),
        value_text(trait.value),
        trait.time,
        plain(trait.source),
        plain(trait.event),
        plain(trait.via or ""),
        "" if claim is None else value_text(claim.value),
        f"traits/{quote(name, safe='')}/why",
    )


def _permission_line(channel: str, purpose: str, permission: Permission) -> PermissionLine:
    return PermissionLine(
        plain(channel),
        plain(purpose),
        permission.value,
        permission.time,
        plain(permission.source),
        plain(permission.via or ""),
    )
