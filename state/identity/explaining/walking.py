"""Bounded searches for the shortest chain between two identifiers.

Both ends are walked at once, the smaller side first: two who were seen with one kiosk's cookie meet at it, without a
look at the hundred thousand others who were seen with it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Final, NamedTuple

from state.identity.evidence import Link

#: Identifiers that one search looks at. A chain that anybody can follow has a few.
IDENTIFIERS_MAX: Final = 2_000
#: Links that are followed from one identifier, the best known first.
NEIGHBOURS_MAX: Final = 1_000
#: Links of a chain between two customers: what is farther away has nothing to do with each other.
STEPS_MAX: Final = 12


class WalkBounds(NamedTuple):
    """How far searches go."""

    identifiers_max: int = IDENTIFIERS_MAX
    neighbours_max: int = NEIGHBOURS_MAX
    steps_max: int = STEPS_MAX


#: Links that may be followed from an identifier, the best known first.
LinksOf = Callable[[str], Iterable[Link]]


class Hop(NamedTuple):
    """A link, and the identifier that it starts from."""

    one: str
    link: Link


class Walk:
    """Searches of one question, which share its bounds.

    Args:
        kind: The kind of an identifier, for links that are walked against their direction.
        bounds: How far searches go.
    """

    def __init__(self, kind: Callable[[str], str], bounds: WalkBounds | None = None) -> None:
        self.bounds = bounds or WalkBounds()
        #: Whether a bound left anything out.
        self.cut = False
        self._kind = kind

    def first(self, links: Iterable[Link]) -> Iterator[Link]:
        """As many links of one identifier as are followed."""
        for number, link in enumerate(links):
            if number >= self.bounds.neighbours_max:
                self.cut = True
                return
            yield link

    def between(self, one: str, other: str, links_of: LinksOf, grade: int) -> list[Hop] | None:
        """The chain of the fewest links of at least this grade, where links are seen from both their ends.

        None where there is none within the bounds.
        """
        sides = _Side(one), _Side(other)
        if one == other:
            return []
        for _ in range(self.bounds.steps_max):
            # The smaller side first, of two alike the one that went less far; one that is exhausted never again.
            near, far = sorted(sides, key=lambda side: (len(side.edge) or self.bounds.identifiers_max, side.steps))
            if not self._widen(near, links_of, grade) and not near.edge and not far.edge:
                return None
            met = [fragment for fragment in near.edge if fragment in far.distance]
            if met:
                return self._joined_at(sides, met)
            if sum(len(side.distance) for side in sides) > self.bounds.identifiers_max:
                break
        self.cut = True
        return None

    def upwards(self, one: str, other: str, links_of: LinksOf, grade: int) -> list[Hop] | None:
        """The chain of the fewest links from both to an identifier that both lead to, by links seen from one end only.

        None where there is none within the bounds.
        """
        sides = _Side(one), _Side(other)
        for side in sides:
            while side.edge and len(side.distance) <= self.bounds.identifiers_max:
                self._widen(side, links_of, grade)
            self.cut = self.cut or bool(side.edge)
        met = [fragment for fragment in sides[0].distance if fragment in sides[1].distance]
        return self._joined_at(sides, met) if met else None

    def _widen(self, side: "_Side", links_of: LinksOf, grade: int) -> bool:
        """Go one link farther; whether there was anything."""
        edge, side.edge = side.edge, []
        side.steps += 1
        for fragment in edge:
            for link in takewhile(lambda link: link.grade >= grade, self.first(links_of(fragment))):
                side.reach(fragment, link)
        return bool(side.edge)

    def _joined_at(self, sides: "tuple[_Side, _Side]", met: list[str]) -> list[Hop]:
        there, back = sides
        knot = min(met, key=lambda fragment: (there.distance[fragment] + back.distance[fragment], fragment))
        turned = [
            Hop(hop.link.neighbour, hop.link._replace(neighbour=hop.one, kind=self._kind(hop.one)))
            for hop in reversed(back.path(knot))
        ]
        return [*there.path(knot), *turned]


class _Side:
    """What was reached from one end."""

    def __init__(self, start: str) -> None:
        self.distance = {start: 0}
        self.edge = [start]
        self.steps = 0
        self._hops: dict[str, Hop] = {}

    def reach(self, fragment: str, link: Link) -> None:
        if link.neighbour not in self.distance:
            self.distance[link.neighbour] = self.distance[fragment] + 1
            self._hops[link.neighbour] = Hop(fragment, link)
            self.edge.append(link.neighbour)

    def path(self, fragment: str) -> list[Hop]:
        hops = []
        while (hop := self._hops.get(fragment)) is not None:
            hops.append(hop)
            fragment = hop.one
        return hops[::-1]
