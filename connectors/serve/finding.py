"""From an identifier, or from the id of a customer, to its place in the partition."""

import re
from typing import Final, NamedTuple

import msgspec

from connectors.serve.layout import LookupRows, context_key, link_key, members_prefix
from schemas.asked import AskedIdentifier, routed_identifier
from schemas.document import Identity, ShownIdentifier
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade, Policy
from schemas.keys import Keyring
from schemas.limits import CANDIDATES_MAX
from schemas.roles import HOME, SHARED
from schemas.rows import LinkRow, RowDecoder

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LINK_ROW: Final = RowDecoder(LinkRow)


class Place(NamedTuple):
    """Where identity put a fragment. One that it never named is its own home, and its grade is in its context."""

    fragment: str
    owner: str
    state: str = HOME
    kind: str | None = None
    grade: Grade | None = None
    candidates: tuple[str, ...] = ()


class _Counted(msgspec.Struct, gc=False):
    first: str | None
    last: str | None


class Glance(msgspec.Struct, gc=False):
    """What answers depend on; the rest of a context is passed on as it is."""

    identity: Identity
    identifiers: list[ShownIdentifier]
    interactions: _Counted

    @property
    def home_grade(self) -> Grade:
        """The best grade by which the home was seen."""
        home = next((shown for shown in self.identifiers if shown.role == HOME), None)
        return Grade.CLAIMED if home is None else Grade.of(home.grade)


class Published(NamedTuple):
    """A context as it was published."""

    customer: str
    encoded: bytes
    glance: Glance


_GLANCE: Final = msgspec.json.Decoder(Glance)


class Finder:
    """Reads places and contexts from the lookup's copy."""

    def __init__(self, rows: LookupRows, keyring: Keyring, policy: Policy) -> None:
        self._rows = rows
        self._keyring = keyring
        self._policy = policy

    def identifier(self, asked: AskedIdentifier) -> Identifier | None:
        """The identifier as events would route by it; None for a kind or value that routes nothing."""
        return routed_identifier(asked, self._policy)

    def strength(self, identifier: Identifier) -> tuple[int, Identifier]:
        """Sorts the strongest first, and of several values of a kind the smallest, as routing does."""
        return (self._policy.position(identifier.kind), identifier)

    def place(self, fragment: str) -> Place:
        """The place of a fragment, which is also that of the customer of the same id."""
        encoded = self._rows.get(link_key(fragment))
        if encoded is None:
            return Place(fragment, fragment)
        row = _LINK_ROW.decode(encoded)
        return Place(fragment, row.owner, row.state, row.kind, Grade(row.grade) if row.grade else None, row.candidates)

    def place_of(self, identifier: Identifier) -> Place:
        """The place of the identifier's fragment."""
        return self.place(self._keyring.fragment_id(identifier))

    def context(self, customer: str) -> Published | None:
        """The context of exactly this customer, or None."""
        if not _ID.fullmatch(customer):
            return None
        encoded = self._rows.get(context_key(customer))
        return None if encoded is None else Published(customer, encoded, _GLANCE.decode(encoded))

    def context_at(self, place: Place) -> Published | None:
        """The context that the place leads to: the owner's, or the fragment's last own one until that is published.

        A fragment and its new owner publish in transactions of their own, so for a moment only the old one is there.
        """
        found = self.context(place.owner)
        return found if found is not None or place.owner == place.fragment else self.context(place.fragment)

    def candidates(self, place: Place) -> tuple[str, ...]:
        """The customers that a shared identifier may belong to: those of its neighbours that are not shared too."""
        places = [self.place(fragment) for fragment in place.candidates]
        owners = dict.fromkeys(neighbour.owner for neighbour in places if neighbour.state != SHARED)
        return tuple(owners)[:CANDIDATES_MAX]

    def members(self, customer: str) -> list[Place]:
        """The places of all fragments of a customer."""
        prefix = members_prefix(customer)
        members = [self.place(key[len(prefix) :].decode()) for key, _ in self._rows.scan(prefix)]
        own = self.place(customer)
        # One that identity never named has no row; one that moved shows its own until its owner is published.
        return members if own in members or (members and own.owner != customer) else [own, *members]
