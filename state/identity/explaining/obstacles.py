"""Why a link joins nothing, for links whose ends are not in one customer."""

from collections.abc import Callable
from itertools import islice

from schemas.roles import SHARED
from state.identity.evidence import Link
from state.identity.explaining.results import Obstacle, Reason
from state.identity.explaining.rules import Rules
from state.identity.explaining.sharing import SharingReader
from state.identity.explaining.support import tier
from state.identity.joining import FORBIDDEN, LIMIT, UNIQUE, Veto
from state.identity.placement import Placement

#: Why a link that events showed does not count at all, by an order; None where it counts.
Uncounted = Callable[[str, str], Obstacle | None]
_REASONS = {FORBIDDEN: Reason.FORBIDDEN, UNIQUE: Reason.UNIQUE, LIMIT: Reason.LIMIT}


class Obstacles:
    """Reads back why links join nothing."""

    def __init__(self, rules: Rules, sharing: SharingReader, uncounted: Uncounted) -> None:
        self._rules = rules
        self._sharing = sharing
        self._uncounted = uncounted
        self._vetoes: dict[tuple[str, str], Veto] = {}
        self._examined: set[str] = set()

    def of(self, one: str, link: Link) -> Obstacle | None:
        """Why the link joins nothing; None where both its ends are in one customer.

        1. Orders about the pair or its evidence. 2. A shared end. 3. Stage 1 vetoed it. 4. Stage 2 looked at something
        else.
        """
        other = link.neighbour
        here, there = self._rules.places(one), self._rules.places(other)
        if here is None or there is None:
            return Obstacle(Reason.UNSETTLED)
        shared = {end: place for end, place in ((one, here), (other, there)) if place.state == SHARED}
        if not shared and here.owner == there.owner:
            return None
        # 1. Orders.
        by_order = self._by_order(one, link)
        if by_order is not None:
            return by_order
        # 2. A shared end.
        if shared:
            sharings = tuple(self._sharing.why(end, place) for end, place in shared.items())
            return Obstacle(Reason.SHARED, sharings=sharings, ends=tuple(shared))
        # 3. Stage 1.
        if link.proven and self._rules.identifying(one) and self._rules.identifying(other):
            return self._veto(one, other)
        # 4. Stage 2.
        return self._unattached(one, link, here, there)

    def _by_order(self, one: str, link: Link) -> Obstacle | None:
        if link.neighbour in self._rules.graph.forbidden(one):
            return Obstacle(Reason.FORBIDDEN, forbidden=(one, link.neighbour))
        return None if link.authority else self._uncounted(one, link.neighbour)

    # 3. Stage 1

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
            if len(region) > self._rules.walk.bounds.identifiers_max:
                self._rules.walk.cut = True
                return
            for link in self._rules.walk.first(self._rules.joining.links(queue.pop())):
                place = self._rules.places(link.neighbour)
                is_cut = place is not None and place.joined and place.state == SHARED
                if link.neighbour not in region and not is_cut:
                    region[link.neighbour] = None
                    queue.append(link.neighbour)
        _, vetoed = self._rules.joining.join(region)
        self._examined.update(region)
        self._vetoes.update((veto.pair, veto) for veto in vetoed)

    def _cluster(self, fragment: str) -> list[str]:
        """All that is joined with the identifier, which stage 1 did not cut."""
        reached = {fragment: None}
        place = self._rules.places(fragment)
        if place is None or not place.joined:
            return [fragment]
        queue = [fragment]
        while queue:
            for link in self._rules.walk.first(self._rules.joining.links(queue.pop())):
                if link.neighbour not in reached and self._rules.joined_with(link.neighbour, place):
                    reached[link.neighbour] = None
                    queue.append(link.neighbour)
        return list(reached)

    def _contested_kind(self, one: str, other: str) -> str:
        held = {}
        for member in self._cluster(one):
            exclusion, value = self._rules.joining.unique_value(member, self._rules.graph.kind(member))
            if exclusion is not None:
                held[exclusion] = value
        for member in self._cluster(other):
            exclusion, value = self._rules.joining.unique_value(member, self._rules.graph.kind(member))
            if exclusion is not None and held.get(exclusion, value) != value:
                return self._rules.graph.kind(member)
        return ""

    def _forbidden_between(self, one: str, other: str) -> tuple[str, str] | None:
        others = set(self._cluster(other))
        for member in self._cluster(one):
            for kept_apart in self._rules.graph.forbidden(member):
                if kept_apart in others:
                    return member, kept_apart
        return None

    # 4. Stage 2

    def _unattached(self, one: str, link: Link, here: Placement, there: Placement) -> Obstacle:
        other = link.neighbour
        if self._rules.rank(one) == self._rules.rank(other):
            return self._of_one_kind(link.kind, here, there)
        if self._rules.rank(one) > self._rules.rank(other):
            return self._not_attached(one, link, here, there)
        return self._not_attached(other, link, there, here)

    def _of_one_kind(self, kind: str, here: Placement, there: Placement) -> Obstacle:
        if here.joined or there.joined:
            return Obstacle(Reason.CLAIMED)
        if self._rules.kinds.kind(kind).unique:
            return Obstacle(Reason.UNIQUE, kind=kind)
        return Obstacle(Reason.GROUP)

    def _not_attached(self, weaker: str, link: Link, here: Placement, there: Placement) -> Obstacle:
        """Why the weaker of two is not attached to the customer of the stronger."""
        if here.joined:
            return Obstacle(Reason.CLAIMED)
        for kept_apart in islice(self._rules.graph.forbidden(weaker), self._rules.walk.bounds.neighbours_max):
            place = self._rules.somebodys(kept_apart)
            if place is not None and place.owner == there.owner:
                return Obstacle(Reason.FORBIDDEN, forbidden=(weaker, kept_apart))
        best = self._best_pointing(weaker)
        if best is not None and tier(best) > tier(link):
            return Obstacle(Reason.SURER)
        rival = self._rival(weaker, there.owner)
        return Obstacle(Reason.FORBIDDEN, forbidden=(weaker, rival)) if rival else Obstacle(Reason.UNSETTLED)

    def _best_pointing(self, fragment: str) -> Link | None:
        rank = self._rules.rank(fragment)
        barred = self._rules.attaching.barred(fragment, self._rules.places)
        for link in self._rules.walk.first(self._rules.graph.links(fragment)):
            place = self._rules.somebodys(link.neighbour)
            if self._rules.kinds.rank(link.kind) < rank and place is not None and place.owner not in barred:
                return link
        return None

    def _rival(self, fragment: str, customer: str) -> str | None:
        """One of its kind, forbidden to be with it, that the same customer would take: neither goes there."""
        kind = self._rules.graph.kind(fragment)
        for other in self._rules.graph.forbidden(fragment):
            place = self._rules.places(other)
            if self._rules.graph.kind(other) != kind or (place is not None and place.joined):
                continue
            group = self._rules.attaching.group(other, self._rules.places, size_max=self._rules.attaching.group_limit)
            pointed = {
                owner for member in group for owner in self._rules.attaching.point(member, self._rules.places).customers
            }
            if customer in pointed:
                return other
        return None
