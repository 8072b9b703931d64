"""Customers as the copy has them: their members with kind, plain value and grade, for whoever decides about them.

Hidden kinds are counted and never shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from connectors.admin.layout import members_prefix
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM, Identifier
from schemas.identity_policy import Grade, Policy
from schemas.keys import Keyring
from schemas.roles import HOME, SHARED
from schemas.rows import LINK_ROW_PREFIX, LinkRow, RowDecoder, evidence_prefix, link_row_key, split_evidence_key
from state.engine import Rows

#: Members of a customer that are shown; all are counted.
MEMBERS_SHOWN_MAX: Final = 100
#: Customers that one answer shows, before and after each; all are counted.
CUSTOMERS_SHOWN_MAX: Final = 50
#: Fragments that the customers around an order are looked for from: an order for a crowd has an answer, too.
AROUND_MAX: Final = 1_000
#: The kind of an identifier of which nothing is left but its fragment id.
UNKNOWN: Final = "unknown"
_LINK_ROW: Final = RowDecoder(LinkRow)


class ShownIdentifier(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier for people."""

    kind: str
    #: None of a kind that is never shown, and of one that no row is left of.
    value: str | None = None
    namespace: str | None = None
    realm: str | None = None


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier of a customer."""

    kind: str
    value: str
    #: home, joined, attached or shared.
    role: str
    #: That of the weakest link to the home; of a home itself, the best that named it. None where no evidence did.
    grade: str | None = None
    namespace: str | None = None
    realm: str | None = None


class Customer(msgspec.Struct, frozen=True):
    """A customer, or a shared identifier, which is nobody's and stands alone."""

    customer: str
    #: All of its identifiers, those that are not shown included.
    identifiers: int
    members: tuple[Member, ...]


class Places:
    """Where identifiers are, by the copy and, laid over it, rows that are not in it.

    Args:
        rows: The copy.
        keyring: Unseals identifiers.
        policy: Says which kinds are hidden.
        laid_over: Rows of fragments as they would be, by their keys.
        named: Identifiers that the question named, by their fragments: identity may never have met them.
    """

    def __init__(
        self,
        rows: Rows,
        keyring: Keyring,
        policy: Policy,
        *,
        laid_over: Mapping[bytes, bytes | None] | None = None,
        named: Mapping[str, Identifier] | None = None,
    ) -> None:
        self._rows = rows
        self._keyring = keyring
        self._policy = policy
        self._named = dict(named or {})
        self._over: dict[str, LinkRow | None] = {}
        self._over_members: defaultdict[str, list[str]] = defaultdict(list)
        for key, value in (laid_over or {}).items():
            fragment = key.removeprefix(LINK_ROW_PREFIX).decode()
            row = self._over[fragment] = None if value is None else _LINK_ROW.decode(value)
            if row is not None and row.state:
                self._over_members[row.owner].append(fragment)

    def row(self, fragment: str) -> LinkRow | None:
        """The fragment's row, or None when identity has not met it."""
        if fragment in self._over:
            return self._over[fragment]
        value = self._rows.get(link_row_key(fragment))
        return None if value is None else _LINK_ROW.decode(value)

    def owner(self, fragment: str) -> str:
        """The customer that the fragment is in; one that identity never named is its own."""
        row = self.row(fragment)
        return fragment if row is None or not row.state else row.owner

    def is_shared(self, fragment: str) -> bool:
        """Whether the fragment's identifier is nobody's."""
        row = self.row(fragment)
        return row is not None and row.state == SHARED

    def together(self, one: str, other: str) -> bool:
        """Whether the two are in one customer."""
        return self.owner(one) == self.owner(other)

    def shown(self, fragment: str) -> ShownIdentifier:
        """The fragment's identifier for people."""
        identifier = self._identifier(fragment)
        if identifier is None:
            return ShownIdentifier(UNKNOWN)
        if self._policy.kind(identifier.kind).hidden:
            return ShownIdentifier(identifier.kind)
        return shown_identifier(identifier)

    def members(self, customer: str) -> list[str]:
        """The fragments of a customer, in the order of their ids."""
        prefix = members_prefix(customer)
        stored = (key.removeprefix(prefix).decode() for key, _ in self._rows.scan(prefix))
        stay = {fragment for fragment in stored if self.owner(fragment) == customer}
        return sorted(stay.union(self._over_members.get(customer, ())))

    def customer(self, customer: str) -> Customer:
        """The customer with its members, its home first."""
        fragments = self.members(customer) or [customer]
        members = sorted(
            (member for fragment in fragments if (member := self._member(fragment)) is not None), key=self._precedence
        )
        return Customer(customer, len(fragments), tuple(members[:MEMBERS_SHOWN_MAX]))

    def around(self, fragments: Iterable[str]) -> set[str]:
        """Every fragment of the customers of these and of their direct neighbours, as far as AROUND_MAX."""
        found: dict[str, None] = {}
        for fragment in fragments:
            found[fragment] = None
            for member in self.members(self.owner(fragment))[:AROUND_MAX]:
                found[member] = None
        for fragment in list(found):
            for key, _ in self._rows.scan(evidence_prefix(fragment)):
                if len(found) >= AROUND_MAX:
                    return set(found)
                found[split_evidence_key(key)[1]] = None
        return set(found)

    def _member(self, fragment: str) -> Member | None:
        plain = self.shown(fragment)
        if plain.value is None:
            return None
        row = self.row(fragment)
        grade = Grade(row.grade).label if row is not None and row.grade else None
        role = HOME if row is None or not row.state else row.state
        return Member(plain.kind, plain.value, role, grade, plain.namespace, plain.realm)

    def _identifier(self, fragment: str) -> Identifier | None:
        row = self.row(fragment)
        return self._named.get(fragment) if row is None else self._keyring.unseal(row.sealed, fragment)

    def _precedence(self, member: Member) -> tuple[bool, int, str]:
        return member.role not in (HOME, SHARED), self._policy.position(member.kind), member.value


