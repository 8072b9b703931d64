"""The partition's incremental twin: recompute what changed evidence touches, by the same decisions.

1. Identifying kinds. Ends of changed proven links are judged anew: shared by their links or not. The region, all that
   identifying links reach from them through nothing shared, is joined again; the neighbours of an identifier that
   has just become shared belong to it, since what held through that identifier may fall apart.
2. From strong to weak: whatever may be placed otherwise now, group by group of its kind. Whenever an identifier's
   owner, state or path to the home changes, its direct neighbours of equal or weaker kind are due.
3. Ends whose placement stands may have been seen in a better grade.

While a repair runs (`repair`), placements that it has not reached yet are of another policy or other evidence: *stale*.
Whether a stale identifier is cut is judged anew wherever it is met: no region grows through what will be shared.

One-step shortcuts are wrong (a link that is vetoed today may join tomorrow), so the region is taken whole. Only where
it is larger than a customer may be, so that vetoes hold it apart, and nothing but new links has come, is it narrowed to
what these may join otherwise (`_narrow`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from schemas.identity_policy import Grade
from schemas.orders import Authority
from schemas.roles import HOME, SHARED
from state.identity.attaching import Attaching
from state.identity.evidence import Graph, Link
from state.identity.joining import Joining, Veto
from state.identity.kinds import KindOrder, Rank
from state.identity.placement import Placement, Stage
from state.identity.touched import ChangedPair, Relinked

#: The placements that were last decided; None for identifiers that were never placed.
Placed: TypeAlias = Callable[[str], Placement | None]


class Decisions(NamedTuple):
    """What a recomputation changed."""

    #: Every identifier that was placed otherwise than before, in no order of meaning.
    placements: dict[str, Placement]
    #: All vetoed links of the region that was joined again, old vetoes included.
    vetoed: list[Veto]
    #: By its home, the size of each cluster of two or more in that region.
    clusters: dict[str, int]


class Recomputation:
    """One recomputation over a graph that holds the new evidence already; made anew for each."""

    def __init__(
        self,
        graph: Graph,
        kinds: KindOrder,
        joining: Joining,
        attaching: Attaching,
        placed: Placed,
        *,
        stale: Callable[[str], bool] | None = None,
    ) -> None:
        self._graph = graph
        self._kinds = kinds
        self._joining = joining
        self._attaching = attaching
        # Rows are written after the recomputation, which asks for the same identifier up to a dozen times.
        self._placed = cache(placed)
        self._rank = cache(lambda fragment: kinds.rank(graph.kind(fragment)))
        self._stale = stale or _never
        self._judged_stale: dict[str, bool] = {}
        # None marks what left its cluster and waits for stage 2.
        self._fresh: dict[str, Placement | None] = {}
        self._due: dict[Rank, dict[str, None]] = {}
        self._clusters: dict[str, int] = {}
        self._restored: set[str] = set()
        # Links of theirs changed that nothing is joined through: they may be cut now, or be so no more.
        self._watched: dict[str, None] = {}
        # Where nothing else has changed, the pairs with new links.
        self._new_links: list[ChangedPair] | None = None

    def decide(
        self,
        changed: Iterable[ChangedPair],
        ordered: Iterable[tuple[str, str]] = (),
        formed: Iterable[str] = (),
        again: Iterable[str] = (),
        *,
        severed: Collection[Relinked] = (),
        restored: Collection[Relinked] = (),
    ) -> Decisions:
        """Place what the changes touch.

        Args:
            changed: pairs with new evidence.
            ordered: pairs whose standing order changed.
            formed: identifiers that only orders had named before: where they are joined the home may move.
            again: identifiers that a repair has come to; nothing need have changed about them.
            severed: identifiers whose links count no more.
            restored: identifiers whose links count again.
        """
        changed, ordered, formed, again = list(changed), list(ordered), list(formed), list(again)
        self._joining.begin()

        # 1. Identifying kinds.
        seeds = self._seeds(changed, ordered) | {end: None for end in formed if self._identifying(end)}
        self._restored.update(relinked.fragment for relinked in restored)
        for relinked in severed:
            held = self._stale(relinked.fragment) or not self._is_cut(relinked.fragment)
            self._seed_relinked(relinked, seeds, held=held)
        for relinked in restored:
            self._seed_relinked(relinked, seeds, held=self._joining.cut(relinked.fragment) is None)
        if not ordered and not again and not severed and not restored:
            self._new_links = changed
        vetoed = self._join_again(seeds, self._begin_again(again))

        # 2. From strong to weak.
        for pair in changed:
            self._mark_weaker_end(pair)
        for end in (*formed, *again, *(end for pair in ordered for end in pair)):
            self._mark(end)
        for relinked in severed:
            before = self._placed(relinked.fragment)
            self._mark_relinked(relinked, looked_at=before is not None and before.state != SHARED)
        for relinked in restored:
            # Who looks at it from now on is due once it is placed.
            self._mark_relinked(relinked, looked_at=False)
        while self._due:
            rank = min(self._due)
            self._settle(rank)

        # 3. Better grades of what stands.
        for pair in changed:
            for fragment in pair[:2]:
                place = self._place(fragment)
                if place is not None and place.state in (HOME, SHARED):
                    self._fresh[fragment] = place._replace(grade=self._graph.seen(fragment))
        placements = {f: place for f, place in self._fresh.items() if place is not None and place != self._placed(f)}
        return Decisions(placements, vetoed, self._clusters)

    def _place(self, fragment: str) -> Placement | None:
        return self._fresh[fragment] if fragment in self._fresh else self._placed(fragment)

    def _identifying(self, fragment: str) -> bool:
        return self._kinds.identifying(self._graph.kind(fragment))

    # Stage 1

    def _seeds(self, changed: list[ChangedPair], ordered: list[tuple[str, str]]) -> dict[str, None]:
        """Identifying identifiers whose own links, or whose neighbours' required classes, changed."""
        seeds: dict[str, None] = {}
        for pair in changed:
            if pair.grade >= Grade.LOGIN and self._identifying(pair.one) and self._identifying(pair.other):
                seeds |= {pair.one: None, pair.other: None}
            else:
                self._watch_new_claims(pair)
        for end in (end for pair in ordered for end in pair if self._identifying(end)):
            for fragment in self._joining.required(end):
                seeds[fragment] = None
                seeds |= {link.neighbour: None for link in self._joining.links(fragment)}
        return seeds

    def _seed_relinked(self, relinked: Relinked, seeds: dict[str, None], *, held: bool) -> None:
        """What is to be judged anew besides an identifier; `held` is whether anything is, or was, joined through it."""
        own_kind = self._graph.kind(relinked.fragment)
        identifying = self._kinds.identifying(own_kind)
        if identifying:
            seeds[relinked.fragment] = None
        for neighbour, kind, grade in relinked.neighbours:
            if identifying and grade >= Grade.LOGIN and self._kinds.identifying(kind):
                (seeds if held else self._watched)[neighbour] = None
            else:
                self._watch_claims(neighbour, kind, own_kind, grade)

    def _watch_claims(self, fragment: str, kind: str, neighbour_kind: str, grade: int) -> None:
        """Judge anew what may be shared by claims alone, or be so no more, by a link of this grade."""
        if self._may_be_claimed(kind, neighbour_kind, grade):
            self._watched[fragment] = None

    def _watch_new_claims(self, pair: ChangedPair) -> None:
        """A new claim makes nothing shared about which anything is proven; a new proof may only end that claims do."""
        one, other = self._graph.kind(pair.one), self._graph.kind(pair.other)
        for end, kind, neighbour_kind in ((pair.one, one, other), (pair.other, other, one)):
            if self._may_be_claimed(kind, neighbour_kind, pair.grade):
                best = None if pair.grade >= Grade.LOGIN else next(self._graph.links(end), None)
                if self._is_cut(end) or (best is not None and not best.proven):
                    self._watched[end] = None

    def _may_be_claimed(self, kind: str, neighbour_kind: str, grade: int) -> bool:
        limited = self._kinds.identifying(kind) and self._kinds.kind(kind).claimed_from > 0
        return limited and (grade >= Grade.LOGIN or self._kinds.telling(neighbour_kind))

    def _begin_again(self, again: Iterable[str]) -> dict[str, None]:
        """Those of the identifiers that stage 1 decides; what it decided once and does no more is stage 2's."""
        seeds: dict[str, None] = {}
        for fragment in again:
            if self._identifying(fragment):
                seeds[fragment] = None
                continue
            place = self._placed(fragment)
            if place is not None and place.joined:
                self._fresh[fragment] = None
        return seeds

    def _join_again(self, seeds: Iterable[str], again: Collection[str]) -> list[Veto]:
        firm = {*seeds, *again}
        judged = {seed: self._joining.cut(seed) for seed in (*seeds, *again, *self._watched)}
        starts: dict[str, None] = {}
        for seed, candidates in judged.items():
            stands = seed not in firm and self._is_cut(seed) == (candidates is not None)
            if candidates is None:
                if not stands:
                    starts[seed] = None
                continue
            self._fresh[seed] = Placement(SHARED, seed, self._graph.seen(seed), Stage.JOINING, candidates)
            # Neighbours that are stale are placed again in any case. Others may have been joined by a link to it though
            # it was stale: it was judged when it was met, and a source may have been split off, or not, since then.
            if not self._is_cut(seed):
                starts |= {link.neighbour: None for link in self._held(seed) if not self._stale(link.neighbour)}
        region = self._region([start for start in starts if not self._is_cut_now(start, judged)], judged)
        clusters, vetoed = self._joining.join(region)
        for members in clusters:
            if len(members) > 1:
                seated = self._joining.seat(members)
                self._clusters[seated[members[0]].owner] = len(members)
                self._fresh.update(seated)
            else:
                self._fresh[members[0]] = None
        for fragment, place in list(self._fresh.items()):
            if place is None:
                self._mark_unjoined(fragment)
            else:
                self._spread(fragment, place)
        return vetoed

    def _held(self, fragment: str) -> Iterator[Link]:
        """The links through which others may have been joined: of what is linked again, those that orders require."""
        links = self._joining.links(fragment)
        return takewhile(_is_required, links) if fragment in self._restored else links

    def _is_cut(self, fragment: str) -> bool:
        place = self._placed(fragment)
        return place is not None and place.joined and place.state == SHARED

    def _is_cut_now(self, fragment: str, judged: dict[str, tuple[str, ...] | None]) -> bool:
        if fragment in judged:
            return judged[fragment] is not None
        if not self._stale(fragment):
            return self._is_cut(fragment)
        if fragment not in self._judged_stale:
            self._judged_stale[fragment] = self._joining.cut(fragment) is not None
        return self._judged_stale[fragment]

    def _region(self, starts: list[str], judged: dict[str, tuple[str, ...] | None]) -> list[str]:
        reached = dict.fromkeys(starts)
        queue = list(starts)
        while queue:
            for link in self._joining.links(queue.pop()):
                if link.neighbour not in reached and not self._is_cut_now(link.neighbour, judged):
                    reached[link.neighbour] = None
                    queue.append(link.neighbour)
            if len(reached) > self._joining.cluster_limit and self._may_narrow(judged):
                return self._narrow(starts)
        return list(reached)

    def _may_narrow(self, judged: dict[str, tuple[str, ...] | None]) -> bool:
        """Whether all that is joined stands as the links before the new ones had it."""
        if self._new_links is None or self._stale is not _never:
            return False
        return all(self._is_cut(fragment) == (candidates is not None) for fragment, candidates in judged.items())

    def _narrow(self, starts: list[str]) -> list[str]:
        """The part of a region that new links may join otherwise, by whole clusters.

        Links are taken in one order, so all is as it was up to the first new one. From there on a cluster may become
        another one if a link of it is new, or follows and leads to one that may: those belong together. What leads out
        of them came before, and was vetoed then as it would be now.
        """
        edges = [edge for pair in self._new_links or () for edge in self._edges_of(pair)]
        first = min(map(self._joining.precedence, edges), default=None)
        reached = dict.fromkeys(starts)
        queue = list(starts)
        while queue:
            fragment = queue.pop()
            for link in self._joining.links(fragment):
                if link.neighbour in reached or self._is_cut(link.neighbour):
                    continue
                follows = first is not None and self._joining.precedence((fragment, link)) >= first
                if follows or self._are_joined(fragment, link.neighbour):
                    reached[link.neighbour] = None
                    queue.append(link.neighbour)
        return list(reached)

    def _edges_of(self, pair: ChangedPair) -> Iterator[tuple[str, Link]]:
        """The pair's link in stage 1, if it has one there."""
        if self._identifying(pair.one) and self._identifying(pair.other):
            yield from ((pair.one, link) for link in self._joining.links(pair.one) if link.neighbour == pair.other)

    def _are_joined(self, one: str, other: str) -> bool:
        here, there = self._placed(one), self._placed(other)
        return here is not None and there is not None and here.joined and there.joined and here.owner == there.owner

    # Stage 2

    def _mark_unjoined(self, fragment: str) -> None:
        """It is stage 2's now; whoever a forbid keeps apart from it no longer meets it among what is joined."""
        self._mark(fragment)
        before = self._placed(fragment)
        if before is not None and before.joined:
            for other in self._graph.forbidden(fragment):
                self._mark(other)

    def _mark_weaker_end(self, pair: ChangedPair) -> None:
        """Only the weaker end looks at the other; both do when they are of one kind or new.

        What stands apart from its own kind already can only do so more.
        """
        one, other = self._rank(pair.one), self._rank(pair.other)
        for fragment, mine, theirs in ((pair.one, one, other), (pair.other, other, one)):
            looks = mine > theirs or (mine == theirs and not self._stands_apart(fragment))
            if looks or self._place(fragment) is None:
                self._mark(fragment)

    def _mark_relinked(self, relinked: Relinked, *, looked_at: bool) -> None:
        """It, its own kind, whose group is another now, and where they looked at it those of weaker kinds."""
        self._mark(relinked.fragment)
        rank = self._rank(relinked.fragment)
        for neighbour, kind, _ in relinked.neighbours:
            theirs = self._kinds.rank(kind)
            if theirs == rank or (looked_at and theirs > rank):
                self._mark(neighbour)

    def _mark(self, fragment: str) -> None:
        place = self._place(fragment)
        if place is None or not place.joined:
            self._due.setdefault(self._rank(fragment), {})[fragment] = None

    def _spread(self, fragment: str, place: Placement) -> None:
        """Make due whatever looks at an identifier of which something that decisions look at has changed."""
        before, restored = self._placed(fragment), fragment in self._restored
        if not restored and before is not None and before.bearing == place.bearing:
            return
        rank = self._rank(fragment)
        links = self._graph.links(fragment)
        # What is linked again and shared was not looked at before by evidence, and is not now.
        for link in takewhile(_is_required, links) if restored and place.state == SHARED else links:
            if self._kinds.rank(link.kind) > rank or (place.joined and self._kinds.rank(link.kind) == rank):
                self._mark(link.neighbour)
        for other in self._graph.forbidden(fragment):
            if place.joined or self._rank(other) > rank:
                self._mark(other)

    def _settle(self, rank: Rank) -> None:
        """Place all that is due of one kind, with the whole group of each."""
        queue = list(self._due.pop(rank))
        decided: dict[str, Placement] = {}
        while queue:
            fragment = queue.pop()
            if fragment in decided:
                continue
            group = self._attaching.group(fragment, self._place, size_max=self._attaching.group_limit)
            apart = len(group) > self._attaching.group_limit
            if apart:
                group = self._newly_apart(fragment)
            settled = self._attaching.settle(group, self._place, apart=apart)
            decided.update(settled)
            self._fresh.update(settled)
            # Whether two forbidden ones of a kind would go to one customer depends on both their groups.
            queue.extend(
                other
                for member in group
                for other in self._graph.forbidden(member)
                if self._rank(other) == rank and other not in decided and not self._is_joined(other)
            )
        for fragment, place in decided.items():
            self._spread(fragment, place)

    def _newly_apart(self, fragment: str) -> list[str]:
        """What of a group that is too large is to be placed: the identifier, and what was not apart before.

        Whatever stands by itself already stays so, unless it is due for another reason. A smaller group that a new
        link has brought in is reached from the link's end in it, which is due.
        """
        if self._stands_apart(fragment):
            return [fragment]
        return self._attaching.group(fragment, self._place, skip=self._stands_apart)

    def _stands_apart(self, fragment: str) -> bool:
        place = self._place(fragment)
        return place is not None and place.stage == Stage.APART

    def _is_joined(self, fragment: str) -> bool:
        place = self._place(fragment)
        return place is not None and place.joined


def _is_required(link: Link) -> bool:
    return link.authority > Authority.EVIDENCE


def _never(_fragment: str) -> bool:
    return False
