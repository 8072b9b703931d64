"""Random sets of evidence and orders, small and dense, under a policy whose limits are low enough to be hit."""

import random
from dataclasses import dataclass, field

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY, Policy, Strength
from schemas.orders import Authority
from state.identity.evidence import Order, Sighting
from state.identity.partition import Partition, partition

CLUSTER_LIMIT = 4
KINDS = ("crm", "account", "email", "national_id", "loyalty", "phone", "tablet", "wearable", "app", "device", "cookie")
_LOW_LIMITS = {"crm": 2, "account": 2, "email": 2, "national_id": 1, "app": 1, "device": 1, "cookie": 1}


def low_policy(claimed_from: int = 0) -> Policy:
    """The default policy with limits that a handful of identifiers reach; by default none for claims alone."""
    return Policy(
        kinds=tuple(
            msgspec.structs.replace(
                kind,
                shared_from=_LOW_LIMITS.get(kind.name, 0),
                claimed_from=claimed_from if kind.strength is Strength.IDENTIFYING else 0,
            )
            for kind in DEFAULT_POLICY.kinds
        ),
        cluster_limit=CLUSTER_LIMIT,
    )


@dataclass
class Population:
    """Everything that `partition` takes, and the events that showed it."""

    identifiers: dict[str, Identifier]
    #: Each the pairs of one event, in the order of its making.
    events: list[list[Sighting]]
    orders: list[Order] = field(default_factory=list)

    def formed(self, events: list[list[Sighting]]) -> dict[str, int]:
        """Offsets of the events that first named each identifier, the events arriving in this order."""
        formed: dict[str, int] = {}
        for offset, event in enumerate(events):
            for item in event:
                formed.setdefault(item.one, offset)
                formed.setdefault(item.other, offset)
        return formed

    def whole(self, events: list[list[Sighting]], orders: list[Order], policy: Policy, limit: int) -> Partition:
        """The partition at once, of what has arrived."""
        formed = self.formed(events)
        named = set(formed) | {end for order in orders for end in (order.one, order.other)}
        return partition(
            {fragment: self.identifiers[fragment] for fragment in sorted(named)},
            formed,
            [item for event in events for item in event],
            orders,
            msgspec.structs.replace(policy, cluster_limit=limit),
        )


def random_population(seed: int, *, ordered: bool = False) -> Population:
    """A few identifiers of a few kinds, shown together by up to a dozen events; with `ordered`, orders as well."""
    chance = random.Random(seed)
    kinds = chance.sample(KINDS, chance.randint(2, 6))
    identifiers: dict[str, Identifier] = {}
    for number in range(chance.randint(3, 12)):
        kind = chance.choice(kinds)
        namespace = chance.choice(("default", "billing")) if kind in ("crm", "account") else "default"
        # Digits of the fragment id say nothing about the order of plain values.
        identifiers[f"{chance.randrange(16**6):06x}{number}"] = Identifier(
            kind, f"v{chance.randrange(100):02}-{number}", namespace
        )
    names = list(identifiers)
    login_share = chance.random()
    events = []
    for number in range(chance.randint(1, 14)):
        named = chance.sample(names, min(len(names), chance.choice((2, 2, 2, 3, 4))))
        source = chance.choice(("shop", "crm", "app"))
        grade = chance.choice((2, 3)) if chance.random() < login_share else 1
        time = chance.randrange(4)
        events.append(
            [
                Sighting(one, other, source, grade, time, f"e{number}")
                for place, one in enumerate(named)
                for other in named[place + 1 :]
            ]
        )
    population = Population(identifiers, events)
    if ordered:
        population.orders = [_random_order(chance, names, f"o{number}") for number in range(chance.randint(1, 5))]
    return population


def _random_order(chance: random.Random, names: list[str], name: str) -> Order:
    one, other = chance.sample(names, 2)
    authority = chance.choice((Authority.RECORD, Authority.OPERATOR))
    return Order(one, other, chance.random() < 0.4, authority, chance.randrange(4), "desk", name)
