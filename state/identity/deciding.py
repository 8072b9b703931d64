"""Deciding: the rules of the policy in force over the graph, and what comes of them written and told.

Evidence, orders and repairs all end here: each says what it touched, and this recomputes, publishes the decisions,
writes the rows and tells fragments and owners.
"""

from collections.abc import Callable, Iterator

from schemas.identity_changes import Cause
from schemas.identity_policy import Grade, Policy
from schemas.messages import SealedIdentifier
from schemas.orders import Authority
from state.identity.attaching import Attaching
from state.identity.changes import Transition
from state.identity.joining import Joining
from state.identity.kinds import KindOrder
from state.identity.link_rows import LinkRows
from state.identity.recomputation import Decisions, Recomputation
from state.identity.shapes import Shapes
from state.identity.telling import Telling
from state.identity.touched import Touched


class Deciding:
    """Decides what messages touched.

    Attributes:
        links: the graph, with the rows.
        telling: what is said.
        policy: the one in force.
        shapes: what it makes of small customers.
        repairing: whether any repair is under way or waits.
        stale: while a repair of a policy runs, whether it has still to come to a fragment; None while none runs.
    """

    def __init__(self, links: LinkRows, telling: Telling, policy: Policy) -> None:
        self.links = links
        self.telling = telling
        self.repairing = False
        self.stale: Callable[[str], bool] | None = None
        self.govern(policy)

    def govern(self, policy: Policy) -> None:
        """Decide by this policy from now on; what was decided before stands until it is touched."""
        self.policy = policy
        self.links.govern(policy)
        self._kinds = KindOrder(policy)
        self.shapes = Shapes(self.links, policy)
        self._joining = Joining(self.links, self._kinds, policy.cluster_limit)
        self._attaching = Attaching(self.links, self._kinds, policy.cluster_limit)

    def stands(self, one: SealedIdentifier, other: SealedIdentifier, grade: int) -> bool:
        """Whether evidence of a pair in this grade, before it is written, changes nothing that decisions look at.

        It does not where the two are linked as well already. Only of links that may join two identifying ones does it
        matter who showed them first, and the clusters that they join are told to those who watch.
        """
        if self.repairing or (grade >= Grade.LOGIN and self.shapes.may_join(one.kind, other.kind)):
            return False
        link = self.links.link(one.fragment, other.fragment)
        return link is not None and link.grade >= grade and link.authority == Authority.EVIDENCE

    def decide(self, touched: Touched, cause: Cause, offset: int) -> set[str]:
        """Recompute what was touched, write it and tell it; returns the fragments that were told.

        1. Recompute.
        2. Publish the decisions.
        3. Write and tell what is placed otherwise, or has become former or current.
        """
        if not touched:
            return set()
        # 1. Recompute.
        decisions = self._decisions(touched)
        if not (decisions.placements or decisions.vetoed or decisions.clusters or touched.ordered or touched.again):
            return set()
        # 2. Publish.
        moves = self.telling.explain(decisions, touched, cause, offset)
        # 3. Write and tell.
        moves += self._renamed(touched, decisions)
        return {move.fragment for move in sorted(moves) if self.telling.move(move)}

    def _renamed(self, touched: Touched, decisions: Decisions) -> Iterator[Transition]:
        """Those that stay where they are, and have become former or current."""
        for fragment in touched.renamed:
            place = self.links.placement(fragment)
            if place is None or fragment in decisions.placements:
                continue
            row = self.links.known(fragment)
            if self.links.former(fragment) != row.former:
                yield Transition(fragment, row.kind, place, place)

    def _decisions(self, touched: Touched) -> Decisions:
        if not self.repairing and touched.only_links:
            decisions = self.shapes.decide(touched.changed)
            if decisions is not None:
                return decisions
        recomputation = Recomputation(
            self.links, self._kinds, self._joining, self._attaching, self.links.placement, stale=self.stale
        )
        return recomputation.decide(
            touched.changed,
            touched.ordered,
            touched.formed,
            touched.again,
            severed=touched.severed,
            restored=touched.restored,
        )
