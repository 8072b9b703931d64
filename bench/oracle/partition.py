"""Who is who: all identifiers put into customers at once, from all evidence.

The two stages of the identity rules, written down literally; nothing here is incremental or fast.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, NamedTuple

from bench.oracle.kinds import CLAIMED, IDENTIFYING, LOGIN, Identifier, row
from bench.oracle.reading import PlainEvent

_IDENTIFIERS_TOGETHER_MAX: Final = 100
Pair = tuple[Identifier, Identifier]


class Link(NamedTuple):
    """Two identifiers that one event showed together."""

    one: Identifier
    other: Identifier
    grade: int
    time: int
    source: str
    id: str


@dataclass(eq=False)
class Customer:
    """Identifiers that belong together."""

    members: set[Identifier]
    #: Those that stage 1 joined; empty where no identifying link made this customer.
    joined: set[Identifier] = field(default_factory=set)

    def possible_homes(self) -> list[Identifier]:
        """The members of the strongest kind. Which of them is the home depends on which was named first."""
        best = min(row(member.kind).place for member in self.members)
        strongest = sorted(member for member in self.members if row(member.kind).place == best)
        # A customer made by stage 1 is named after what was joined; who joined later by a claim stands behind.
        return [member for member in strongest if member in self.joined] or strongest

    def resting(self, home: Identifier) -> set[Identifier]:
        """What the customer rests on: its joined identifying members, else its home."""
        return self.joined or {home}


@dataclass
class Partition:
    """All customers, what is shared, and the best grade of each pair."""

    customers: list[Customer]
    shared: set[Identifier]
    neighbours: dict[Identifier, dict[Identifier, int]]

    def customer_of(self) -> dict[Identifier, Customer]:
        """Each identifier that belongs to somebody, and to whom."""
        return {member: customer for customer in self.customers for member in customer.members}


def links_of(events: Iterable[PlainEvent]) -> list[Link]:
    """All pairs of each event's identifiers."""
    return [
        Link(*pair, event.grade, event.time, event.source, event.id)
        for event in events
        if event.link
        for pair in combinations(event.identifiers, 2)
    ]


def partition(
    identifiers: Iterable[Identifier],
    links: Iterable[Link],
    requires: Iterable[Pair] = (),
    forbids: Iterable[Pair] = (),
) -> Partition:
    """Every identifier in a customer, or shared.

    Args:
        identifiers: all that events named, whether or not anything links them.
        links: all evidence.
        requires: pairs that an order unites.
        forbids: pairs that an order keeps apart.
    """
    links, requires, forbids = list(links), list(requires), list(forbids)
    everyone = set(identifiers) | {end for link in links for end in link[:2]} | {e for pair in requires for e in pair}
    neighbours: dict[Identifier, dict[Identifier, int]] = defaultdict(dict)
    for link in links:
        for one, other in ((link.one, link.other), (link.other, link.one)):
            neighbours[one][other] = max(link.grade, neighbours[one].get(other, 0))
    result = Partition([], set(), dict(neighbours))
    _stage_one(result, everyone, links, requires, forbids)
    _stage_two(result, everyone, forbids)
    return result


def _stage_one(
    result: Partition, everyone: set[Identifier], links: list[Link], requires: list[Pair], forbids: list[Pair]
) -> None:
    """Identifying kinds: what is shared by its links, then one link after the other unless something speaks against."""
    firm = [link for link in links if link.grade >= LOGIN and all(_identifying(end) for end in link[:2])]
    united = _united(requires)
    around: dict[tuple[Identifier, str], set[Identifier]] = defaultdict(set)
    for link in firm:
        around[link.one, link.other.kind].add(link.other)
        around[link.other, link.one.kind].add(link.one)
    for (identifier, kind), others in around.items():
        too_many = 0 < row(identifier.kind).limit < len(others)
        of_several = row(kind).unique and len({united.get(other, other) for other in others}) > 1
        if too_many or of_several:
            result.shared.add(identifier)
    together = {identifier: {identifier} for identifier in everyone if _identifying(identifier)}
    pairs = [(min(pair), max(pair)) for pair in requires]
    in_order = sorted(pairs) + [(link.one, link.other) for link in sorted(firm, key=_link_order)]
    for one, other in in_order:
        if one in result.shared or other in result.shared or together[one] is together[other]:
            continue
        both = together[one] | together[other]
        if len(both) <= _IDENTIFIERS_TOGETHER_MAX and not _several_of_unique(both, united) and not _kept(both, forbids):
            for member in both:
                together[member] = both
    for group in {id(group): group for group in together.values()}.values():
        if len(group) > 1:
            result.customers.append(Customer(set(group), set(group)))


