"""Stage 1: identifying kinds, by requires and by links of grade `login` or better between two of them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby, takewhile
from typing import Any, Final, NamedTuple

from schemas.identity_policy import Grade
from schemas.limits import CANDIDATES_MAX
from schemas.orders import Authority
from schemas.roles import HOME, JOINED
from state.identity.chains import best_chains
from state.identity.evidence import Graph, Link
from state.identity.kinds import KindOrder
from state.identity.placement import Placement, Stage

FORBIDDEN: Final = "forbidden"
UNIQUE: Final = "unique"
LIMIT: Final = "limit"


class Veto(NamedTuple):
    """A link that joins nothing, and why: `forbidden`, `unique` or `limit`."""

    one: str
    link: Link
    reason: str

    @property
    def pair(self) -> tuple[str, str]:
        """Both ends, in the order of their ids."""
        return min(self.one, self.link.neighbour), max(self.one, self.link.neighbour)


class Cluster:
    """Identifiers joined so far, and the values of unique kinds among them."""

    def __init__(self, fragment: str) -> None:
        self.members = [fragment]
        self.values: dict[tuple[str, str], str] = {}


class Joining:
    """The decisions of stage 1 over a graph."""

    def __init__(self, graph: Graph, kinds: KindOrder, cluster_limit: int) -> None:
        self._graph = graph
        self._kinds = kinds
        self.cluster_limit = cluster_limit
        # What those of unique kinds count as that requires unite with others.
        self._classes: dict[str, str] = {}

    def begin(self) -> None:
        """Begin a decision: orders may be others than at the last one."""
        self._classes.clear()

    def links(self, fragment: str) -> Iterator[Link]:
        """The links of an identifying identifier that may join: proven, and to an identifying neighbour."""
        for link in self._graph.links(fragment):
            if not link.proven:
                return
            if self._kinds.identifying(link.kind):
                yield link

    def cut(self, fragment: str) -> tuple[str, ...] | None:
        """The candidates of an identifier that its links show to be shared, or None when they don't.

        It is shared when they show too many neighbours of one kind, or two values of a unique kind that no require
        unites. The best known come first, so that the first few decide for one with very many neighbours. And it is
        shared when nothing but claims links it, and these to too many.
        """
        kind = self._kinds.kind(self._graph.kind(fragment))
        limit = kind.shared_from
        neighbours: Counter[str] = Counter()
        values: dict[tuple[str, str], str] = {}
        candidates: list[str] = []
        shared = False
        for link in self.links(fragment):
            neighbours[link.kind] += 1
            shared = shared or 0 < limit < neighbours[link.kind]
            exclusion, value = self.unique_value(link.neighbour, link.kind)
            if exclusion is not None:
                shared = values.setdefault(exclusion, value) != value or shared
            if len(candidates) < CANDIDATES_MAX:
                candidates.append(link.neighbour)
            elif shared:
                break
        if not neighbours and kind.claimed_from:
            return self._cut_by_claims(fragment, kind.claimed_from)
        return tuple(candidates) if shared else None

    def _cut_by_claims(self, fragment: str, limit: int) -> tuple[str, ...] | None:
        """The candidates of one that claims link with too many neighbours of one kind that says who somebody is.

        Anything proven about it is more than all claims: else whoever types somebody's address often enough could
        make it shared.
        """
        neighbours: Counter[str] = Counter()
        candidates: list[str] = []
        shared = False
        for link in self._graph.links(fragment):
            if link.proven:
                return None
            if self._kinds.telling(link.kind):
                neighbours[link.kind] += 1
                shared = shared or neighbours[link.kind] > limit
                if len(candidates) < CANDIDATES_MAX:
                    candidates.append(link.neighbour)
                elif shared:
                    break
        return tuple(candidates) if shared else None

    def unique_value(self, fragment: str, kind: str) -> tuple[tuple[str, str] | None, str]:
        """What an identifier of a unique kind excludes others by, and the value that it counts as; else None."""
        if not self._kinds.kind(kind).unique:
            return None, ""
        return self._kinds.exclusion(self._graph.identifier(fragment)), self._required_class(fragment)

    def _required_class(self, fragment: str) -> str:
        """Required values of a unique kind count as one: the least of all that requires unite with this one.

        Requires are taken in the order of all links, and a forbid between any two of them beats the chain. What is
        found for one is known for all that chains of requires lead to, as long as the decision takes.
        """
        if fragment in self._classes:
            return self._classes[fragment]
        region = self.required(fragment)
        if len(region) == 1:
            return fragment
        clusters = {member: Cluster(member) for member in region}
        for one, link in self._ordered(
            (member, link) for member in region for link in self._requires(member) if member < link.neighbour
        ):
            left, right = clusters[one], clusters[link.neighbour]
            if left is not right and not self._forbids(clusters, left, right):
                _unite(clusters, left, right)
        for cluster in {id(cluster): cluster for cluster in clusters.values()}.values():
            self._classes.update(dict.fromkeys(cluster.members, min(cluster.members)))
        return self._classes[fragment]

    def required(self, fragment: str) -> list[str]:
        """All that chains of requires lead to, the identifier included."""
        reached = {fragment: None}
        queue = [fragment]
        while queue:
            for link in self._requires(queue.pop()):
                if link.neighbour not in reached:
                    reached[link.neighbour] = None
                    queue.append(link.neighbour)
        return list(reached)

    def _requires(self, fragment: str) -> Iterator[Link]:
        standing = takewhile(lambda link: link.authority > Authority.EVIDENCE, self._graph.links(fragment))
        return (link for link in standing if self._kinds.identifying(link.kind))

    def join(self, region: Collection[str]) -> tuple[list[list[str]], list[Veto]]:
        """Join what links allow, the best link first.

        Args:
            region: identifying identifiers that are not cut, and with each every such neighbour of it.

        Returns:
            All clusters, those of one identifier included, and the links that were vetoed.
        """
        clusters = {fragment: self._cluster(fragment) for fragment in sorted(region)}
        edges = (
            (one, link)
            for one in clusters
            for link in self.links(one)
            if one < link.neighbour and link.neighbour in clusters
        )
        vetoed = []
        for one, link in self._ordered(edges):
            left, right = clusters[one], clusters[link.neighbour]
            if left is right:
                continue
            reason = self._obstacle(clusters, left, right)
            if reason is None:
                _unite(clusters, left, right)
            else:
                vetoed.append(Veto(one, link, reason))
        distinct = {id(cluster): cluster for cluster in clusters.values()}
        return [cluster.members for cluster in distinct.values()], vetoed

    def _cluster(self, fragment: str) -> Cluster:
        cluster = Cluster(fragment)
        exclusion, value = self.unique_value(fragment, self._graph.kind(fragment))
        if exclusion is not None:
            cluster.values[exclusion] = value
        return cluster

    def _obstacle(self, clusters: dict[str, Cluster], left: Cluster, right: Cluster) -> str | None:
        if self._forbids(clusters, left, right):
            return FORBIDDEN
        if any(right.values.get(exclusion, value) != value for exclusion, value in left.values.items()):
            return UNIQUE
        if len(left.members) + len(right.members) > self.cluster_limit:
            return LIMIT
        return None

    def _forbids(self, clusters: dict[str, Cluster], left: Cluster, right: Cluster) -> bool:
        """Whether any two of them are forbidden; both ends know it, so the smaller one is asked."""
        few, many = (left, right) if len(left.members) <= len(right.members) else (right, left)
        return any(clusters.get(other) is many for member in few.members for other in self._graph.forbidden(member))

    def _ordered(self, edges: Iterable[tuple[str, Link]]) -> Iterator[tuple[str, Link]]:
        """Edges by (require, grade, stronger kinds, first time, source, id), then by plain values.

        Plain values are unsealed only where all else is equal.
        """
        for _, alike in groupby(sorted(edges, key=self.precedence), key=self.precedence):
            run = list(alike)
            yield from run if len(run) == 1 else sorted(run, key=self._plain_values)

    def precedence(self, edge: tuple[str, Link]) -> tuple[Any, ...]:
        """What links are ordered by, plain values aside: the least is joined first. `edge` is one end, and the link."""
        one, link = edge
        ranks = sorted((self._kinds.rank(self._graph.kind(one)), self._kinds.rank(link.kind)))
        return -link.authority, -link.grade, ranks, link.time, link.source, link.id

    def _plain_values(self, edge: tuple[str, Link]) -> list[tuple[object, ...]]:
        ends = (edge[0], edge[1].neighbour)
        return sorted((self._kinds.rank(self._graph.kind(end)), self._graph.identifier(end)) for end in ends)

    def seat(self, members: Collection[str]) -> dict[str, Placement]:
        """The placements of two or more joined identifiers: their home, and how each is linked to it."""
        home = home_of(self._graph, self._kinds, members)
        edges = {
            member: [(link.neighbour, link.grade) for link in self.links(member) if link.neighbour in members]
            for member in members
        }
        chains = best_chains({home: Grade.RECORD}, edges)
        return {
            member: Placement(HOME, home, self._graph.seen(home), Stage.JOINING)
            if member == home
            else Placement(JOINED, home, chains[member], Stage.JOINING)
            for member in members
        }


def _unite(clusters: dict[str, Cluster], left: Cluster, right: Cluster) -> None:
    into, gone = (left, right) if len(left.members) >= len(right.members) else (right, left)
    into.members.extend(gone.members)
    into.values.update(gone.values)
    for member in gone.members:
        clusters[member] = into


def home_of(graph: Graph, kinds: KindOrder, members: Collection[str]) -> str:
    """Of the fragments of the strongest kind the one formed first; ties by plain value."""
    ranked = [(kinds.rank(graph.kind(member)), graph.formed(member), member) for member in members]
    rank, formed, _ = min(ranked)
    tied = [member for other_rank, other_formed, member in ranked if (other_rank, other_formed) == (rank, formed)]
    return tied[0] if len(tied) == 1 else min(tied, key=graph.identifier)
