"""What is known of pairs of identifiers, evidence and orders, and the graph that the rules read it from."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.orders import Authority

#: Formed after everything else: an identifier that only orders have named so far.
UNFORMED: Final = 1 << 62


class Sighting(NamedTuple):
    """Two identifiers that a source showed together, in one grade; the first time it did (least time, then id)."""

    one: str
    other: str
    source: str
    grade: int
    time: int
    id: str


class Order(NamedTuple):
    """A require or a forbid of a pair."""

    one: str
    other: str
    #: Required to be one customer, else forbidden.
    require: bool
    authority: Authority
    time: int
    source: str
    id: str


class Link(NamedTuple):
    """The best that is known of a pair, seen from one of its ends."""

    neighbour: str
    kind: str
    grade: int
    time: int
    source: str
    id: str
    authority: int = Authority.EVIDENCE

    @property
    def proven(self) -> bool:
        """Required, or seen by `login` or better."""
        return self.authority > Authority.EVIDENCE or self.grade >= Grade.LOGIN

    @property
    def precedence(self) -> tuple[int, int, int, str, str]:
        """Of several of one pair, the least stands for the pair."""
        return -self.authority, -self.grade, self.time, self.source, self.id


class Graph(Protocol):
    """Identifiers and the links that stand between them."""

    def identifier(self, fragment: str) -> Identifier:
        """The plain identifier: namespaces tell unique values apart, values break ties."""

    def kind(self, fragment: str) -> str:
        """The identifier's kind."""

    def formed(self, fragment: str) -> int:
        """The offset of the evidence that first named it, or UNFORMED."""

    def seen(self, fragment: str) -> int:
        """The best grade of any evidence that named it; 0 when only orders did."""

    def links(self, fragment: str) -> Iterator[Link]:
        """One link per neighbour, forbidden pairs left out: required ones first, then by grade, then by neighbour."""

    def peers(self, fragment: str) -> Iterator[Link]:
        """Those of its links that lead to identifiers of its own kind."""

    def forbidden(self, fragment: str) -> Collection[str]:
        """Identifiers that must not be in one customer with it."""


def standing_orders(orders: Iterable[Order]) -> dict[tuple[str, str], Order]:
    """Of each pair the order that holds: an operator's before a record's, then the newest by (time, source, id)."""
    standing: dict[tuple[str, str], Order] = {}
    for order in orders:
        pair = (min(order.one, order.other), max(order.one, order.other))
        held = standing.get(pair)
        if held is None or _weight(order) > _weight(held):
            standing[pair] = order
    return standing


def order_weight(authority: int, time: int, source: str, name: str, require: bool) -> tuple[int, int, str, str, bool]:
    """Of the orders of one pair, the one with the greatest weight holds.

    The same order by name that says both things forbids: the safe reading, and one for every order of arrival.
    """
    return authority, time, source, name, not require


def _weight(order: Order) -> tuple[int, int, str, str, bool]:
    return order_weight(order.authority, order.time, order.source, order.id, order.require)


def _is_obeyed(order: Order, split_identifiers: Collection[str], split_sources: Collection[str]) -> bool:
    """An operator's order is; a record's where neither its source nor an end of its pair is split off."""
    if order.authority == Authority.OPERATOR:
        return True
    return order.source not in split_sources and not {order.one, order.other}.intersection(split_identifiers)


class EvidenceGraph:
    """The graph in memory, of all evidence and orders at once.

    Evidence with an identifier that is split off links nothing, though it has seen what it saw; that of a source that
    is split off counts for nothing at all.
    """

    def __init__(
        self,
        identifiers: Mapping[str, Identifier],
        formed: Mapping[str, int],
        evidence: Iterable[Sighting],
        orders: Iterable[Order] = (),
        *,
        split_identifiers: Collection[str] = (),
        split_sources: Collection[str] = (),
    ) -> None:
        self._identifiers = identifiers
        self._formed = formed
        self._seen: dict[str, int] = {}
        self._forbidden: defaultdict[str, set[str]] = defaultdict(set)
        best: defaultdict[str, dict[str, Link]] = defaultdict(dict)
        for item in evidence:
            if item.source in split_sources:
                continue
            hidden = item.one in split_identifiers or item.other in split_identifiers
            for here, there in ((item.one, item.other), (item.other, item.one)):
                self._seen[here] = max(self._seen.get(here, 0), item.grade)
                if not hidden:
                    self._offer(best, here, self._link(there, item))
        obeyed = (order for order in orders if _is_obeyed(order, split_identifiers, split_sources))
        for (one, other), order in standing_orders(obeyed).items():
            for here, there in ((one, other), (other, one)):
                if order.require:
                    self._offer(best, here, self._link(there, order))
                else:
                    best[here].pop(there, None)
                    self._forbidden[here].add(there)
        self._links = {here: sorted(links.values(), key=reading_order) for here, links in best.items()}

    def _link(self, neighbour: str, item: Sighting | Order) -> Link:
        kind = self._identifiers[neighbour].kind
        if isinstance(item, Order):
            return Link(neighbour, kind, Grade.RECORD, item.time, item.source, item.id, item.authority)
        return Link(neighbour, kind, item.grade, item.time, item.source, item.id)

    @staticmethod
    def _offer(best: defaultdict[str, dict[str, Link]], here: str, link: Link) -> None:
        held = best[here].get(link.neighbour)
        if held is None or link.precedence < held.precedence:
            best[here][link.neighbour] = link

    def __iter__(self) -> Iterator[str]:
        return iter(self._identifiers)

    def identifier(self, fragment: str) -> Identifier:
        """See `Graph`."""
        return self._identifiers[fragment]

    def kind(self, fragment: str) -> str:
        """See `Graph`."""
        return self._identifiers[fragment].kind

    def formed(self, fragment: str) -> int:
        """See `Graph`."""
        return self._formed.get(fragment, UNFORMED)

    def seen(self, fragment: str) -> int:
        """See `Graph`."""
        return self._seen.get(fragment, 0)

    def links(self, fragment: str) -> Iterator[Link]:
        """See `Graph`."""
        return iter(self._links.get(fragment, ()))

    def peers(self, fragment: str) -> Iterator[Link]:
        """See `Graph`."""
        return (link for link in self.links(fragment) if link.kind == self.kind(fragment))

    def forbidden(self, fragment: str) -> Collection[str]:
        """See `Graph`."""
        return self._forbidden.get(fragment, ())


def reading_order(link: Link) -> tuple[int, int, str]:
    """The order in which a graph gives links: the required ones first, then by grade, then by neighbour."""
    return -link.authority, -link.grade, link.neighbour
