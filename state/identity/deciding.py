"""Deciding: the rules of the policy in force over the graph, and what comes of them written and told.

Evidence, orders and repairs all end here: each says what it touched, and this recomputes, publishes the decisions,
writes the rows and tells fragments and owners.
"""

from collections.abc import Callable

from schemas.identity_changes import Cause
from schemas.identity_policy import Policy
from state.identity.attaching import Attaching
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
        self._shapes = Shapes(self.links, policy)
        self._joining = Joining(self.links, self._kinds, policy.cluster_limit)
        self._attaching = Attaching(self.links, self._kinds, policy.cluster_limit)

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
        # 2. Publish.
        self.telling.explain(decisions, touched, cause, offset)
        # 3. Write and tell.
        places = decisions.placements
        for fragment in touched.renamed:
            place = self.links.placement(fragment)
            if place is not None and self.links.former(fragment) != self.links.known(fragment).former:
                places.setdefault(fragment, place)
        return {fragment for fragment, place in sorted(places.items()) if self.telling.move(fragment, place)}

    def _decisions(self, touched: Touched) -> Decisions:
        if not self.repairing and touched.only_links:
            decisions = self._shapes.decide(touched.changed)
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
