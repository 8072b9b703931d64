"""Decide again from an explanation alone: a second reading of the rules, which shares no code with the explainer.

Every claim that a chain makes is compared with the evidence, the orders and the policy: that its links exist, that each
is one by which the rules put its ends together, or that what is said to stand against it does.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from schemas.identity_policy import Policy, Strength
from schemas.roles import HOME, SHARED
from state.identity.evidence import EvidenceGraph, Link
from state.identity.explaining.results import Explanation, Obstacle, Reason, SharedBy, Sharing, Step, Verdict
from state.identity.kinds import KindOrder
from state.identity.partition import Partition
from state.identity.placement import Placement, Stage


@dataclass
class Judge:
    """Compares explanations with what is known."""

    graph: EvidenceGraph
    seen: EvidenceGraph
    whole: Partition
    policy: Policy
    split_identifiers: Collection[str] = ()
    #: Pairs that only sources which are split off showed.
    withdrawn: Collection[frozenset[str]] = ()

    def __post_init__(self) -> None:
        self.kinds = KindOrder(self.policy)
        self.vetoes = {veto.pair: veto.reason for veto in self.whole.vetoed}

    def judge(self, one: str, other: str, said: Explanation) -> None:
        """Fail unless the explanation is right, and decides what the partition decided."""
        here, there = self.place(one), self.place(other)
        shared = SHARED in (here.state, there.state)
        together = not shared and here.owner == there.owner
        assert said.verdict == (Verdict.SHARED if shared else Verdict.ONE if together else Verdict.APART)
        assert not said.cut
        assert {sharing.fragment for sharing in said.sharings} == {
            end for end in (one, other) if self.place(end).state == SHARED
        }
        for sharing in said.sharings:
            self._shared(sharing)
        self._connected(one, other, said)
        if together:
            self._holds(one, other, said.steps)
        else:
            self._breaks(one, other, said.steps)

    def place(self, fragment: str) -> Placement:
        """Where the partition put it."""
        return self.whole.placements[fragment]

    def rank(self, fragment: str) -> tuple[int, str]:
        """The place of its kind, the strongest first."""
        return self.kinds.rank(self.graph.kind(fragment))

    def _connected(self, one: str, other: str, said: Explanation) -> None:
        at = one
        for step in said.steps:
            assert step.one == at
            known = [*self.graph.links(at), *self.seen.links(at)]
            assert step.link in known, "a step is a link that was shown or ordered"
            at = step.other
        if said.steps:
            assert at == other
            assert said.grade == min(step.link.grade for step in said.steps)

    # One customer

    def _holds(self, one: str, other: str, steps: tuple[Step, ...]) -> None:
        assert (one == other) == (not steps)
        upwards = True
        for step in steps:
            assert step.obstacle is None
            direction = self._direction(step)
            assert direction is not None, f"the rules did not decide by {step}"
            # Once it goes down, to what rests on the link's first end, it never goes up again.
            assert direction <= 0 or upwards, "what is attached joins nobody"
            upwards = upwards and direction >= 0
        assert (len(steps), min((step.link.grade for step in steps), default=0)) == self._surest(one, other)
        if steps and self.place(other).state == HOME and not any(step.link.authority for step in steps):
            assert min(step.link.grade for step in steps) == self.place(one).grade

    def _surest(self, one: str, other: str) -> tuple[int, int]:
        """How long the shortest of the chains is whose weakest link is strongest, and the grade of that link."""
        for grade in (3, 2, 1):
            above = [self._above(end, grade) for end in (one, other)]
            lengths = [above[0][met] + above[1][met] for met in above[0].keys() & above[1].keys()]
            if lengths:
                return min(lengths), grade if one != other else 0
        raise AssertionError("nothing holds them together")

    def _above(self, start: str, grade: int) -> dict[str, int]:
        distance, queue = {start: 0}, deque([start])
        while queue:
            at = queue.popleft()
            for link in self.graph.links(at):
                if link.grade < grade or link.neighbour in distance:
                    continue
                place = self.place(link.neighbour)
                alike = place.state != SHARED and place.owner == self.place(start).owner
                if alike and self._direction(Step(at, link)) in (0, 1):
                    distance[link.neighbour] = distance[at] + 1
                    queue.append(link.neighbour)
        return distance

    def _direction(self, step: Step) -> int | None:
        """1: the first end rests on the other; -1: the other way round; 0: both alike; None: neither."""
        here, there = self.place(step.one), self.place(step.other)
        if here.joined and there.joined:
            identifying = self.kinds.identifying(step.link.kind) and self.kinds.identifying(self.graph.kind(step.one))
            pair = min(step.one, step.other), max(step.one, step.other)
            return 0 if step.link.proven and identifying and pair not in self.vetoes else None
        if self.rank(step.one) == self.rank(step.other):
            alike = not here.joined and not there.joined and not self.kinds.kind(step.link.kind).unique
            return 0 if alike and self._whole_group(step.one) else None
        weaker, stronger, sign = (
            (step.one, step.other, 1) if self.rank(step.one) > self.rank(step.other) else (step.other, step.one, -1)
        )
        if self.place(weaker).joined:
            return None
        pointed = self._pointed(weaker)
        best = max((tier for tier, _ in pointed.values()), default=-1)
        customers = {owner for tier, owner in pointed.values() if tier == best}
        decided = pointed.get(stronger, (None, None))[0] == best and customers == {self.place(weaker).owner}
        return sign if decided else None

    def _pointed(self, fragment: str) -> dict[str, tuple[int, str]]:
        """Neighbours of stronger kinds that count, with how well each is known and whose it is."""
        barred = set()
        for kept_apart in self.graph.forbidden(fragment):
            place = self.place(kept_apart)
            if place.state != SHARED and (place.joined or self.rank(kept_apart) < self.rank(fragment)):
                barred.add(place.owner)
        found = {}
        for link in self.graph.links(fragment):
            place = self.place(link.neighbour)
            if self.rank(link.neighbour) < self.rank(fragment) and place.state != SHARED and place.owner not in barred:
                found[link.neighbour] = (_tier(link), place.owner)
        return found

    def _group(self, fragment: str) -> set[str]:
        reached, queue = {fragment}, deque([fragment])
        while queue:
            for link in self.graph.links(queue.popleft()):
                alike = link.kind == self.graph.kind(fragment) and not self.place(link.neighbour).joined
                if alike and link.neighbour not in reached:
                    reached.add(link.neighbour)
                    queue.append(link.neighbour)
        return reached

    def _whole_group(self, fragment: str) -> bool:
        """Whether no member of its group of one kind speaks against the others: all go where any of them points."""
        group = self._group(fragment)
        customers: set[str] = set()
        for member in group:
            pointed = self._pointed(member)
            best = max((tier for tier, _ in pointed.values()), default=-1)
            customers |= {owner for tier, owner in pointed.values() if tier == best}
            if self.place(member).state == SHARED or any(other in group for other in self.graph.forbidden(member)):
                return False
        owners = {self.place(member).owner for member in group}
        return len(group) <= self.policy.cluster_limit and len(customers) <= 1 and len(owners) == 1

    # Several customers

    def _breaks(self, one: str, other: str, steps: tuple[Step, ...]) -> None:
        if not steps:
            assert other not in self._reach(one), "something does link them"
            return
        assert any(step.obstacle is not None for step in steps)
        assert len(steps) == self._reach(one)[other], "there is a shorter chain"
        for step in steps:
            here, there = self.place(step.one), self.place(step.other)
            together = SHARED not in (here.state, there.state) and here.owner == there.owner
            assert together == (step.obstacle is None)
            if step.obstacle is not None:
                self._stands_against(step, step.obstacle)

    def _reach(self, start: str) -> dict[str, int]:
        distance, queue = {start: 0}, deque([start])
        while queue:
            at = queue.popleft()
            for link in (*self.graph.links(at), *self.seen.links(at)):
                if link.neighbour not in distance:
                    distance[link.neighbour] = distance[at] + 1
                    queue.append(link.neighbour)
        return distance

    def _stands_against(self, step: Step, obstacle: Obstacle) -> None:
        reason = obstacle.reason
        here, there = self.place(step.one), self.place(step.other)
        pair = min(step.one, step.other), max(step.one, step.other)
        identifying = self.kinds.identifying(step.link.kind) and self.kinds.identifying(self.graph.kind(step.one))
        if pair in self.vetoes and SHARED not in (here.state, there.state):
            assert reason == self.vetoes[pair]
        if reason is Reason.FORBIDDEN:
            assert obstacle.forbidden is not None
            first, second = obstacle.forbidden
            assert second in self.graph.forbidden(first)
        elif reason is Reason.SHARED:
            ends = {end for end in (step.one, step.other) if self.place(end).state == SHARED}
            assert set(obstacle.ends) == ends == {sharing.fragment for sharing in obstacle.sharings} != set()
            for sharing in obstacle.sharings:
                self._shared(sharing)
        elif reason is Reason.UNIQUE:
            assert self.kinds.kind(obstacle.kind).unique
        elif reason is Reason.LIMIT:
            sizes = [sum(place.owner == end.owner for place in self.whole.placements.values()) for end in (here, there)]
            assert sum(sizes) > self.policy.cluster_limit
        elif reason is Reason.CLAIMED:
            assert not (step.link.proven and identifying)
            assert here.joined or there.joined
        elif reason is Reason.SURER:
            weaker = step.one if self.rank(step.one) > self.rank(step.other) else step.other
            assert max(tier for tier, _ in self._pointed(weaker).values()) > _tier(step.link)
        elif reason is Reason.GROUP:
            assert self.rank(step.one) == self.rank(step.other)
            assert not self._whole_group(step.one)
        elif reason is Reason.SPLIT:
            assert set(obstacle.ends) == {step.one, step.other} & set(self.split_identifiers) != set()
        elif reason is Reason.WITHDRAWN:
            assert frozenset((step.one, step.other)) in self.withdrawn
        else:
            raise AssertionError(f"{reason} says nothing")

    def _shared(self, sharing: Sharing) -> None:
        place = self.place(sharing.fragment)
        assert place.state == SHARED
        links = list(self.graph.links(sharing.fragment))
        assert sharing.links
        assert set(sharing.links) <= set(links)
        proven = [link for link in links if link.proven and self.kinds.identifying(link.kind)]
        if sharing.by is SharedBy.LIMIT:
            assert sharing.limit == self.kinds.kind(self.graph.kind(sharing.fragment)).shared_from > 0
            assert sum(link.kind == sharing.kind for link in proven) > sharing.limit
            assert place.stage == Stage.JOINING
        elif sharing.by is SharedBy.CLAIMED:
            kind = self.kinds.kind(self.graph.kind(sharing.fragment))
            assert kind.claimed_from == sharing.limit > 0
            assert not any(link.proven for link in links)
            assert sum(link.kind == sharing.kind for link in links) > sharing.limit
            assert self.kinds.kind(sharing.kind).strength >= Strength.MEDIUM
        elif sharing.by is SharedBy.UNIQUE:
            first, second = (self.graph.identifier(link.neighbour) for link in sharing.links)
            assert first != second
            assert self.kinds.exclusion(first) == self.kinds.exclusion(second) is not None
            assert set(sharing.links) <= set(proven)
        elif sharing.by is SharedBy.CUSTOMERS:
            pointed = self._pointed(sharing.fragment)
            best = max(tier for tier, _ in pointed.values())
            assert all(pointed[link.neighbour][0] == best for link in sharing.links)
            assert len({pointed[link.neighbour][1] for link in sharing.links}) == len(sharing.links) > 1
        else:
            assert sharing.by is SharedBy.CLAIMS
            claimed = {
                self.place(link.neighbour).owner
                for link in links
                if not link.proven and link.neighbour in self._pointed(sharing.fragment)
            }
            assert len(claimed) > sharing.limit > 0


def _tier(link: Link) -> int:
    return 2 if link.authority > 0 else 1 if link.grade >= 2 else 0