def _stage_two(result: Partition, everyone: set[Identifier], forbids: list[Pair]) -> None:
    """Kind by kind from strong to weak: each goes where its stronger neighbours are, if that is one place."""
    placed = result.customer_of()
    for place, kind in sorted({(row(one.kind).place, one.kind) for one in everyone}):
        waiting = {one for one in everyone if one.kind == kind} - set(placed) - result.shared
        for group in _linked_groups(waiting, result):
            views = {one: _points_at(one, place, result, placed) for one in group}
            all_of_them = {id(customer): customer for here, _ in views.values() for customer in here}
            as_a_whole = len(all_of_them) <= 1 and not any(over for _, over in views.values())
            for some in [group] if as_a_whole else [{one} for one in sorted(group)]:
                here = list(all_of_them.values()) if as_a_whole else views[min(some)][0]
                over = not as_a_whole and views[min(some)][1]
                if over or len(here) > 1:
                    result.shared |= some
                elif here and not _kept(here[0].members | some, forbids):
                    here[0].members |= some
                else:
                    result.customers.append(Customer(set(some)))
        placed = result.customer_of()


def _points_at(
    identifier: Identifier, place: int, result: Partition, placed: dict[Identifier, Customer]
) -> tuple[list[Customer], bool]:
    """The customers of the stronger neighbours that count, and whether too many customers claim the identifier."""
    firm: dict[int, Customer] = {}
    claimed: dict[int, Customer] = {}
    for other, grade in result.neighbours.get(identifier, {}).items():
        if row(other.kind).place < place and other not in result.shared:
            (claimed if grade == CLAIMED else firm)[id(placed[other])] = placed[other]
    limit = row(identifier.kind).limit
    return list((firm or claimed).values()), 0 < limit < len(claimed)


def _linked_groups(waiting: set[Identifier], result: Partition) -> list[set[Identifier]]:
    """Identifiers of one kind that evidence links; of a unique kind each by itself, as a claim joins no two persons."""
    groups = []
    left = set(waiting)
    while left:
        group, edge = set(), {min(left)}
        while edge:
            one = edge.pop()
            group.add(one)
            if not row(one.kind).unique:
                edge |= (set(result.neighbours.get(one, {})) & waiting) - group
        left -= group
        groups.append(group)
    return groups


def _link_order(link: Link) -> tuple[object, ...]:
    places = tuple(sorted((row(link.one.kind).place, row(link.other.kind).place)))
    return (-link.grade, places, link.time, link.source, link.id, *sorted(link[:2]))


def _united(requires: list[Pair]) -> dict[Identifier, Identifier]:
    """For each identifier in an order, one that stands for all that orders unite with it."""
    stands_for: dict[Identifier, Identifier] = {}
    for one, other in requires:
        first, second = stands_for.get(one, one), stands_for.get(other, other)
        stands_for |= {one: first, other: first}
        for member, stand_in in stands_for.items():
            if stand_in == second:
                stands_for[member] = first
    return stands_for


def _several_of_unique(members: set[Identifier], united: dict[Identifier, Identifier]) -> bool:
    of_kind = defaultdict(set)
    for member in members:
        if row(member.kind).unique:
            of_kind[member.kind].add(united.get(member, member))
    return any(len(values) > 1 for values in of_kind.values())


def _kept(members: set[Identifier], forbids: list[Pair]) -> bool:
    return any(one in members and other in members for one, other in forbids)


def _identifying(identifier: Identifier) -> bool:
    return row(identifier.kind).strength == IDENTIFYING
