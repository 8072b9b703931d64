"""The rules and what they decided, put together for those who read decisions back."""

from typing import NamedTuple

from schemas.identity_policy import Policy
from schemas.roles import SHARED
from state.identity.attaching import Attaching, Places
from state.identity.evidence import Graph
from state.identity.explaining.walking import Walk
from state.identity.joining import Joining
from state.identity.kinds import KindOrder, Rank
from state.identity.placement import Placement


class Rules(NamedTuple):
    """The rules over a graph, the placements that they gave, and the bounds of one question."""

    graph: Graph
    kinds: KindOrder
    joining: Joining
    attaching: Attaching
    places: Places
    walk: Walk

    @classmethod
    def of(cls, graph: Graph, policy: Policy, places: Places, walk: Walk) -> "Rules":
        """The rules of a policy over a graph."""
        kinds = KindOrder(policy)
        limit = policy.cluster_limit
        return cls(graph, kinds, Joining(graph, kinds, limit), Attaching(graph, kinds, limit), places, walk)

    def rank(self, fragment: str) -> Rank:
        """The place of the identifier's kind, the strongest first."""
        return self.kinds.rank(self.graph.kind(fragment))

    def identifying(self, fragment: str) -> bool:
        """Whether proven links between such identifiers join customers."""
        return self.kinds.identifying(self.graph.kind(fragment))

    def somebodys(self, fragment: str) -> Placement | None:
        """Where the identifier is; None for one that is shared, or that was not placed yet."""
        place = self.places(fragment)
        return None if place is None or place.state == SHARED else place

    def joined_with(self, fragment: str, place: Placement) -> bool:
        """Whether the identifier is joined in the customer of the place, which is joined itself."""
        other = self.somebodys(fragment)
        return other is not None and other.joined and other.owner == place.owner
