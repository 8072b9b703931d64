"""Why a link joins nothing, for links whose ends are not in one customer."""

from collections.abc import Callable
from itertools import islice

from schemas.roles import SHARED
from state.identity.attaching import Attaching, Places
from state.identity.evidence import Graph, Link
from state.identity.explaining.results import Obstacle, Reason
from state.identity.explaining.sharing import SharingReader
from state.identity.explaining.support import tier
from state.identity.explaining.walking import Walk
from state.identity.joining import FORBIDDEN, LIMIT, UNIQUE, Joining, Veto
from state.identity.kinds import KindOrder
from state.identity.placement import Placement

#: Why a link that events showed does not count at all, by an order; None where it counts.
Uncounted = Callable[[str, str], Obstacle | None]
_REASONS = {FORBIDDEN: Reason.FORBIDDEN, UNIQUE: Reason.UNIQUE, LIMIT: Reason.LIMIT}


class Obstacles:
    """Reads back why links join nothing."""

    def __init__(
        self,
        graph: Graph,
        kinds: KindOrder,
        joining: Joining,
        attaching: Attaching,
        places: Places,
        walk: Walk,
        sharing: SharingReader,
        uncounted: Uncounted,
    ) -> None:
        self._graph = graph
        self._kinds = kinds
        self._joining = joining
        self._attaching = attaching
        self._places = places
        self._walk = walk
        self._sharing = sharing
        self._uncounted = uncounted
        self._vetoes: dict[tuple[str, str], Veto] = {}
        self._examined: set[str] = set()

    def of(self, one: str, link: Link) -> Obstacle | None:
        """Why the link joins nothing; None where both its ends are in one customer.

        1. One customer. 2. Orders about the pair or its evidence. 3. A shared end. 4. Stage 1 vetoed it. 5. Stage 2
        looked at something else.
        """
        other = link.neighbour
        here, there = self._places(one), self._places(other)
        # 1. One customer.
        if here is None or there is None:
            return Obstacle(Reason.UNSETTLED)
        shared = [end for end, place in ((one, here), (other, there)) if place.state == SHARED]
        if not shared and here.owner == there.owner:
            return None
        # 2. Orders.
        if other in self._graph.forbidden(one):
            return Obstacle(Reason.FORBIDDEN, forbidden=(one, other))
        uncounted = self._uncounted(one, other)
        if uncounted is not None:
            return uncounted
        # 3. A shared end.
        if shared:
            ends = [(end, place) for end, place in ((one, here), (other, there)) if end in shared]
            sharings = tuple(self._sharing.why(end, place) for end, place in ends)
            return Obstacle(Reason.SHARED, sharings=sharings, ends=tuple(shared))
        # 4. Stage 1.
        if link.proven and self._identifying(one) and self._identifying(other):
            return self._veto(one, other)
        # 5. Stage 2.
        if self._rank(one) == self._rank(other):
            return self._of_one_kind(one, other, here, there)
        if self._rank(one) > self._rank(other):
            return self._not_attached(one, link, here, there)
        return self._not_attached(other, link._replace(neighbour=one), there, here)

    def _identifying(self, fragment: str) -> bool:
        return self._kinds.identifying(self._graph.kind(fragment))

    def _rank(self, fragment: str) -> tuple[int, str]:
        return self._kinds.rank(self._graph.kind(fragment))

    # 4. Stage 1

    def _veto(self, one: str, other: str) -> Obstacle:
        if one not in self._examined:
            self._examine(one, other)
        veto = self._vetoes.get((min(one, other), max(one, other)))
        if veto is None:
            return Obstacle(Reason.UNSETTLED)
        if veto.reason == UNIQUE:
            return Obstacle(Reason.UNIQUE, kind=self._contested_kind(one, other))
        forbidden = self._forbidden_between(one, other) if veto.reason == FORBIDDEN else None
        return Obstacle(_REASONS[veto.reason], forbidden=forbidden)

    def _examine(self, one: str, other: str) -> None:
        """Join what hangs together with the two once more, for the vetoes that this gives."""
        region = dict.fromkeys((one, other))
        queue = list(region)
        while queue:
            if len(region) > self._walk.bounds.identifiers_max:
                self._walk.cut = True
                return
            for link in self._walk.first(self._joining.links(queue.pop())):
                place = self._places(link.neighbour)
                is_cut = place is not None and place.joined and place.state == SHARED
                if link.neighbour not in region and not is_cut:
                    region[link.neighbour] = None
                    queue.append(link.neighbour)
        _, vetoed = self._joining.join(region)
        self._examined.update(region)
        self._vetoes.update((veto.pair, veto) for veto in vetoed)

    def _cluster(self, fragment: str) -> list[str]:
        """All that is joined with the identifier, which stage 1 did not cut."""
        reached = {fragment: None}
        place = self._places(fragment)
        queue = [fragment] if place is not None and place.joined else []
        while queue:
            for link in self._walk.first(self._joining.links(queue.pop())):
                other = self._places(link.neighbour)
                together = other is not None and place is not None and other.joined and other.owner == place.owner
                if together and link.neighbour not in reached:
                    reached[link.neighbour] = None
                    queue.append(link.neighbour)
        return list(reached)

    def _contested_kind(self, one: str, other: str) -> str:
        held = {}
        for member in self._cluster(one):
            exclusion, value = self._joining.unique_value(member, self._graph.kind(member))
            if exclusion is not None:
                held[exclusion] = value
        for member in self._cluster(other):
            exclusion, value = self._joining.unique_value(member, self._graph.kind(member))
            if exclusion is not None and held.get(exclusion, value) != value:
                return self._graph.kind(member)
        return ""

    def _forbidden_between(self, one: str, other: str) -> tuple[str, str] | None:
        others = set(self._cluster(other))
        for member in self._cluster(one):
            for kept_apart in self._graph.forbidden(member):
                if kept_apart in others:
                    return member, kept_apart
        return None

    # 5. Stage 2

    def _of_one_kind(self, one: str, other: str, here: Placement, there: Placement) -> Obstacle:
        if here.joined or there.joined:
            return Obstacle(Reason.CLAIMED)
        if self._kinds.kind(self._graph.kind(one)).unique:
            return Obstacle(Reason.UNIQUE, kind=self._graph.kind(one))
        return Obstacle(Reason.GROUP)

    def _not_attached(self, weaker: str, link: Link, here: Placement, there: Placement) -> Obstacle:
        """Why the weaker of two is not attached to the customer of the stronger."""
        if here.joined:
            return Obstacle(Reason.CLAIMED)
        for kept_apart in islice(self._graph.forbidden(weaker), self._walk.bounds.neighbours_max):
            place = self._places(kept_apart)
            if place is not None and place.owner == there.owner and place.state != SHARED:
                return Obstacle(Reason.FORBIDDEN, forbidden=(weaker, kept_apart))
        best = self._best_pointing(weaker)
        if best is not None and tier(best) > tier(link):
            return Obstacle(Reason.SURER)
        rival = self._rival(weaker, there.owner)
        return Obstacle(Reason.FORBIDDEN, forbidden=(weaker, rival)) if rival else Obstacle(Reason.UNSETTLED)

    def _best_pointing(self, fragment: str) -> Link | None:
        rank = self._rank(fragment)
        barred = self._attaching.barred(fragment, self._places)
        for link in self._walk.first(self._graph.links(fragment)):
            place = self._places(link.neighbour)
            stronger = self._kinds.rank(link.kind) < rank
            if stronger and place is not None and place.state != SHARED and place.owner not in barred:
                return link
        return None

    def _rival(self, fragment: str, customer: str) -> str | None:
        """One of its kind, forbidden to be with it, that the same customer would take: neither goes there."""
        kind = self._graph.kind(fragment)
        for other in self._graph.forbidden(fragment):
            place = self._places(other)
            if self._graph.kind(other) != kind or (place is not None and place.joined):
                continue
            group = self._attaching.group(other, self._places, size_max=self._attaching.group_limit)
            pointed = {owner for member in group for owner in self._attaching.point(member, self._places).customers}
            if customer in pointed:
                return other
        return None
