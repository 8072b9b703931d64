"""An event before it has an id and a time, with its truth: who did it, and what in it is not theirs."""

from typing import Any, NamedTuple

from bench.identity.people import OUTLET, Person

_CHANNELS = {
    "shop-web": "web",
    "shop-app": "app",
    "shop-kiosk": "store",
    "shop-till": "store",
    "chat-desk": "chat",
    "mail-desk": "email",
    "phone-desk": "voice",
    "sms-gateway": "sms",
    "home-hub": "iot",
    "crm": "crm",
    "billing": "billing",
    "outlet-web": "web",
    "outlet-crm": "crm",
}


class Draft(NamedTuple):
    """What one person did."""

    person: Person
    source: str
    type: str
    data: dict[str, Any]
    #: Kinds of its identifiers that are not this person's: a kiosk's cookie, a mistyped address.
    foreign: frozenset[str] = frozenset()
    #: What went wrong in it, by the names in `shares.OF_EVENTS`.
    mishaps: tuple[str, ...] = ()

    @property
    def channel(self) -> str:
        """The channel of its source."""
        return _CHANNELS[self.source]

    @property
    def truth(self) -> tuple[str, int]:
        """Brand and person: brands are realms, and share no customers on purpose."""
        return (OUTLET if self.source.startswith(OUTLET) else "default", self.person.number)


def draft(
    person: Person,
    source: str,
    type_: str,
    identifiers: dict[str, Any],
    *,
    traits: dict[str, Any] | None = None,
    other: dict[str, Any] | None = None,
) -> Draft:
    """An event of the person's own."""
    data: dict[str, Any] = {"identifiers": {kind: value for kind, value in identifiers.items() if value}}
    if traits:
        data["traits"] = traits
    if other:
        data["other"] = other
    return Draft(person, source, type_, data)


def name_of(person: Person) -> dict[str, Any]:
    """The traits that people type into forms."""
    return {"first_name": person.first_name, "last_name": person.last_name}
