"""Orders about who is who: of all that were given, those that hold at last.

Read from the whole list at once, so it makes no difference in which order they came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bench.oracle.kinds import Identifier

REQUIRE: Final = "require"
FORBID: Final = "forbid"
SPLIT: Final = "split"
Pair = frozenset[Identifier]


class PlainOrder(NamedTuple):
    """An order as it was given: of a pair, of one identifier, or of what a source linked."""

    id: str
    source: str
    #: Microseconds since 1970, UTC.
    time: int
    #: An operator's word; else that of a system of record.
    operator: bool
    verb: str
    identifiers: tuple[Identifier, ...] = ()
    withdrawn_source: str = ""
    #: Which of the pair the other has replaced.
    former: Identifier | None = None


class PlainUndo(NamedTuple):
    """An operator's order is taken back."""

    id: str
    order: str


@dataclass
class Standing:
    """What holds: pairs required and forbidden, identifiers that stand alone, sources whose word is withdrawn."""

    requires: dict[Pair, PlainOrder] = field(default_factory=dict)
    forbids: set[Pair] = field(default_factory=set)
    alone: set[Identifier] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)

    def counts(self, source: str, pair: Iterable[Identifier]) -> bool:
        """Whether what a source, a record's order included, says of two identifiers counts at all."""
        return source not in self.withdrawn and self.alone.isdisjoint(pair)

    @property
    def former(self) -> set[Identifier]:
        """Identifiers that another has replaced, by the order that holds between the two."""
        return {order.former for order in self.requires.values() if order.former is not None}

    def enemies(self) -> dict[Identifier, set[Identifier]]:
        """With whom each must never be together."""
        found: dict[Identifier, set[Identifier]] = {}
        for pair in self.forbids:
            for one in pair:
                found.setdefault(one, set()).update(pair - {one})
        return found


def standing(orders: Iterable[PlainOrder | PlainUndo] = ()) -> Standing:
    """What holds of all orders that were ever given.

    An operator's word on a pair comes before a record's; of each the newest counts, and of one order that says both
    things the one that keeps apart.
    """
    orders = list(orders)
    undone = {one.order for one in orders if isinstance(one, PlainUndo)}
    given = [one for one in orders if isinstance(one, PlainOrder) and not (one.operator and one.id in undone)]
    result = Standing()
    for order in given:
        if order.verb == SPLIT and not order.identifiers:
            result.withdrawn.add(order.withdrawn_source)
        elif order.verb == SPLIT and len(order.identifiers) == 1:
            result.alone.add(order.identifiers[0])
    on_pairs = [one for one in given if len(one.identifiers) == 2]
    heard = [one for one in on_pairs if one.operator or result.counts(one.source, one.identifiers)]
    for order in sorted(heard, key=lambda one: (one.operator, one.time, one.source, one.id, one.verb != REQUIRE)):
        pair = frozenset(order.identifiers)
        result.requires.pop(pair, None)
        result.forbids.discard(pair)
        if order.verb == REQUIRE:
            result.requires[pair] = order
        else:
            result.forbids.add(pair)
    return result
