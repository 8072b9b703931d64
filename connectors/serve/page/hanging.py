"""How a customer's identifiers hang together: who is in it, in which role, and which links tie them.

Identifiers are the context's own; links are the evidence that touches them, by pair. At the other end may be an
identifier that several people use, which is named, or one of another customer, whose value is not shown. What
identity never shows (hidden kinds) is left out.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from connectors.serve.finding import Finder
from connectors.serve.layout import LookupRows, link_key
from connectors.serve.page.words import ELSEWHERE, plain, span_of_last_sight
from schemas.document import ContextDocument, ShownIdentifier
from schemas.errors import SecretError
from schemas.identifiers import DEFAULT_NAMESPACE, Identifier
from schemas.identity_policy import Grade, Policy
from schemas.keys import Keyring
from schemas.roles import ATTACHED, HOME, JOINED, SHARED
from schemas.rows import EvidenceRow, LinkRow, RowDecoder, evidence_prefix, split_evidence_key
from schemas.times import format_time

#: Identifiers that are shown of a customer, and those at the other ends of its links.
MEMBERS_MAX: Final = 40
OTHERS_MAX: Final = 12
LINKS_MAX: Final = 120
#: Rows of evidence read for one identifier, best grades first: a kiosk's cookie has very many.
EVIDENCE_ROWS_MAX: Final = 300
_ROLES: Final = (HOME, JOINED, ATTACHED, SHARED, ELSEWHERE)
_LINK_ROW: Final = RowDecoder(LinkRow)
_EVIDENCE_ROW: Final = RowDecoder(EvidenceRow)


@dataclass(frozen=True)
class Member:
    """An identifier of the customer, or one at the other end of a link."""

    fragment: str
    kind: str
    #: Empty for one of another customer.
    value: str
    role: str
    #: The weakest link on the way to the home; empty where it is not the customer's.
    grade: str
    first: str | None = None
    last: str | None = None
    namespace: str = ""
    #: The customer that it belongs to, where that is another one.
    customer: str | None = None


class Link(NamedTuple):
    """What ties two identifiers: they were seen together in an event."""

    one: int
    other: int
    grade: str
    sources: tuple[str, ...]
    #: First sight, RFC 3339, and the span of the last one in words.
    first: str
    last: str


@dataclass(frozen=True)
class Hanging:
    """Identifiers in the order of their roles, links as pairs of their places, and how many are not shown."""

    members: tuple[Member, ...]
    links: tuple[Link, ...]
    members_left_out: int = 0
    links_left_out: int = 0


class _Pair:
    """All evidence of one pair."""

    def __init__(self) -> None:
        self.grade = Grade.CLAIMED
        self.sources: set[str] = set()
        self.first: int | None = None
        self.last = 0

    def add(self, grade: Grade, source: str, row: EvidenceRow) -> None:
        self.grade = max(self.grade, grade)
        self.sources.add(plain(source))
        self.first = row.first_time if self.first is None else min(self.first, row.first_time)
        self.last = max(self.last, row.last)


class Links:
    """Reads how identifiers hang together from the lookup's copy."""

    def __init__(self, rows: LookupRows, finder: Finder, keyring: Keyring, policy: Policy) -> None:
        self._rows = rows
        self._finder = finder
        self._keyring = keyring
        self._policy = policy

    def of(self, document: ContextDocument, now_us: int) -> Hanging:
        """How the identifiers of the context hang together.

        1. The context's identifiers. 2. All evidence that touches them, by pair. 3. Who is at the other ends.
        """
        # 1. The context's identifiers.
        shown = sorted(document.identifiers, key=lambda one: _ROLES.index(one.role))
        members = {member.fragment: member for member in (self._member(one, document.realm) for one in shown)}
        kept = dict(list(members.items())[:MEMBERS_MAX])
        # 2. All evidence that touches them, by pair.
        pairs: dict[tuple[str, str], _Pair] = {}
        for fragment in kept:
            self._collect(fragment, pairs)
        # 3. Who is at the other ends.
        ends = {fragment for pair in pairs for fragment in pair} - members.keys()
        others = [other for other in map(self._other, sorted(ends)) if other is not None]
        others.sort(key=lambda other: (_ROLES.index(other.role), other.kind, other.value))
        kept |= {other.fragment: other for other in others[:OTHERS_MAX]}
        places = {fragment: place for place, fragment in enumerate(kept)}
        links = _links(pairs, places, now_us)
        left_out = len(members) + len(others) - len(kept)
        return Hanging(tuple(kept.values()), tuple(links[:LINKS_MAX]), left_out, max(0, len(links) - LINKS_MAX))

    def _member(self, shown: ShownIdentifier, realm: str) -> Member:
        namespace = shown.namespace or DEFAULT_NAMESPACE
        identifier = Identifier(shown.kind, shown.value, namespace, realm)
        return Member(
            self._keyring.fragment_id(identifier),
            plain(shown.kind),
            plain(shown.value),
            shown.role,
            shown.grade,
            shown.first,
            shown.last,
            plain(shown.namespace or ""),
        )

    def _collect(self, fragment: str, pairs: dict[tuple[str, str], _Pair]) -> None:
        for read, (key, value) in enumerate(self._rows.scan(evidence_prefix(fragment))):
            if read >= EVIDENCE_ROWS_MAX:
                return
            row = _EVIDENCE_ROW.decode(value)
            if self._policy.kind(row.neighbour_kind).hidden:
                continue
            _, neighbour, grade, source = split_evidence_key(key)
            pair = (min(fragment, neighbour), max(fragment, neighbour))
            pairs.setdefault(pair, _Pair()).add(Grade(grade), source, row)

    def _other(self, fragment: str) -> Member | None:
        """One at the other end of a link; None while identity has not placed it."""
        encoded = self._rows.get(link_key(fragment))
        if encoded is None:
            return None
        row = _LINK_ROW.decode(encoded)
        # Evidence has named both ends of a link, so there is a first sight.
        seen = row.first or 0
        first, last = format_time(seen), format_time(max(seen, row.last or 0))
        if row.state != SHARED:
            place = self._finder.place(fragment)
            return Member(fragment, plain(row.kind), "", ELSEWHERE, "", first, last, customer=place.owner)
        try:
            value = self._keyring.unseal(row.sealed, fragment).value
        except SecretError:
            return None
        return Member(fragment, plain(row.kind), plain(value), SHARED, "", first, last)


def _links(pairs: dict[tuple[str, str], _Pair], places: dict[str, int], now_us: int) -> list[Link]:
    """The links between those that are shown, the surest first."""
    links = []
    for (one, other), pair in pairs.items():
        if one in places and other in places:
            first, second = sorted((places[one], places[other]))
            seen = pair.first or 0
            sources = tuple(sorted(pair.sources))
            last = span_of_last_sight(pair.last, seen, now_us)
            links.append(Link(first, second, pair.grade.label, sources, format_time(seen), last))
    return sorted(links, key=lambda link: (-Grade.of(link.grade), link.one, link.other))
