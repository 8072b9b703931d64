"""Who is who: all identifiers put into customers at once, from all evidence and all orders that hold.

The two stages of the identity rules, written down literally; nothing here is incremental or fast.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, NamedTuple

from bench.oracle.kinds import CLAIMED, IDENTIFYING, LOGIN, MEDIUM, RECORD, Identifier, row
from bench.oracle.orders import Pair, Standing
from bench.oracle.reading import PlainEvent

_IDENTIFIERS_TOGETHER_MAX: Final = 100
#: How a pair is known: claimed, by login or better, by an order.
_REQUIRED: Final = 3
_FIRM: Final = 2
_SAID: Final = 1


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
    #: The group of its kind with which an identifier was placed as a whole, if it was.
    groups: dict[Identifier, frozenset[Identifier]] = field(default_factory=dict)

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


def partition(identifiers: Iterable[Identifier], links: Iterable[Link], orders: Standing | None = None) -> Partition:
    """Every identifier in a customer, or shared.

    Args:
        identifiers: all that events named, whether or not anything links them.
        links: all evidence.
        orders: what operators and systems of record say, as far as it holds.
    """
    return _Parting(identifiers, list(links), orders or Standing()).result


class _Parting:
    """One partition in the making."""

    def __init__(self, identifiers: Iterable[Identifier], links: list[Link], orders: Standing) -> None:
        named = {end for pair in (*orders.requires, *orders.forbids) for end in pair}
        self.everyone = set(identifiers) | {end for link in links for end in link[:2]} | named
        self.orders = orders
        self.enemies = orders.enemies()
        # What is forbidden, withdrawn or of one that stands alone links nothing.
        self.links = [
            link for link in links if frozenset(link[:2]) not in orders.forbids and orders.counts(link.source, link[:2])
        ]
        self.known: dict[Identifier, dict[Identifier, int]] = defaultdict(dict)
        neighbours: dict[Identifier, dict[Identifier, int]] = defaultdict(dict)
        for one, other, grade, how in self._all_links():
            for here, there in ((one, other), (other, one)):
                neighbours[here][there] = max(grade, neighbours[here].get(there, 0))
                self.known[here][there] = max(how, self.known[here].get(there, 0))
        self.result = Partition([], set(), dict(neighbours))
        self.united = self._united()
        self._stage_one()
        self._stage_two()

    def _all_links(self) -> Iterator[tuple[Identifier, Identifier, int, int]]:
        for link in self.links:
            yield link.one, link.other, link.grade, _SAID if link.grade == CLAIMED else _FIRM
        for pair in self.orders.requires:
            one, other = sorted(pair)
            yield one, other, RECORD, _REQUIRED

    # Stage 1: identifying kinds.

    def _stage_one(self) -> None:
        """What is shared by its links, then one link after the other unless something speaks against it."""
        firm = [link for link in self.links if link.grade >= LOGIN and _all_identifying(link[:2])]
        required = self._identifying_requires()
        pairs = {frozenset(link[:2]) for link in firm} | set(required)
        around: dict[tuple[Identifier, str], set[Identifier]] = defaultdict(set)
        for pair in pairs:
            one, other = pair
            around[one, other.kind].add(other)
            around[other, one.kind].add(one)
        for (identifier, kind), others in around.items():
            too_many = 0 < row(identifier.kind).limit < len(others)
            of_several = row(kind).unique and len({self.united.get(other, other) for other in others}) > 1
            if too_many or of_several:
                self.result.shared.add(identifier)
        self.result.shared |= {one for one in self.everyone if _identifying(one) and self._is_claimed_by_too_many(one)}
        together = {one: {one} for one in self.everyone if _identifying(one)}
        in_order = [tuple(sorted(pair)) for pair in required]
        in_order += [link[:2] for link in sorted(firm, key=_link_order) if frozenset(link[:2]) not in required]
        for one, other in in_order:
            if one in self.result.shared or other in self.result.shared or together[one] is together[other]:
                continue
            left, right = together[one], together[other]
            if len(left) + len(right) <= _IDENTIFIERS_TOGETHER_MAX and not self._at_odds(left, right):
                both = left | right
                together.update(dict.fromkeys(both, both))
        for group in {id(group): group for group in together.values()}.values():
            if len(group) > 1:
                self.result.customers.append(Customer(set(group), set(group)))

    def _is_claimed_by_too_many(self, identifier: Identifier) -> bool:
        """Whether nothing but claims links it, and they link it to many that are more than a browser or a device."""
        around = self.known.get(identifier, {})
        limit = row(identifier.kind).claimed
        if not 0 < limit < len(around) or max(around.values()) > _SAID:
            return False
        kinds = Counter(other.kind for other in around if row(other.kind).strength >= MEDIUM)
        return any(number > limit for number in kinds.values())

    def _identifying_requires(self) -> list[Pair]:
        """Pairs that orders unite: an operator's word first, then the stronger kinds, then the older order."""
        pairs = [pair for pair in self.orders.requires if _all_identifying(pair)]
        return sorted(pairs, key=lambda pair: _require_order(pair, self.orders))

    def _united(self) -> dict[Identifier, Identifier]:
        """For each identifier that orders unite with others, one that stands for all of them."""
        together: dict[Identifier, set[Identifier]] = {}
        for one, other in map(sorted, self._identifying_requires()):
            left, right = together.get(one, {one}), together.get(other, {other})
            if left is not right and not self._kept_apart(left, right):
                both = left | right
                together.update(dict.fromkeys(both, both))
        return {one: min(group) for one, group in together.items()}

    def _at_odds(self, left: set[Identifier], right: set[Identifier]) -> bool:
        """Whether a forbid, or two values of a unique kind that no order unites, keep the two apart."""
        uniques: dict[str, set[Identifier]] = defaultdict(set)
        for one in (*left, *right):
            if row(one.kind).unique:
                uniques[one.kind].add(self.united.get(one, one))
        return self._kept_apart(left, right) or any(len(values) > 1 for values in uniques.values())

    def _kept_apart(self, left: Iterable[Identifier], right: set[Identifier]) -> bool:
        return any(self.enemies.get(one, set()) & right for one in left)

    # Stage 2: kind by kind from strong to weak, what is not joined yet.

    def _stage_two(self) -> None:
        for place, kind in sorted({(row(one.kind).place, one.kind) for one in self.everyone}):
            placed = self.result.customer_of()
            waiting = {one for one in self.everyone if one.kind == kind} - set(placed) - self.result.shared
            views = {one: self._points_at(one, place, placed) for one in sorted(waiting)}
            groups = self._linked_groups(waiting)
            wholes = {one: self._whole_goal(group, views) for group in groups for one in group}
            moves: list[tuple[set[Identifier], Customer]] = []
            for group in groups:
                moves += self._place(group, views, wholes)
            for some, customer in moves:
                customer.members |= some

    def _place(
        self,
        group: set[Identifier],
        views: dict[Identifier, list[Customer] | None],
        wholes: dict[Identifier, list[Customer] | None],
    ) -> list[tuple[set[Identifier], Customer]]:
        """Where a group goes, as a whole or each by itself; whatever starts a customer of its own is one at once."""

        def is_free(one: Identifier, goal: Customer, own: set[Identifier]) -> bool:
            """Whether nobody whom it must not meet may come to the same customer in the same breath."""
            rivals = self.enemies.get(one, set()) & wholes.keys() - own
            return not any(goal in (wholes[rival] or []) or views[rival] == [goal] for rival in rivals)

        goals = wholes[min(group)]
        if goals is not None and all(is_free(one, goal, group) for goal in goals for one in group):
            self.result.groups.update(dict.fromkeys(group, frozenset(group)))
            if goals:
                return [(group, goals[0])]
            self.result.customers.append(Customer(set(group)))
            return []
        moves: list[tuple[set[Identifier], Customer]] = []
        for one in sorted(group):
            view = views[one]
            if view is None or len(view) > 1:
                self.result.shared.add(one)
            elif view and is_free(one, view[0], {one}):
                moves.append(({one}, view[0]))
            else:
                self.result.customers.append(Customer({one}))
        return moves

    def _points_at(
        self, identifier: Identifier, place: int, placed: dict[Identifier, Customer]
    ) -> list[Customer] | None:
        """The customers of the stronger neighbours that count; None where too many customers claim the identifier.

        Of neighbours only those known best count; a customer with somebody whom it must not meet is none of them.
        """
        by_strength: dict[int, dict[int, Customer]] = defaultdict(dict)
        for other, how in self.known.get(identifier, {}).items():
            if row(other.kind).place < place and other in placed:
                customer = placed[other]
                if not self._kept_apart([identifier], customer.members):
                    by_strength[how][id(customer)] = customer
        if not by_strength:
            return []
        best = max(by_strength)
        if best < _REQUIRED and 0 < row(identifier.kind).limit < len(by_strength[_SAID]):
            return None
        return list(by_strength[best].values())

    def _whole_goal(
        self, group: set[Identifier], views: dict[Identifier, list[Customer] | None]
    ) -> list[Customer] | None:
        """The one customer that a group may go to as a whole, or none; None where it may not stay together."""
        all_of_them: dict[int, Customer] = {}
        for one in group:
            view = views[one]
            if view is None:
                return None
            all_of_them |= {id(customer): customer for customer in view}
        if len(group) > _IDENTIFIERS_TOGETHER_MAX or len(all_of_them) > 1 or self._kept_apart(group, group):
            return None
        goals = list(all_of_them.values())
        return None if goals and self._kept_apart(group, goals[0].members) else goals

    def _linked_groups(self, waiting: set[Identifier]) -> list[set[Identifier]]:
        """Identifiers of one kind that are linked; of a unique kind each by itself, as a claim joins no two persons."""
        groups = []
        left = set(waiting)
        while left:
            group, edge = set(), {min(left)}
            while edge:
                one = edge.pop()
                group.add(one)
                if not row(one.kind).unique:
                    edge |= (set(self.known.get(one, {})) & waiting) - group
            left -= group
            groups.append(group)
        return groups


def _require_order(pair: Pair, orders: Standing) -> tuple[object, ...]:
    order, ends = orders.requires[pair], _strongest_first(pair)
    places = tuple(row(end.kind).place for end in ends)
    return (not order.operator, places, order.time, order.source, order.id, *ends)


def _link_order(link: Link) -> tuple[object, ...]:
    ends = _strongest_first(link[:2])
    places = tuple(row(end.kind).place for end in ends)
    return (-link.grade, places, link.time, link.source, link.id, *ends)


def _strongest_first(pair: Iterable[Identifier]) -> list[Identifier]:
    return sorted(pair, key=lambda end: (row(end.kind).place, end))


def _all_identifying(pair: Iterable[Identifier]) -> bool:
    return all(_identifying(end) for end in pair)


def _identifying(identifier: Identifier) -> bool:
    return row(identifier.kind).strength == IDENTIFYING
