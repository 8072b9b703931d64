"""What of a log of `identity.evidence` counts, read plainly: all of it is gone through for each question."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.messages import Evidence, IdentityMessage, Order, PolicyChange, SealedIdentifier, Undo
from schemas.orders import Authority, Verb
from schemas.times import sight_bucket
from state.identity import evidence as facts


class Sight(NamedTuple):
    """When evidence named an identifier: by offset, and by the times of events."""

    formed: int
    first: int
    last: int


class History:
    """A log, read at its end.

    Attributes:
        identifiers: all that evidence or orders name, by fragment id.
        sights: those that evidence named.
        seen: the best grade that named each, by sources whose word counts.
        sightings: the pairs of evidence that count.
        orders: the orders of pairs that count.
        alone: identifiers that are split off, by an order or by the policy.
        policy: the one in force.
        given: the orders of all sorts that stand: not undone, not superseded by their own source.
        former: identifiers that another one has replaced.
    """

    def __init__(
        self, log: Iterable[tuple[int, IdentityMessage]], policy: Policy, unseal: Callable[[bytes, str], Identifier]
    ) -> None:
        log = list(log)
        evidence = [(offset, message) for offset, message in log if isinstance(message, Evidence)]
        changes = [message for _, message in log if isinstance(message, PolicyChange)]
        self.policy = msgspec.json.decode(changes[-1].policy, type=Policy) if changes else policy
        self.given = given = _standing([message for _, message in log if isinstance(message, Order | Undo)])
        self.identifiers = {
            one.fragment: unseal(one.sealed, one.fragment)
            for _, message in log
            if isinstance(message, Evidence | Order)
            for one in _named(message)
        }
        self.withdrawn = {order.withdrawn_source for order in given if order.verb == Verb.SPLIT} - {""}
        split = {order.identifiers[0].fragment for order in given if len(order.identifiers) == 1}
        self.alone = split | {name for name, one in self.identifiers.items() if _unlinkable(one, self.policy)}
        self.sights: dict[str, Sight] = {}
        self.seen: dict[str, int] = {}
        self.sightings: list[facts.Sighting] = []
        for offset, message in evidence:
            self._read_evidence(offset, message)
        self.orders = [
            facts.Order(
                order.identifiers[0].fragment,
                order.identifiers[1].fragment,
                order.verb == Verb.REQUIRE,
                Authority(order.authority),
                order.time,
                order.source,
                order.id,
            )
            for order in given
            if len(order.identifiers) == 2 and self._counts(order)
        ]
        self.former = self._replaced(given)

    def _read_evidence(self, offset: int, message: Evidence) -> None:
        counts = message.source not in self.withdrawn
        for one in _named(message):
            held = self.sights.get(one.fragment, Sight(offset, message.time, 0))
            bucket = sight_bucket(message.time)
            self.sights[one.fragment] = Sight(held.formed, min(held.first, message.time), max(held.last, bucket))
            if counts:
                self.seen[one.fragment] = max(self.seen.get(one.fragment, 0), message.grade)
        for here, there in message.pairs:
            pair = message.identifiers[here].fragment, message.identifiers[there].fragment
            if counts and not self.alone & set(pair):
                sighting = facts.Sighting(*pair, message.source, message.grade, message.time, message.id)
                self.sightings.append(sighting)

    def _counts(self, order: Order) -> bool:
        """An operator's word always does; a record's not where its source or an end of the pair is split off."""
        if order.authority == Authority.OPERATOR:
            return True
        ends = {one.fragment for one in order.identifiers}
        return order.source not in self.withdrawn and not self.alone & ends

    def _replaced(self, given: list[Order]) -> set[str]:
        """Identifiers that a standing record order says were replaced."""
        standing = facts.standing_orders(self.orders)
        by_name = {(order.source, order.id, frozenset(_ends(order))): order for order in given if order.former}
        found = set()
        for pair, order in standing.items():
            known = by_name.get((order.source, order.id, frozenset(pair)))
            if order.require and known is not None:
                found.add(known.former)
        return found


def _standing(messages: list[Order | Undo]) -> list[Order]:
    """The orders that were not undone: of an operator's id the first that came, of a record's word on a pair the last.

    The last by time and id, and of two by one name the one that keeps apart.
    """
    undone = {message.order for message in messages if isinstance(message, Undo)}
    operators: dict[str, Order] = {}
    records: dict[tuple[frozenset[str], str], Order] = {}
    for order in messages:
        if isinstance(order, Undo):
            continue
        if order.authority == Authority.OPERATOR:
            operators.setdefault(order.id, order)
            continue
        key = frozenset(_ends(order)), order.source
        held = records.get(key)
        if held is None or _age(order) > _age(held):
            records[key] = order
    return [order for name, order in operators.items() if name not in undone] + list(records.values())


def _age(order: Order) -> tuple[int, str, bool]:
    return order.time, order.id, order.verb != Verb.REQUIRE


def _named(message: Evidence | Order) -> list[SealedIdentifier]:
    if isinstance(message, Order):
        return list(message.identifiers)
    places = {place for pair in message.pairs for place in pair}
    return [one for place, one in enumerate(message.identifiers) if place in places]


def _ends(order: Order) -> tuple[str, ...]:
    return tuple(one.fragment for one in order.identifiers)


def _unlinkable(identifier: Identifier, policy: Policy) -> bool:
    return any(fnmatchcase(f"{identifier.kind}:{identifier.value}", entry) for entry in policy.unlinkable)
