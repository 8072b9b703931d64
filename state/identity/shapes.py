"""Small customers, decided by their shape: what the rules make of two or three identifiers depends on little of them.

Of a few identifiers that are linked to nobody else, and without orders, the partition depends on their kinds, on which
were shown together in which grade, and, where two are of one kind, on which was named first. Nearly all evidence is
about such customers, and their shapes are few. So each shape is put to the rules once (`partition`: the whole at once),
and what came of it is remembered. That takes a tenth of recomputing what a pair touches.

Whatever takes more than the shape is left to `recomputation`: what is shared, since its candidates go by fragment ids;
vetoes, and two values of a unique kind; orders; a tie that plain values break; customers of many identifiers.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from schemas.identifiers import Identifier
from schemas.identity_policy import Grade, Policy
from schemas.messages import SealedIdentifier
from schemas.roles import HOME, SHARED
from schemas.rows import LinkRow
from state.identity.bounded_cache import BoundedCache
from state.identity.evidence import Sighting
from state.identity.kinds import KindOrder
from state.identity.link_rows import LinkRows
from state.identity.partition import partition
from state.identity.placement import Placement, Stage
from state.identity.recomputation import Decisions
from state.identity.touched import ChangedPair

#: Identifiers of a customer that is decided by its shape: those of larger ones seldom come again.
MEMBERS_MAX: Final = 6
#: Shapes that are remembered: about 1 KB each.
SHAPES_MAX: Final = 4_096

#: The identifiers' kinds, each followed by places and grades of its links to those after it; then, where two are of one
#: kind, the places in the order in which they were formed.
Shape: TypeAlias = tuple[str | int, ...]


class Seat(NamedTuple):
    """The placement of one identifier of a shape; the owner is a place in the shape."""

    state: str
    owner: int
    grade: int
    stage: Stage
    #: How many stage 1 joined with it, itself included; 0 where stage 2 placed it.
    joined: int


class _Customer(NamedTuple):
    """All that is linked with somebody: identifiers by their places, and their rows in that order."""

    places: dict[str, int]
    rows: list[LinkRow]
    #: Without the order of forming.
    shape: list[str | int]


class Shapes:
    """Decides small customers by one policy, over the graph of the rows."""

    def __init__(self, links: LinkRows, policy: Policy) -> None:
        self._links = links
        self._policy = policy
        self._kinds = KindOrder(policy)
        # In a tuple, since a cache says None of what it does not hold.
        self._seats: BoundedCache[Shape, tuple[tuple[Seat, ...] | None]] = BoundedCache(SHAPES_MAX)

    def decide(self, changed: Sequence[ChangedPair]) -> Decisions | None:
        """Place what pairs with new evidence touch; None where that takes more than the shape.

        What was placed before has to be what the rules made of the evidence before: no repair may be under way.

        1. Walk to all that the first pair is linked with.
        2. Seat them as anybody of their shape.
        3. Say who is placed otherwise than before, and how large the clusters are in which links may have joined.
        """
        # 1. Walk.
        customer = self._walk(changed[0])
        if customer is None:
            return None
        # 2. Seat.
        places, rows, shape = customer
        members = list(places)
        seats = self._seated(shape, members, rows)
        if seats is None:
            return None
        # 3. Say.
        placements: dict[str, Placement] = {}
        hidden = self._links.orders.present
        for fragment, row, seat in zip(members, rows, seats, strict=True):
            state, place, grade, stage, _ = seat
            if hidden and state == HOME and self._links.seen(fragment) != grade:
                return None
            owner = members[place]
            if row.grade != grade or row.owner != owner or row.state != state or row.stage != stage:
                placements[fragment] = Placement(state, owner, grade, stage)
        clusters: dict[str, int] = {}
        for one, other, grade in changed:
            if one not in places or other not in places:
                return None
            if grade >= Grade.LOGIN and self.may_join(rows[places[one]].kind, rows[places[other]].kind):
                # Nothing joins the two where the source is split off, but each is joined again with others.
                for seat in (seats[places[one]], seats[places[other]]):
                    if seat.joined:
                        clusters[members[seat.owner]] = seat.joined
        return Decisions(placements, [], clusters) if len(clusters) < 2 else None

    def of_strangers(self, one: SealedIdentifier, other: SealedIdentifier, grade: int) -> tuple[Seat, ...] | None:
        """Where the rules put two that were never named before, if that is remembered and takes only the shape."""
        shape: Shape = one.kind, 1, grade, other.kind
        if one.kind == other.kind:
            plain = self._links.unseal
            in_order = plain(one.sealed, one.fragment) < plain(other.sealed, other.fragment)
            shape += (0, 1) if in_order else (1, 0)
        remembered = self._seats.get(shape)
        return None if remembered is None else remembered[0]

    def may_join(self, kind: str, other: str) -> bool:
        """Whether links between identifiers of these kinds may join customers."""
        return self._kinds.identifying(kind) and self._kinds.identifying(other)

    def _walk(self, start: ChangedPair) -> _Customer | None:
        few_links, row_of = self._links.few_links, self._links.row
        places = {start.one: 0, start.other: 1}
        members = [start.one, start.other]
        rows: list[LinkRow] = []
        shape: list[str | int] = []
        for place, fragment in enumerate(members):
            row = row_of(fragment)
            if row is None or row.ordered or row.state == SHARED:
                return None
            links = few_links(fragment)
            if links is None:
                return None
            rows.append(row)
            shape.append(row.kind)
            for link in links:
                there = places.get(link.neighbour)
                if there is None:
                    there = places[link.neighbour] = len(members)
                    if there == MEMBERS_MAX:
                        return None
                    members.append(link.neighbour)
                if there > place:
                    shape += there, link.grade
        return _Customer(places, rows, shape)

    def _seated(self, shape: list[str | int], members: list[str], rows: list[LinkRow]) -> tuple[Seat, ...] | None:
        """Where the rules put each; None where that takes more than the shape."""
        order: Sequence[int] = range(len(rows))
        if len({row.kind for row in rows}) < len(rows):
            order = self._formed_order(members, rows)
            shape += order
        key = tuple(shape)
        remembered = self._seats.get(key)
        if remembered is None:
            remembered = (self._seat(members, rows, order),)
            self._seats.put(key, remembered)
        return remembered[0]

    def _formed_order(self, members: list[str], rows: list[LinkRow]) -> list[int]:
        """All places, those of one kind by who was named first, ties by plain values."""
        if len({(row.kind, row.formed) for row in rows}) == len(rows):
            return sorted(range(len(rows)), key=lambda place: rows[place].formed)
        return sorted(range(len(rows)), key=lambda place: (rows[place].formed, self._links.identifier(members[place])))

    def _seat(self, members: list[str], rows: list[LinkRow], order: Sequence[int]) -> tuple[Seat, ...] | None:
        unique = [row.kind for row in rows if self._kinds.kind(row.kind).unique]
        if len(set(unique)) < len(unique):
            return None
        # Values decide nothing where no two are formed at once, and times nothing where no link is vetoed.
        identifiers = {fragment: Identifier(row.kind, "") for fragment, row in zip(members, rows, strict=True)}
        formed = {members[place]: rank for rank, place in enumerate(order)}
        evidence = [
            Sighting(fragment, link.neighbour, "", link.grade, 0, "")
            for fragment in members
            for link in self._links.links(fragment)
        ]
        whole = partition(identifiers, formed, evidence, (), self._policy)
        placed = [whole.placements[fragment] for fragment in members]
        if whole.vetoed or any(place.state == SHARED or place.stage == Stage.APART for place in placed):
            return None
        joined = Counter(place.owner for place in placed if place.joined)
        return tuple(
            Seat(
                place.state,
                members.index(place.owner),
                place.grade,
                place.stage,
                joined[place.owner] if place.joined else 0,
            )
            for place in placed
        )