class Moves(msgspec.Struct, frozen=True):
    """The customers that a change touches, as they were and as they are."""

    before: tuple[Customer, ...]
    after: tuple[Customer, ...]
    #: How many customers there were and are; more than are shown, where they are very many.
    customers_before: int
    customers_after: int
    #: How many identifiers changed their customer or their role.
    identifiers_moved: int
    #: How many shared identifiers, which are nobody's, are listed beside the customers.
    shared_before: int = 0
    shared_after: int = 0


def moves(before: Places, after: Places, fragments: Iterable[str]) -> Moves:
    """What became of the customers of these fragments.

    Args:
        before: places before the change.
        after: places after it.
        fragments: all that may have moved.
    """
    fragments = list(fragments)
    moved = [fragment for fragment in fragments if _where(before, fragment) != _where(after, fragment)]
    were = sorted({before.owner(fragment) for fragment in moved})
    are = sorted({after.owner(fragment) for fragment in moved} | {after.owner(customer) for customer in were})
    were = sorted({*were, *(before.owner(customer) for customer in are)})
    shared_before, shared_after = sum(map(before.is_shared, were)), sum(map(after.is_shared, are))
    return Moves(
        tuple(before.customer(customer) for customer in were[:CUSTOMERS_SHOWN_MAX]),
        tuple(after.customer(customer) for customer in are[:CUSTOMERS_SHOWN_MAX]),
        len(were) - shared_before,
        len(are) - shared_after,
        len(moved),
        shared_before,
        shared_after,
    )


def shown_identifier(identifier: Identifier) -> ShownIdentifier:
    """An identifier for people; what is the default is left out."""
    return ShownIdentifier(
        identifier.kind,
        identifier.value,
        None if identifier.namespace == DEFAULT_NAMESPACE else identifier.namespace,
        None if identifier.realm == DEFAULT_REALM else identifier.realm,
    )


def _where(places: Places, fragment: str) -> tuple[str, str]:
    row = places.row(fragment)
    return places.owner(fragment), HOME if row is None or not row.state else row.state
