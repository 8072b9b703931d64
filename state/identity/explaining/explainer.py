"""Two identifiers: whether they are one customer, and the chain of evidence that makes them so, or all but."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from schemas.identity_policy import Grade, Policy
from schemas.roles import HOME, SHARED
from state.identity.attaching import Places
from state.identity.evidence import Graph, Link, reading_order
from state.identity.explaining.obstacles import Obstacles, Uncounted
from state.identity.explaining.results import Explanation, Sharing, Step, Verdict
from state.identity.explaining.rules import Rules
from state.identity.explaining.sharing import SharingReader
from state.identity.explaining.support import Support
from state.identity.explaining.walking import Hop, LinksOf, Walk, WalkBounds
from state.identity.placement import Placement, Stage

_GRADES = sorted(Grade, reverse=True)


class Surroundings(NamedTuple):
    """What was decided, and by what."""

    #: Links as the rules count them: orders are obeyed.
    graph: Graph
    #: Links as events showed them, whatever orders say; the best known first.
    seen: LinksOf
    policy: Policy
    #: Placements that were decided over `graph`; None for what identity has never met.
    places: Places
    #: Why a link of `seen` does not count in `graph`.
    uncounted: Uncounted


class Explainer:
    """Explanations over one state of the partition; made anew for each question."""

    def __init__(self, around: Surroundings, bounds: WalkBounds | None = None) -> None:
        self._graph, self._seen, self._placed = around.graph, around.seen, around.places
        self._walk = Walk(around.graph.kind, bounds)
        rules = Rules.of(around.graph, around.policy, around.places, self._walk)
        self._support = Support(rules)
        self._sharing = SharingReader(rules)
        self._obstacles = Obstacles(rules, self._sharing, around.uncounted)

    @property
    def cut(self) -> bool:
        """Whether a bound has left something unread so far."""
        return self._walk.cut

    def place(self, fragment: str) -> Placement:
        """Where the identifier is; one that identity has never met is its own customer."""
        return self._placed(fragment) or Placement(HOME, fragment, 0, Stage.ATTACHING)

    def pair(self, one: str, other: str) -> Explanation:
        """Whether two identifiers are one customer, and why.

        In one customer the surest chain is told: the one whose weakest link is strongest, of several the shortest.
        Its links are those by which the rules put both there, so it decides the same again. Between two customers it
        is the shortest chain of whatever events showed, of several the surest, with what stands against each link.
        """
        if self._placed(one) is None or self._placed(other) is None:
            # No event and no order has ever linked it to anything.
            return self._unlinked(one, other)
        here, there = self.place(one), self.place(other)
        shared = [end for end, place in ((one, here), (other, there)) if place.state == SHARED]
        if one == other or (not shared and here.owner == there.owner):
            verdict = Verdict.SHARED if shared else Verdict.ONE
            steps = [] if one == other else self._holding(one, other)
        else:
            verdict = Verdict.SHARED if shared else Verdict.APART
            steps = self._closest(one, other)
        grade = min((step.link.grade for step in steps), default=0)
        sharings = tuple(self.sharing(end) for end in dict.fromkeys(shared))
        return Explanation(verdict, tuple(steps), grade, sharings, self._walk.cut)

    def _unlinked(self, one: str, other: str) -> Explanation:
        shared = [end for end in (one, other) if self.place(end).state == SHARED]
        verdict = Verdict.SHARED if shared else Verdict.ONE if one == other else Verdict.APART
        return Explanation(verdict, sharings=tuple(map(self.sharing, shared)), cut=self._walk.cut)

    def sharing(self, fragment: str) -> Sharing:
        """Why a shared identifier is shared."""
        return self._sharing.why(fragment, self.place(fragment))

    def hold(self, fragment: str) -> Step | None:
        """The best of the links by which the identifier is in its customer; None where it is there by itself."""
        link = next(iter(self._support.links(fragment)), None)
        return None if link is None or self.place(fragment).state == HOME else Step(fragment, link)

    def idle_links(self, fragment: str, most: int) -> Iterator[Step]:
        """Of so many links of the identifier those that lead out of its customer, and why; the best known first."""
        for link in islice(self.links(fragment), most):
            obstacle = self._obstacles.of(fragment, link)
            if obstacle is not None:
                yield Step(fragment, link, obstacle)

    def links(self, fragment: str) -> Iterator[Link]:
        """All links of the identifier, those that orders made or unmade as well; the best known first."""
        found = {link.neighbour: link for link in self._walk.first(self._graph.links(fragment))}
        for link in self._walk.first(self._seen(fragment)):
            found.setdefault(link.neighbour, link)
        return iter(sorted(found.values(), key=reading_order))

    def _holding(self, one: str, other: str) -> list[Step]:
        for grade in _GRADES:
            hops = self._walk.upwards(one, other, self._support.links, grade)
            if hops is not None:
                return self._steps(hops)
        return []

    def _closest(self, one: str, other: str) -> list[Step]:
        closest = self._walk.between(one, other, self.links, Grade.CLAIMED)
        if closest is None:
            return []
        for grade in _GRADES[:-1]:
            surer = self._walk.between(one, other, self.links, grade)
            if surer is not None and len(surer) == len(closest):
                return self._steps(surer)
        return self._steps(closest)

    def _steps(self, hops: list[Hop]) -> list[Step]:
        return [Step(hop.one, hop.link, self._obstacles.of(hop.one, hop.link)) for hop in hops]
