"""An independent reading of the rules: slow, literal, sharing nothing with the code but its inputs.

It gives for each identifier its state and the set of identifiers that make up its customer, besides the home; links
and orders are kept as plain pairs, and every question is answered by going through all of them.
"""

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import TypeAlias

from schemas.identifiers import Identifier
from schemas.identity_policy import Grade, Policy, Strength
from state.identity.evidence import Order, Sighting

Pair: TypeAlias = frozenset[str]
MayGo: TypeAlias = Callable[[str, set[str], set[str]], bool]


class Model:
    """One reading of evidence and orders; `customer_of` and `shared` are its result."""

    def __init__(
        self,
        identifiers: dict[str, Identifier],
        evidence: list[Sighting],
        orders: list[Order],
        policy: Policy,
        limit: int,
    ) -> None:
        self.identifiers, self.policy, self.limit = identifiers, policy, limit
        self.require: dict[Pair, Order] = {}
        self.forbid: set[Pair] = set()
        newest = sorted(orders, key=lambda o: (o.authority, o.time, o.source, o.id, not o.require))
        for order in newest:
            pair = frozenset((order.one, order.other))
            self.require.pop(pair, None)
            self.forbid.discard(pair)
            if order.require:
                self.require[pair] = order
            else:
                self.forbid.add(pair)
        self.evidence: dict[Pair, Sighting] = {}
        for item in sorted(evidence, key=lambda i: (i.grade, -i.time), reverse=True):
            pair = frozenset((item.one, item.other))
            if pair in self.forbid:
                continue
            held = self.evidence.get(pair)
            if held is None or _first(item) < _first(held):
                self.evidence[pair] = item
        self.shared: set[str] = set()
        self.customer_of: dict[str, set[str]] = {}
        #: The group of its kind with which each went as a whole; others stand by themselves.
        self.group_of: dict[str, set[str]] = {}
        self._join()
        self._attach()

    # What the policy says

    def kind(self, name: str) -> str:
        """The identifier's kind."""
        return self.identifiers[name].kind

    def rank(self, name: str) -> tuple[int, str]:
        """Its place, the strongest first."""
        return self.policy.position(self.kind(name)), self.kind(name)

    def identifying(self, name: str) -> bool:
        """Whether it may join customers."""
        return self.policy.kind(self.kind(name)).strength is Strength.IDENTIFYING

    def exclusive(self, one: str, other: str) -> bool:
        """Whether both are values of one unique kind that no require unites."""
        kind = self.policy.kind(self.kind(one))
        if self.kind(one) != self.kind(other) or not kind.unique:
            return False
        if kind.namespaced and self.identifiers[one].namespace != self.identifiers[other].namespace:
            return False
        return not self.required_as_one(one, other)

    # Stage 1

    def stage_one_pairs(self) -> list[Pair]:
        """Pairs that may join."""
        proven = {pair for pair, item in self.evidence.items() if item.grade >= Grade.LOGIN}
        return [pair for pair in proven | set(self.require) if all(self.identifying(end) for end in pair)]

    def precedence(self, pair: Pair) -> tuple[object, ...]:
        """The order in which pairs are joined."""
        ends = sorted(pair, key=lambda end: (self.rank(end), self.identifiers[end]))
        order, item = self.require.get(pair), self.evidence.get(pair)
        cause: Order | Sighting | None = order or item
        assert cause is not None
        authority = order.authority if order else 0
        grade = Grade.RECORD if order or item is None else item.grade
        values = [(self.rank(end), self.identifiers[end]) for end in ends]
        return -authority, -grade, [self.rank(end) for end in ends], cause.time, cause.source, cause.id, values

    def required_as_one(self, one: str, other: str) -> bool:
        """Whether requires, less forbids, unite the two."""
        sets = [{name} for name in self.identifiers]
        pairs = [pair for pair in self.require if all(self.identifying(end) for end in pair)]
        for pair in sorted(pairs, key=self.precedence):
            left, right = (_holding(sets, end) for end in pair)
            if left is not right and not self._keeps_apart(left, right):
                sets.remove(left)
                sets.remove(right)
                sets.append(left | right)
        return any(one in each and other in each for each in sets)

    def _keeps_apart(self, left: set[str], right: set[str]) -> bool:
        return any(frozenset((one, other)) in self.forbid for one in left for other in right)

    def _join(self) -> None:
        pairs = self.stage_one_pairs()
        for name in self.identifiers:
            others = [next(iter(pair - {name})) for pair in pairs if name in pair]
            limit = self.policy.kind(self.kind(name)).shared_from
            crowded = limit and any([self.kind(o) for o in others].count(self.kind(other)) > limit for other in others)
            claimed = self.identifying(name) and self._is_claimed_by_too_many(name)
            if crowded or claimed or any(self.exclusive(one, other) for one, other in combinations(others, 2)):
                self.shared.add(name)
        sets = [{name} for name in self.identifiers if self.identifying(name) and name not in self.shared]
        for pair in sorted((p for p in pairs if not p & self.shared), key=self.precedence):
            left, right = (_holding(sets, end) for end in pair)
            if left is right or self._keeps_apart(left, right) or len(left) + len(right) > self.limit:
                continue
            if any(self.exclusive(one, other) for one in left for other in right):
                continue
            sets.remove(left)
            sets.remove(right)
            sets.append(left | right)
        for members in sets:
            if len(members) > 1:
                self.customer_of.update(dict.fromkeys(members, members))
        self.joined = set(self.customer_of) | self.shared

    def _is_claimed_by_too_many(self, name: str) -> bool:
        limit = self.policy.kind(self.kind(name)).claimed_from
        linked = {other: self.best(name, other) for other in self.identifiers if self.best(name, other)}
        kinds = [self.kind(o) for o in linked if self.policy.kind(self.kind(o)).strength >= Strength.MEDIUM]
        many = any(kinds.count(kind) > limit for kind in kinds)
        return bool(limit) and many and max(linked.values()) == 1

    # Stage 2

    def best(self, one: str, other: str) -> int:
        """3 required, 2 proven, 1 claimed, 0 nothing."""
        pair = frozenset((one, other))
        if pair in self.require:
            return 3
        item = self.evidence.get(pair)
        return 0 if item is None else 2 if item.grade >= Grade.LOGIN else 1

    def looks_at(self, name: str) -> list[set[str]] | None:
        """The customers pointed to; None when claims are too many."""
        seen = [
            other
            for other in self.customer_of
            if self.best(name, other)
            and self.rank(other) < self.rank(name)
            and not any(frozenset((name, member)) in self.forbid for member in self.customer_of[other])
        ]
        if not seen:
            return []
        top = max(self.best(name, other) for other in seen)
        claimed = _distinct(self.customer_of[other] for other in seen if self.best(name, other) == 1)
        limit = self.policy.kind(self.kind(name)).shared_from
        if top < 3 and limit and len(claimed) > limit:
            return None
        return _distinct(self.customer_of[other] for other in seen if self.best(name, other) == top)

    def goes_whole(self, group: set[str]) -> list[set[str]] | None:
        """Where a group may go as a whole: one customer, none; None if it may not."""
        looks = [self.looks_at(name) for name in group]
        if len(group) > self.limit or any(look is None for look in looks):
            return None
        customers = _distinct(customer for look in looks for customer in look or ())
        if len(customers) > 1 or any(frozenset(pair) in self.forbid for pair in combinations(group, 2)):
            return None
        if customers and self._keeps_apart(group, customers[0]):
            return None
        return customers

    def _attach(self) -> None:
        for rank in sorted({self.rank(name) for name in self.identifiers}):
            names = [name for name in self.identifiers if self.rank(name) == rank and name not in self.joined]
            groups = [{name} for name in names]
            for one, other in combinations(names, 2):
                if self.best(one, other) and not self.policy.kind(self.kind(one)).unique:
                    left, right = (_holding(groups, end) for end in (one, other))
                    if left is not right:
                        groups = [each for each in groups if each is not left and each is not right]
                        groups.append(left | right)
            self._place_kind(groups)

    def _place_kind(self, groups: list[set[str]]) -> None:
        whole = {name: self.goes_whole(group) for group in groups for name in group}
        alone = {name: self.looks_at(name) for group in groups for name in group}

        def may_go(name: str, customer: set[str], group: set[str]) -> bool:
            rivals = [r for r in whole if r not in group and frozenset((name, r)) in self.forbid]
            return not any(customer in (whole[r] or []) or alone[r] == [customer] for r in rivals)

        placed: list[tuple[str, set[str]]] = []
        for group in groups:
            goal = whole[next(iter(group))]
            if goal == []:
                placed += [(name, group) for name in group]
                self.group_of.update({name: set(group) for name in group})
            elif goal is not None and all(may_go(name, goal[0], group) for name in group):
                placed += [(name, goal[0]) for name in group]
                self.group_of.update({name: set(group) for name in group})
            else:
                placed += self._place_alone(group, alone, may_go)
        for name, members in placed:
            members.add(name)
            self.customer_of[name] = members

    def _place_alone(
        self, group: set[str], alone: dict[str, list[set[str]] | None], may_go: MayGo
    ) -> list[tuple[str, set[str]]]:
        placed: list[tuple[str, set[str]]] = []
        for name in group:
            goal = alone[name]
            if goal is None or len(goal) > 1:
                self.shared.add(name)
            elif goal and may_go(name, goal[0], {name}):
                placed.append((name, goal[0]))
            else:
                placed.append((name, {name}))
        return placed


def _holding(sets: list[set[str]], name: str) -> set[str]:
    return next(each for each in sets if name in each)


def _first(item: Sighting) -> tuple[int, int, str, str]:
    return -item.grade, item.time, item.source, item.id


def _distinct(customers: Iterable[set[str]]) -> list[set[str]]:
    found: list[set[str]] = []
    for customer in customers:
        if not any(customer is other for other in found):
            found.append(customer)
    return found
