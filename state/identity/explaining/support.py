"""Which links hold an identifier in its customer: those that the rules decided by.

Links are looked at upwards, from an identifier to what it rests on, since what attaches to a customer joins nobody to
it: two logins that one cookie was seen with are one customer for a reason of their own, or are not.
"""

from collections.abc import Iterator

from state.identity.evidence import Link, reading_order
from state.identity.explaining.rules import Rules
from state.identity.placement import Placement, Stage


class Support:
    """Reads the links that decided."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._whole: dict[str, bool] = {}

    def links(self, fragment: str) -> Iterator[Link]:
        """The links by which the identifier is where it is, the best known first.

        1. Joined: to the members that are joined with it. 2. Otherwise to neighbours of stronger kinds in its
        customer, of the best known sort; 3. and, where its group of one kind went there as a whole, to its group.
        """
        rules = self._rules
        place = rules.somebodys(fragment)
        if place is None:
            return iter(())
        # 1. Joined.
        if place.joined:
            links = rules.walk.first(rules.joining.links(fragment))
            return (link for link in links if rules.joined_with(link.neighbour, place))
        # 2. To stronger kinds.
        found = self._pointing(fragment, place)
        # 3. To the group.
        if self._went_whole(fragment, place):
            found += rules.walk.first(rules.attaching.companions(fragment, rules.places))
        return iter(sorted(found, key=reading_order))

    def _pointing(self, fragment: str, place: Placement) -> list[Link]:
        rules = self._rules
        rank = rules.rank(fragment)
        found: list[Link] = []
        for link in rules.walk.first(rules.graph.links(fragment)):
            other = rules.somebodys(link.neighbour)
            if rules.kinds.rank(link.kind) >= rank or other is None or other.owner != place.owner:
                continue
            if found and tier(link) != tier(found[0]):
                break
            found.append(link)
        return found

    def _went_whole(self, fragment: str, place: Placement) -> bool:
        """Whether the identifier's group of one kind is where it is as a whole; not where it is a group of one."""
        if place.stage != Stage.ATTACHING:
            return False
        if fragment not in self._whole:
            rules = self._rules
            limit = rules.attaching.group_limit
            group = rules.attaching.group(fragment, rules.places, size_max=limit)
            places = [rules.somebodys(member) for member in group]
            # Of a group that did not, never are all in one customer: see `Attaching.settle`.
            together = all(other is not None and other.owner == place.owner for other in places)
            whole = together and 1 < len(group) <= limit
            self._whole |= dict.fromkeys(group if whole else [fragment], whole)
        return self._whole[fragment]


def tier(link: Link) -> int:
    """Of links to stronger kinds the rules look at the best sort only: required, proven, claimed."""
    return 2 if link.authority else int(link.proven)
