"""Which links hold an identifier in its customer: those that the rules decided by.

Links are looked at upwards, from an identifier to what it rests on, since what attaches to a customer joins nobody to
it: two logins that one cookie was seen with are one customer for a reason of their own, or are not.
"""

from collections.abc import Iterator

from schemas.roles import SHARED
from state.identity.attaching import Attaching, Places
from state.identity.evidence import Graph, Link
from state.identity.explaining.walking import Walk
from state.identity.joining import Joining
from state.identity.kinds import KindOrder
from state.identity.placement import Placement, Stage


class Support:
    """Reads the links that decided, from a graph and the placements that were decided over it."""

    def __init__(
        self, graph: Graph, kinds: KindOrder, joining: Joining, attaching: Attaching, places: Places, walk: Walk
    ) -> None:
        self._graph = graph
        self._kinds = kinds
        self._joining = joining
        self._attaching = attaching
        self._places = places
        self._walk = walk
        self._whole: dict[str, bool] = {}

    def links(self, fragment: str) -> Iterator[Link]:
        """The links by which the identifier is where it is, the best known first.

        1. Joined: to the members that are joined with it. 2. Otherwise to neighbours of stronger kinds in its
        customer, of the best known sort; 3. and, where its group of one kind went there as a whole, to its group.
        """
        place = self._places(fragment)
        if place is None or place.state == SHARED:
            return iter(())
        # 1. Joined.
        if place.joined:
            return (link for link in self._walk.first(self._joining.links(fragment)) if self._joined(link, place))
        # 2. To stronger kinds, 3. and to the group.
        found = [*self._pointing(fragment, place), *(self._companions(fragment, place))]
        return iter(sorted(found, key=lambda link: (-link.authority, -link.grade, link.neighbour)))

    def _joined(self, link: Link, place: Placement) -> bool:
        other = self._places(link.neighbour)
        return other is not None and other.joined and other.state != SHARED and other.owner == place.owner

    def _pointing(self, fragment: str, place: Placement) -> list[Link]:
        rank = self._kinds.rank(self._graph.kind(fragment))
        found: list[Link] = []
        for link in self._walk.first(self._graph.links(fragment)):
            if self._kinds.rank(link.kind) >= rank:
                continue
            other = self._places(link.neighbour)
            if other is None or other.state == SHARED or other.owner != place.owner:
                continue
            if found and tier(link) != tier(found[0]):
                break
            found.append(link)
        return found

    def _companions(self, fragment: str, place: Placement) -> Iterator[Link]:
        if not self.went_whole(fragment, place):
            return iter(())
        return (link for link in self._walk.first(self._attaching.companions(fragment, self._places)))

    def went_whole(self, fragment: str, place: Placement) -> bool:
        """Whether the identifier's group of one kind is where it is as a whole; not where it is a group of one."""
        if place.stage != Stage.ATTACHING:
            return False
        if fragment not in self._whole:
            limit = self._attaching.group_limit
            group = self._attaching.group(fragment, self._places, size_max=limit)
            places = [self._places(member) for member in group]
            # One that stands by itself is never all alone in the customer of the others of its group.
            whole = 1 < len(group) <= limit and all(
                other is not None and (other.owner, other.state == SHARED) == (place.owner, False) for other in places
            )
            self._whole |= dict.fromkeys(group if whole else [fragment], whole)
        return self._whole[fragment]


def tier(link: Link) -> int:
    """Of links to stronger kinds the rules look at the best sort only: required, proven, claimed."""
    return 2 if link.authority else int(link.proven)
