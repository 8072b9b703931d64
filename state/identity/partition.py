"""The partition of all identifiers into customers, computed at once.

A pure function of evidence, orders and policy: the order of arrival shows only in `formed`, and `formed` decides
nothing but which member is the home. This is the rules in one place; `recomputation` gives the same for what changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.roles import SHARED
from state.identity.attaching import Attaching
from state.identity.evidence import EvidenceGraph, Order, Sighting
from state.identity.joining import Joining, Veto
from state.identity.kinds import KindOrder
from state.identity.placement import Placement, Stage


class Partition(NamedTuple):
    """Every identifier's placement, and the links that were vetoed, the best first."""

    placements: dict[str, Placement]
    vetoed: list[Veto]

    def customers(self) -> dict[str, list[str]]:
        """The members of each customer by its id, in the order of their ids; shared identifiers are in none."""
        customers: dict[str, list[str]] = {}
        for fragment in sorted(self.placements):
            place = self.placements[fragment]
            if place.state != SHARED:
                customers.setdefault(place.owner, []).append(fragment)
        return customers


def partition(
    identifiers: Mapping[str, Identifier],
    formed: Mapping[str, int],
    evidence: Iterable[Sighting],
    orders: Iterable[Order],
    policy: Policy,
    *,
    split_identifiers: Collection[str] = (),
    split_sources: Collection[str] = (),
) -> Partition:
    """Place every identifier.

    1. Identifying kinds, by requires and by links of grade `login` or better between two of them.
       a. What such links show with too many neighbours of one kind, or with two values of a unique kind, is shared:
          all its links are cut.
       b. The rest is joined, the best link first, unless a forbid, a unique kind or the limit vetoes.
    2. Kind by kind from strong to weak, what is not joined yet: group by group of its kind it is attached to the one
       customer that neighbours of stronger kinds point to, shared if they point to several, else its own customer.

    Args:
        identifiers: all of them by fragment id.
        formed: the offset of the evidence that first named each; one that only orders named is missing.
        evidence: what sources showed.
        orders: requires and forbids, older ones of a pair included.
        policy: kinds in their order, with uniqueness and limits.
        split_identifiers: those that nothing but an operator's require links, the policy's `unlinkable` included.
        split_sources: sources whose evidence and orders count for nothing.
    """
    graph = EvidenceGraph(
        identifiers,
        formed,
        evidence,
        orders,
        split_identifiers=split_identifiers,
        split_sources=split_sources,
    )
    kinds = KindOrder(policy)
    joining = Joining(graph, kinds, policy.cluster_limit)
    attaching = Attaching(graph, kinds, policy.cluster_limit)
    placements: dict[str, Placement] = {}

    # 1. Identifying kinds.
    identifying = [fragment for fragment in graph if kinds.identifying(graph.kind(fragment))]
    # 1a. Cut what is shared.
    for fragment in identifying:
        candidates = joining.cut(fragment)
        if candidates is not None:
            placements[fragment] = Placement(SHARED, fragment, graph.seen(fragment), Stage.JOINING, candidates)
    # 1b. Join the rest.
    clusters, vetoed = joining.join([fragment for fragment in identifying if fragment not in placements])
    for members in clusters:
        if len(members) > 1:
            placements.update(joining.seat(members))

    # 2. What is not joined yet, from strong to weak.
    by_rank = sorted((kinds.rank(graph.kind(fragment)), fragment) for fragment in graph if fragment not in placements)
    for _, fragment in by_rank:
        if fragment not in placements:
            group = attaching.group(fragment, placements.get)
            placements.update(attaching.settle(group, placements.get, apart=len(group) > attaching.group_limit))
    return Partition(placements, vetoed)
