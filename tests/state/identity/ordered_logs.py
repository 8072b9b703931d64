"""Random logs of evidence, orders and undos, and what is to be known at their end, for the partition at once."""

import random
from dataclasses import dataclass
from typing import TypeAlias

from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.messages import Evidence, Order, Undo
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from state.identity import evidence as known
from state.identity.partition import Partition, partition
from tests.state.identity.driving import KEYRING, evidence, sealed
from tests.state.identity.populations import random_population

Message = Evidence | Order | Undo
#: Ends, source, id and time of a require, to which of the two it says was replaced.
Formers: TypeAlias = dict[tuple[str, str, str, str, int], str]
SOURCES = ("shop", "crm", "app")


def order(
    verb: str,
    *items: Identifier,
    name: str,
    time: int = 0,
    record: str = "",
    withdrawn_source: str = "",
    former: str = "",
) -> Order:
    """An order of an operator, or of the record that is named."""
    return Order(
        record or OPERATOR_SOURCE,
        name,
        time,
        int(Authority.RECORD if record else Authority.OPERATOR),
        verb,
        tuple(map(sealed, items)),
        withdrawn_source,
        former,
    )


def random_log(seed: int, *, sources: bool = True) -> list[Message]:
    """A few identifiers, shown together by a dozen events, and about as many orders and undos, in any order."""
    chance = random.Random(seed)
    population = random_population(seed)
    items = list(population.identifiers.values())
    log: list[Message] = []
    for event in population.events:
        names = dict.fromkeys(end for item in event for end in (item.one, item.other))
        first = event[0]
        shown = [population.identifiers[name] for name in names]
        log.append(evidence(shown, source=first.source, name=first.id, time=first.time, grade=first.grade))
    for number in range(chance.randint(1, 10)):
        log.append(_random_order(chance, items, f"o{number}", sources=sources))
        if chance.random() < 0.4:
            log.append(Undo(f"u{number}", 0, f"o{number}"))
    chance.shuffle(log)
    return log


def _random_order(chance: random.Random, items: list[Identifier], name: str, *, sources: bool) -> Order:
    one, other = chance.sample(items, 2)
    time = chance.randrange(4)
    sort = chance.choice(("require", "forbid", "split", "identifier", "identifier", "record", "record", "source"))
    if sort == "identifier":
        return order(Verb.SPLIT, one, name=name, time=time)
    if sort == "source" and sources:
        return order(Verb.SPLIT, name=name, time=time, withdrawn_source=chance.choice(SOURCES))
    if sort in ("record", "source"):
        verb = chance.choice((Verb.REQUIRE, Verb.REQUIRE, Verb.FORBID))
        former = chance.choice(("", KEYRING.fragment_id(other))) if verb is Verb.REQUIRE else ""
        # Ids of records may be those of operators' orders; nobody takes a record's order back.
        name, source = f"o{chance.randrange(4)}", chance.choice(SOURCES)
        return order(verb, one, other, name=name, time=time, record=source, former=former)
    return order(sort, one, other, name=name, time=time)


@dataclass
class Known:
    """What a log comes to, read plainly."""

    identifiers: dict[str, Identifier]
    formed: dict[str, int]
    sightings: list[known.Sighting]
    orders: list[known.Order]
    split_identifiers: set[str]
    split_sources: set[str]
    former: set[str]

    def partition(self, policy: Policy) -> Partition:
        """All placements at once."""
        return partition(
            dict(sorted(self.identifiers.items())),
            self.formed,
            self.sightings,
            self.orders,
            policy,
            split_identifiers=self.split_identifiers,
            split_sources=self.split_sources,
        )


def known_of(log: list[tuple[int, Message]]) -> Known:
    """Read messages with their offsets."""
    undone = {message.order for _, message in log if isinstance(message, Undo)}
    found = Known({}, {}, [], [], set(), set(), set())
    formers: Formers = {}
    given: set[str] = set()
    for offset, message in log:
        if isinstance(message, Undo):
            continue
        for each in message.identifiers:
            found.identifiers[each.fragment] = KEYRING.unseal(each.sealed, each.fragment)
        ends = [each.fragment for each in message.identifiers]
        if isinstance(message, Evidence):
            for here, there in message.pairs:
                named = message.source, message.grade, message.time, message.id
                found.sightings.append(known.Sighting(ends[here], ends[there], *named))
            for end in ends:
                found.formed.setdefault(end, offset)
            continue
        operators = message.authority == Authority.OPERATOR
        if operators and (message.id in undone or message.id in given):
            continue
        if operators:
            given.add(message.id)
        if message.withdrawn_source:
            found.split_sources.add(message.withdrawn_source)
        elif len(ends) == 1:
            found.split_identifiers.add(ends[0])
        else:
            one, other = sorted(ends)
            key = one, other, message.source, message.id, message.time
            require = message.verb == Verb.REQUIRE
            found.orders.append(
                known.Order(one, other, require, Authority(message.authority), message.time, message.source, message.id)
            )
            if require:
                formers[key] = max(message.former, formers.get(key, ""))
    _find_former(found, formers)
    return found


def _find_former(found: Known, formers: Formers) -> None:
    obeyed = [
        each
        for each in found.orders
        if each.authority == Authority.OPERATOR
        or (each.source not in found.split_sources and not found.split_identifiers & {each.one, each.other})
    ]
    for (one, other), standing in known.standing_orders(obeyed).items():
        if standing.require and standing.authority == Authority.RECORD:
            former = formers.get((one, other, standing.source, standing.id, standing.time), "")
            if former:
                found.former.add(former)
