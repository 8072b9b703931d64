"""Stage 2, kind by kind from strong to weak, for what is not joined: attached to a customer, shared, or its own.

Nothing here ever joins two customers. A forbid stands against a customer, not only against the pair it names: links
to a customer of which the identifier is forbidden any member that was placed before it are as if they were not there.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from schemas.identity_policy import Grade
from schemas.limits import CANDIDATES_MAX
from schemas.orders import Authority
from schemas.roles import ATTACHED, HOME, SHARED
from state.identity.chains import best_chains
from state.identity.evidence import Graph, Link
from state.identity.joining import home_of
from state.identity.kinds import KindOrder
from state.identity.placement import Placement, Stage

#: Placements so far; None for what is not placed yet.
Places: TypeAlias = Callable[[str], Placement | None]


class Pointing(NamedTuple):
    """What an identifier's neighbours of stronger kinds say."""

    #: The customers pointed to by the best links, each with the grade of the best path to its home.
    customers: dict[str, int]
    shared: bool
    #: One neighbour for each of the first customers.
    candidates: tuple[str, ...]


class Attaching:
    """The decisions of stage 2 over a graph."""

    def __init__(self, graph: Graph, kinds: KindOrder, cluster_limit: int) -> None:
        self._graph = graph
        self._kinds = kinds
        self.group_limit = cluster_limit

    def point(self, fragment: str, places: Places) -> Pointing:
        """Look at direct neighbours of stronger kinds that are not shared: at the best known ones only.

        Required before `login` or better before claims. An identifier that points to several customers, or that is
        claimed with too many, is shared; one that an order requires somewhere is not shared for claims.
        """
        kind = self._graph.kind(fragment)
        rank, limit = self._kinds.rank(kind), self._kinds.kind(kind).shared_from
        barred = self.barred(fragment, places)
        best: Link | None = None
        pointed: dict[str, None] = {}
        claimed: dict[str, None] = {}
        chains: dict[str, int] = {}
        candidates: dict[str, str] = {}
        shared = False
        for link in self._graph.links(fragment):
            if self._kinds.rank(link.kind) >= rank:
                continue
            place = places(link.neighbour)
            if place is None or place.state == SHARED or place.owner in barred:
                continue
            best = best or link
            if _tier(link) == _tier(best):
                pointed[place.owner] = None
            if not link.proven:
                claimed[place.owner] = None
            chains[place.owner] = max(chains.get(place.owner, 0), min(link.grade, place.chain))
            if len(candidates) < CANDIDATES_MAX:
                candidates.setdefault(place.owner, link.neighbour)
            over = best.authority == Authority.EVIDENCE and 0 < limit < len(claimed)
            shared = len(pointed) > 1 or over
            # The best links come first, so nothing further on changes a decision for shared.
            if shared and len(candidates) == CANDIDATES_MAX:
                break
        customers = {customer: chains[customer] for customer in pointed}
        return Pointing(customers, shared, tuple(candidates.values()) if shared else ())

    def barred(self, fragment: str, places: Places) -> set[str]:
        """Customers that hold somebody whom a forbid keeps apart from the identifier."""
        rank = self._kinds.rank(self._graph.kind(fragment))
        barred = set()
        for other in self._graph.forbidden(fragment):
            place = places(other)
            before = place is not None and (place.joined or self._kinds.rank(self._graph.kind(other)) < rank)
            if place is not None and before and place.state != SHARED:
                barred.add(place.owner)
        return barred

    def companions(self, fragment: str, places: Places) -> Iterator[Link]:
        """Links to identifiers of the same kind that are not joined either; none where the kind is unique.

        Two values of a unique kind are two customers: only an order unites them, and that joins them in stage 1.
        """
        if self._kinds.kind(self._graph.kind(fragment)).unique:
            return iter(())
        return (link for link in self._graph.peers(fragment) if not _is_joined(places(link.neighbour)))

    def group(
        self, fragment: str, places: Places, *, size_max: int | None = None, skip: Callable[[str], bool] | None = None
    ) -> list[str]:
        """Identifiers of one kind that evidence links, walked from this one, in the order of their ids.

        Args:
            fragment: where to start.
            places: what is placed so far.
            size_max: stop as soon as the group is known to be larger.
            skip: identifiers not to walk to.
        """
        reached = {fragment}
        queue = [fragment]
        while queue and (size_max is None or len(reached) <= size_max):
            for link in self.companions(queue.pop(), places):
                if link.neighbour not in reached and not (skip and skip(link.neighbour)):
                    reached.add(link.neighbour)
                    queue.append(link.neighbour)
                    if size_max is not None and len(reached) > size_max:
                        break
        return sorted(reached)

    def settle(self, group: Collection[str], places: Places, *, apart: bool = False) -> dict[str, Placement]:
        """Place a group of one kind.

        1. If it points to at most one customer it goes there as a whole; if to none it is a customer of its own.
        2. Otherwise each stands by itself: shared, attached, or a customer of its own.

        Args:
            group: a whole group; or, with `apart`, some identifiers of one that is too large.
            places: what is placed so far, all stronger kinds included.
            apart: the group is too large to go as a whole.
        """
        pointings = {member: self.point(member, places) for member in group}
        # Most groups are one identifier, which goes by itself where it would go as a whole.
        if not apart and len(pointings) > 1:
            customer = self._destination(pointings, places)
            if customer is not None and not any(self._rivals(member, customer, places, set(group)) for member in group):
                return self._place_whole(pointings, customer, places)
        stage = Stage.APART if apart else Stage.ATTACHING
        return {member: self._place_single(member, pointing, places, stage) for member, pointing in pointings.items()}

    def _destination(self, pointings: Mapping[str, Pointing], places: Places) -> str | None:
        """Where a group may go as a whole: to a customer, or to itself (an empty text); None if it may not."""
        customers = {customer for pointing in pointings.values() for customer in pointing.customers}
        if len(customers) > 1 or any(pointing.shared for pointing in pointings.values()):
            return None
        for member in pointings:
            if any(other in pointings for other in self._graph.forbidden(member)):
                return None
            if not customers.isdisjoint(self.barred(member, places)):
                return None
        return customers.pop() if customers else ""

    def _rivals(self, fragment: str, customer: str, places: Places, group: Collection[str]) -> bool:
        """Whether one of the same kind, forbidden to be with this one, would go to the same customer: neither may."""
        kind = self._graph.kind(fragment)
        for other in sorted(self._graph.forbidden(fragment)):
            if not customer or other in group or self._graph.kind(other) != kind or _is_joined(places(other)):
                continue
            alone = self.point(other, places)
            if not alone.shared and set(alone.customers) == {customer}:
                return True
            others = self.group(other, places, size_max=self.group_limit)
            pointings = {member: self.point(member, places) for member in others}
            if len(others) <= self.group_limit and self._destination(pointings, places) == customer:
                return True
        return False

    def _place_whole(self, pointings: Mapping[str, Pointing], customer: str, places: Places) -> dict[str, Placement]:
        edges = {
            member: [(link.neighbour, link.grade) for link in self.companions(member, places)] for member in pointings
        }
        if customer:
            seeds = {m: pointing.customers[customer] for m, pointing in pointings.items() if pointing.customers}
            chains = best_chains(seeds, edges)
            return {m: Placement(ATTACHED, customer, chains[m], Stage.ATTACHING) for m in pointings}
        home = home_of(self._graph, self._kinds, pointings.keys())
        chains = best_chains({home: Grade.RECORD}, edges)
        placed = {m: Placement(ATTACHED, home, chains[m], Stage.ATTACHING) for m in pointings}
        placed[home] = Placement(HOME, home, self._graph.seen(home), Stage.ATTACHING)
        return placed

    def _place_single(self, fragment: str, pointing: Pointing, places: Places, stage: Stage) -> Placement:
        if pointing.shared:
            return Placement(SHARED, fragment, self._graph.seen(fragment), stage, pointing.candidates)
        for customer, grade in pointing.customers.items():
            if not self._rivals(fragment, customer, places, ()):
                return Placement(ATTACHED, customer, grade, stage)
        return Placement(HOME, fragment, self._graph.seen(fragment), stage)


def _tier(link: Link) -> int:
    return 2 if link.authority > Authority.EVIDENCE else int(link.proven)


def _is_joined(place: Placement | None) -> bool:
    return place is not None and place.joined
