"""The incremental partition equals the whole, in every order of arrival and every batching.

Goal: no shortcut of the recomputation may end elsewhere. Method: thousands of small random sets of evidence and orders
with low limits, so that cuts, vetoes, shared identifiers and groups that are too large all occur, each in three orders;
after about a third of the batches, and at the
end, the placements are compared with those of the whole.
"""

import random
from collections import Counter
from itertools import combinations

import msgspec
import pytest

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.orders import Authority
from state.identity.attaching import Attaching
from state.identity.evidence import EvidenceGraph, Order, Sighting
from state.identity.joining import Joining
from state.identity.kinds import KindOrder
from state.identity.placement import Placement
from state.identity.recomputation import Recomputation
from state.identity.touched import ChangedPair
from tests.state.identity.populations import CLUSTER_LIMIT, Population, low_policy, random_population

#: Sets whose regions are larger than a customer may be.
CHAINED_SEEDS = 100
#: Without a limit for claims alone, and with one.
POLICIES = (low_policy(), low_policy(claimed_from=1))


class Incremental:
    """Keeps placements by recomputation over a graph that is made anew for each batch."""

    def __init__(self, population: Population, policy: Policy = POLICIES[0], limit: int = CLUSTER_LIMIT) -> None:
        self.population = population
        self.kinds = KindOrder(policy)
        self.limit = limit
        self.events: list[list[Sighting]] = []
        self.orders: list[Order] = []
        self.placements: dict[str, Placement] = {}
        self.reasons: Counter[str] = Counter()

    def take(self, batch: list[list[Sighting] | Order]) -> None:
        """Let events and orders arrive together."""
        events = [item for item in batch if not isinstance(item, Order)]
        orders = [item for item in batch if isinstance(item, Order)]
        known = self.population.formed(self.events)
        self.events += events
        self.orders += orders
        named = {end for event in events for item in event for end in (item.one, item.other)}
        graph = EvidenceGraph(
            self.population.identifiers,
            self.population.formed(self.events),
            [item for event in self.events for item in event],
            self.orders,
        )
        decisions = Recomputation(
            graph,
            self.kinds,
            Joining(graph, self.kinds, self.limit),
            Attaching(graph, self.kinds, self.limit),
            self.placements.get,
        ).decide(
            [ChangedPair(item.one, item.other, item.grade) for event in events for item in event],
            [(order.one, order.other) for order in orders],
            [end for end in sorted(named) if end not in known and end in self.placements],
        )
        assert all(self.placements.get(f) != place for f, place in decisions.placements.items())
        self.placements.update(decisions.placements)
        self.reasons.update(veto.reason for veto in decisions.vetoed)


def _check(seed: int, *, ordered: bool, limit: int = CLUSTER_LIMIT) -> tuple[Counter[str], Counter[str]]:
    population, policy = random_population(seed, ordered=ordered), POLICIES[seed % 2]
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    chance = random.Random(seed)
    for _ in range(3):
        arrivals: list[list[Sighting] | Order] = [*population.events, *population.orders]
        chance.shuffle(arrivals)
        incremental = Incremental(population, policy, limit)
        while arrivals:
            size = chance.choice((1, 1, 2, 3, 6))
            batch, arrivals = arrivals[:size], arrivals[size:]
            incremental.take(batch)
            if arrivals and chance.random() < 0.7:
                continue
            whole = population.whole(incremental.events, incremental.orders, policy, limit)
            assert incremental.placements == whole.placements, f"seed {seed}"
        states.update(place.state for place in incremental.placements.values())
        states.update(f"stage {int(place.stage)}" for place in incremental.placements.values())
        reasons += incremental.reasons
    return states, reasons


def test_evidence_alone_gives_the_same_as_the_whole() -> None:
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(3_000):
        more_states, more_reasons = _check(seed, ordered=False)
        states += more_states
        reasons += more_reasons
    assert min(states[state] for state in ("home", "joined", "attached", "shared", "stage 3")) > 500
    assert min(reasons["unique"], reasons["limit"]) > 200


def test_evidence_and_orders_give_the_same_as_the_whole() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(10_000, 11_500):
        reasons += _check(seed, ordered=True)[1]
    assert reasons["forbidden"] > 200


def _chained(seed: int) -> Population:
    """Many logins and addresses that proven links chain far past the cluster limit."""
    chance = random.Random(seed)
    identifiers = {
        f"{chance.randrange(16**6):06x}{number}": Identifier(chance.choice(("crm", "account", "email")), f"v{number}")
        for number in range(chance.randint(6, 14))
    }
    names = list(identifiers)
    events = []
    for number in range(chance.randint(8, 24)):
        shown = chance.sample(names, chance.choice((2, 2, 2, 2, 3)))
        grade, time = chance.choice((1, 2, 2, 2, 3)), chance.choice((number, chance.randrange(24)))
        pairs = combinations(shown, 2)
        events.append([Sighting(one, other, chance.choice("ab"), grade, time, f"e{number}") for one, other in pairs])
    return Population(identifiers, events)


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_chains_past_the_limit_give_the_same_as_the_whole(limit: int) -> None:
    policy = Policy(kinds=tuple(msgspec.structs.replace(kind, shared_from=0) for kind in DEFAULT_POLICY.kinds))
    for seed in range(CHAINED_SEEDS):
        population = _chained(seed)
        incremental = Incremental(population, policy, limit)
        for event in population.events:
            incremental.take([event])
            whole = population.whole(incremental.events, [], policy, limit)
            assert incremental.placements == whole.placements, f"seed {seed}"


def test_what_a_forbid_kept_away_comes_back_when_whom_it_named_has_left() -> None:
    """The one that left is of a weaker kind, which is placed after the one that comes back."""
    names = {"crm": "crm", "mail": "email", "citizen": "national_id"}
    identifiers = {name: Identifier(kind, name) for name, kind in names.items()}
    events = [
        [Sighting("crm", "citizen", "desk", 3, 0, "e0")],
        [Sighting("crm", "mail", "shop", 1, 0, "e1")],
    ]
    incremental = Incremental(Population(identifiers, events))
    incremental.take([*events, Order("mail", "citizen", False, Authority.OPERATOR, 0, "desk", "o0")])
    assert incremental.placements["mail"].owner == "mail"
    incremental.take([Order("crm", "citizen", False, Authority.OPERATOR, 0, "desk", "o1")])
    assert incremental.placements["mail"].owner == "crm"
