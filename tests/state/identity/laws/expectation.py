"""What the rules make of a history: customers and shared identifiers by the model, homes and grades read once more."""

from typing import NamedTuple

from schemas.identity_policy import Grade
from state.identity.evidence import UNFORMED, standing_orders
from tests.state.identity.laws.history import History
from tests.state.identity.model import Model


class Expected(NamedTuple):
    """What a row has to say of an identifier."""

    state: str
    owner: str
    grade: int


class Expectation:
    """All placements that a history comes to."""

    def __init__(self, history: History) -> None:
        self.history = history
        limit = history.policy.cluster_limit
        self.model = Model(history.identifiers, history.sightings, history.orders, history.policy, limit)
        self._links = self._best_links()
        #: By fragment id.
        self.placements: dict[str, Expected] = {}
        for name in history.identifiers:
            if name in self.model.shared:
                self.placements[name] = Expected("shared", name, history.seen.get(name, 0))
        for members in self.customers():
            self._seat(members)

    def customers(self) -> set[frozenset[str]]:
        """The sets of identifiers that are customers."""
        return {frozenset(members) for members in self.model.customer_of.values()}

    def _best_links(self) -> dict[frozenset[str], int]:
        """The grade of each pair that is linked; a required one is known as well as can be."""
        links: dict[frozenset[str], int] = {}
        forbidden = set()
        for ends, order in standing_orders(self.history.orders).items():
            if order.require:
                links[frozenset(ends)] = Grade.RECORD
            else:
                forbidden.add(frozenset(ends))
        for item in self.history.sightings:
            pair = frozenset((item.one, item.other))
            if pair not in forbidden:
                links[pair] = max(links.get(pair, 0), item.grade)
        return links

    def _seat(self, members: frozenset[str]) -> None:
        """One is the home: of the strongest kind, joined ones first, the one that was named first."""
        joined = {name for name in members if name in self.model.joined}
        home = min(members, key=lambda name: self._precedence(name, joined))
        grades = self._grades(members, joined, home)
        for name in members:
            state = "home" if name == home else "joined" if name in joined else "attached"
            grade = self.history.seen.get(name, 0) if name == home else grades[name]
            self.placements[name] = Expected(state, home, grade)

    def _precedence(self, name: str, joined: set[str]) -> tuple[object, ...]:
        sight = self.history.sights.get(name)
        formed = UNFORMED if sight is None else sight.formed
        # Who joined later by a claim stands behind those that the customer was joined of.
        return self.model.rank(name), bool(joined) and name not in joined, formed, self.history.identifiers[name]

    def _grades(self, members: frozenset[str], joined: set[str], home: str) -> dict[str, int]:
        """Each member's weakest link on its best way to the home: from joined ones to each other, else upwards."""
        grades = dict.fromkeys(members, 0) | {home: int(Grade.RECORD)}
        for _ in members:
            for pair, grade in self._links.items():
                if pair <= members:
                    one, other = pair
                    for here, there in ((one, other), (other, one)):
                        if self._leads(here, there, joined):
                            grades[here] = max(grades[here], min(grade, grades[there]))
        return grades

    def _leads(self, here: str, there: str, joined: set[str]) -> bool:
        if here in joined:
            return there in joined
        return self.model.rank(there) < self.model.rank(here) or there in self.model.group_of.get(here, ())
